"""Files of torch.save: tensors and plain values. They are read without code, within their size."""

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from growsearch.machine.files import opened


def save_tensors(contents: dict[str, Any], file: BinaryIO | Path) -> None:
    """As torch.save, but Ctrl-C stays Ctrl-C: in a write, torch makes a RuntimeError of it."""
    try:
        torch.save(contents, file)
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def load_tensors(file: Path | bytes) -> dict[str, Any]:
    """The dict of a file, or of its content, on the CPU.

    Raises an error of any type for something else: a link, a pipe, another object than a dict, or
    an archive that is compressed, whose content may be far larger than the file. The checksums of
    a file's parts are compared, which torch does not; who has the content has compared its hash.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else opened(file) as stream:
        size = stream.seek(0, io.SEEK_END)
        with zipfile.ZipFile(stream) as archive:
            parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise ValueError("it is compressed, which torch.save never does")
            if sum(part.file_size for part in parts) > size:
                raise ValueError("it says that it holds more than it does")
            if isinstance(file, Path) and (part := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {part} is wrong")
        stream.seek(0)
        contents = torch.load(stream, map_location="cpu", weights_only=True)
    if not isinstance(contents, dict):
        raise TypeError(f"it holds no dict but {type(contents).__name__}")
    return contents
