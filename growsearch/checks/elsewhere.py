"""Checks that a task does the same in another process, and inside a search."""

import io
import os
import pickle
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from growsearch.checks.outcome import Fault, Held
from growsearch.checks.subject import EPOCHS, GROWTH, Subject
from growsearch.checks.trials import Straight, check_same_records, check_same_trial
from growsearch.checks.worker import Request
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, with_tuples


def start_worker(subject: Subject, folder: Path) -> "subprocess.Popen[bytes]":
    """A process that loads the task as workers do and trains the trial; see worker.py.

    Its hash seed is another one, so that sets of strings have another order.
    """
    request = Request(subject.plugins, pickle.dumps(subject.config), torch.get_num_threads())
    (folder / "request").write_bytes(pickle.dumps(request))
    places = [str(Path(p).resolve()) for p in os.environ.get("PYTHONPATH", "").split(":") if p]
    package = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONHASHSEED": "1234",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([*places, str(package)])),
    }
    command = [sys.executable, "-P", "-m", "growsearch.checks.worker"]
    with (folder / "errors").open("w") as errors:
        return subprocess.Popen(
            [*command, str(folder / "request"), str(folder / "answer")],
            env=environment, stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip


def check_importable(subject: Subject, folder: Path, worker: "subprocess.Popen[bytes]") -> Held:
    """Another process, which has only the source, has the task and the same configuration."""
    worker.wait()
    if not (folder / "answer").exists():
        last = (folder / "errors").read_text().splitlines()[-1:] or [
            f"exit code {worker.returncode}"
        ]
        raise Fault(f"a new process with the task ended: {last[0]}", "build")
    found: dict[str, Any] = torch.load(folder / "answer", weights_only=True)
    subject.learned |= {"worker": found, "constants": found.get("constants")}
    if "config" not in found:
        raise Fault(
            f"a worker cannot {found['stage']}: {found['error']}; put what the file imports into "
            "it, or install it",
            "build",
        )
    if TrialConfig.from_flat(found["config"]) != subject.config:
        raise Fault("the configuration is another one after pickling", "build")
    if warning := _unpicklable(subject):
        return Held(warning, warning=True)
    return Held("a new process that has the source alone has the same configuration")


def _unpicklable(subject: Subject) -> str | None:
    """Why what `load` returns cannot go to the workers, if it cannot."""
    if not subject.task.is_shared:
        return None
    try:
        pickle.Pickler(_Nowhere()).dump(subject.task.loaded)
    except Exception as error:
        return f"what load() returns cannot be pickled, which a search does: {error}"
    return None


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


def check_alone(subject: Subject) -> Held:
    """A new process reads the same batches and trains to the same records and weights."""
    found: dict[str, Any] = subject.learned["worker"]
    straight: Straight | None = subject.learned.get("straight")
    for split, known in subject.learned.get("batches", {}).items():
        if "batches" in found and found["batches"][split] != known:
            raise Fault(
                f"batches({split!r}, ...) differs in a new process; sort files and sets, whose "
                "order is another one there, and draw from growsearch.generator",
                "batches",
            )
    if "error" in found:
        at = f" ({found['line']})" if found["line"] else ""
        raise Fault(f"a new process cannot {found['stage']}: {found['error']}{at}", "batches")
    assert straight is not None
    records = [EpochRecord(**with_tuples(record)) for record in found["records"]]
    check_same_trial(straight, records, found["tensors"], "here, and in a new process")
    return Held("a new process reads the same batches and trains to the same bits")


def check_search(subject: Subject, folder: Path) -> Held:
    """Two trials of a search on Ray; the one with this configuration has its records."""
    from growsearch.study.results import read_histories
    from growsearch.tuning.tuner import run_search

    space = folder / "space.py"
    given = {n: v for n, v in subject.config.given.items() if n != "growth_epochs"}
    space.write_text(
        "from ray import tune\n"
        f"param_space = {given!r} | {{'growth_epochs': tune.grid_search(['{GROWTH}', '1'])}}\n"
    )
    files = []
    for i, plugin in enumerate(subject.plugins):
        file = Path(plugin.name)
        if not file.exists():
            file = folder / f"plugin{i}.py"
            file.write_text(plugin.source)
        files.append(str(file))
    with redirect_stdout(io.StringIO()):
        end = run_search(space, folder / "study", plugins=files)
    if end.failures:
        raise Fault(f"a trial of a search failed: {end.failures[0]}", "build")
    straight: Straight = subject.learned["straight"]
    found = read_histories(folder / "study").values()
    (records,) = [h for h in found if h.growth_epochs == straight.history.growth_epochs]
    check_same_records(straight, records, "alone, and inside a search")
    return Held(f"two trials of {EPOCHS} epochs on Ray; the records alone are the same")
