"""What trials leave behind as JSON: floats by their bits, tensors by a hash of their bytes."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

Tree = Any
"""None, bool, int, str, or lists and dicts of these."""


def plain(value: Any) -> Tree:
    """`value` as JSON. Floats become their hexadecimal form, so that equal text is equal bits."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value).hex()
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().flatten()
        content = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        digest = hashlib.sha256(content).hexdigest()[:16]
        return f"{value.dtype} {tuple(value.shape)} {digest}"
    raise TypeError(f"{type(value).__name__} {value!r} has no form in JSON")


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    """`values` of a record or a row without wall times, and without who trained it."""
    return {k: v for k, v in values.items() if not k.endswith("seconds") and k != "by"}


def saved_state(path: Path) -> Tree:
    """What a trainer's `save` wrote: the configuration, an entry for each epoch, and the rest."""
    contents = _saved(path.read_bytes())
    epochs = contents.pop("history")
    config = contents.pop("config")
    return {
        "config": plain(config),
        "epochs": {str(record["epoch"]): plain(without_times(record)) for record in epochs},
        "state": plain(contents),
    }


def store_contents(place: Path) -> Tree:
    """The records and states in the epoch store at `place`, by their keys."""
    records = {
        path.name: plain(without_times(json.loads(_content(path))))
        for path in sorted((place / "records").glob("*/*"))
    }
    states = {
        path.name: plain(_saved(_content(path))) for path in sorted((place / "states").glob("*/*"))
    }
    return {"records": records, "states": states}


def _saved(content: bytes) -> dict[str, Any]:
    """What a file holds, which is of torch.save where the revision knows nothing else."""
    if content.startswith(b"PK"):
        loaded: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
        return loaded
    from growsearch.machine.saved import load_tensors

    return load_tensors(content)


def _content(path: Path) -> bytes:
    """The file without its first line, which holds the hash of the rest."""
    return path.read_bytes().partition(b"\n")[2]
