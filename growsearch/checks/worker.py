"""A process of its own that loads a task as workers of a search do, and trains the trial.

    python -P -m growsearch.checks.worker REQUEST ANSWER

REQUEST is a pickled Request; ANSWER is a file that torch.save writes.
"""

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin


@dataclass(frozen=True)
class Request:
    """What the process is to do."""

    plugins: tuple[Plugin, ...]
    config: bytes
    """A pickled TrialConfig, which can be read once plugins are loaded."""
    threads: int


def answer(request: Request) -> dict[str, Any]:
    """What the task is and trains here; "error" and "line" if something raises."""
    from growsearch.checks.source import line_of_error

    found: dict[str, Any] = {"stage": "load the file"}
    try:
        _fill(found, request)
    except Exception as error:  # the user's task may raise anything
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        found |= {"error": " ".join(said.split()), "line": line_of_error(error)}
    return found


def _fill(found: dict[str, Any], request: Request) -> None:
    for plugin in request.plugins:
        plugin.load()
    found["stage"] = "read the configuration"
    config = pickle.loads(request.config)
    import torch

    from growsearch.checks.data import batches_digest, batches_of
    from growsearch.checks.subject import PLAIN, with_initializer
    from growsearch.checks.tensors import simple_attributes
    from growsearch.checks.trials import tensors_of
    from growsearch.tasks.seed_models import built
    from growsearch.trainer import Trainer
    from growsearch.training.auto import resolved
    from growsearch.trial.architecture import Architecture

    torch.set_num_threads(request.threads)
    found |= {"config": config.to_flat(), "stage": "build"}
    task = resolved(config)
    plain = with_initializer(config, PLAIN).task.on(task.device, task.loaded)
    grown = Architecture(config.architecture).deepened()
    found["constants"] = simple_attributes(built(plain, grown, seed=0))
    found["stage"] = "read batches"
    found["batches"] = {
        split: batches_digest(batches_of(task, split, config.seed, 1, drawn=2))
        for split in task.splits
    }
    found["stage"] = "train"
    trainer = Trainer(config)
    for _ in trainer:
        pass
    found["records"] = [record.to_dict() for record in trainer.history]
    found["tensors"] = tensors_of(trainer.state)


def main(request: str, out: str) -> None:
    """See the module."""
    made = answer(pickle.loads(Path(request).read_bytes()))
    import torch

    torch.save(made, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
