"""Reads hostile files with every command that reads, and says what came of it.

    python tests/hostile/reading.py FOLDER [NAME ...]

A line of JSON for each way to be hostile: what was said, what must not have been done and was,
megabytes of memory, seconds.
"""

import contextlib
import io
import json
import logging
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import honest
import studies
from watch import Watch, changes, tree

import growsearch
from growsearch.cli import main as growsearch_command
from growsearch.epochs.store import EpochStore
from growsearch.tasks.images.mnist import read_idx
from growsearch.training.state import read_state
from growsearch.trial.errors import InputError


def commands(reads: str, folder: Path) -> dict[str, Callable[[], object]]:
    """By name, what reads such files."""
    study = folder / "study"
    model = str(folder / "network.safetensors")
    return {
        "study": {
            "report": lambda: _run("report", study),
            "best": lambda: _run("best", study, "--json"),
            "compare": lambda: _run("compare", study, folder.parent / "honest/study", "--force"),
            "export": lambda: _run("export", study, "--out", folder / "out.safetensors"),
            "record": lambda: _run("record", study, folder / "recorded"),
            "read_study": lambda: len(growsearch.read_study(study)),
            "Study": lambda: len(growsearch.Study(study).trials),
        },
        "store": {
            "ls": lambda: _run("store", "ls", folder / "store"),
            "verify": lambda: _run("store", "verify", folder / "store"),
            "record": lambda: EpochStore(str(folder / "store")).record(honest.KEY),
            "state": lambda: EpochStore(str(folder / "store")).state(honest.KEY),
            "gc": lambda: _run("store", "gc", folder / "store", "--state-megabytes", "1"),
        },
        "state": {"read_state": lambda: read_state(folder / "state.safetensors")},
        "network": {
            "load_network": lambda: growsearch.load_network(model),
            "predict": lambda: _run("predict", model, folder / "no.png"),
        },
        "picture": {"predict": lambda: _run("predict", model, folder / "picture.png")},
        "copy": {"fetch": lambda: _run("fetch", study, folder / "fetched")},
        "images": {"read_idx": lambda: read_idx(_renamed(folder / "images"), 3)},
        "arrays": {
            "loaded": lambda: (
                growsearch.TrialConfig(
                    data_dir=str(folder / "images.npz"), dataset="arrays"
                ).task.loaded
            )
        },
    }[reads]


def _run(*arguments: object) -> int:
    return growsearch_command([str(argument) for argument in arguments])


def _renamed(path: Path) -> Path:
    return path.rename(path.with_suffix(".gz")) if path.exists() else path.with_suffix(".gz")


def done(action: Callable[[], object], watch: Watch) -> dict[str, Any]:
    """What comes of an action."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    Path("/proc/self/clear_refs").write_text("5")  # the highest use of memory so far
    before, begin, failed = _memory("VmRSS"), time.monotonic(), ""
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        watch.watching() as seen,
    ):
        try:
            action()
        except InputError as error:
            said.write(f"{error}\n")
        except SystemExit as end:
            said.write(f"exit code {end.code}\n")
        except BaseException:
            failed = traceback.format_exc()
    logging.getLogger().removeHandler(handler)
    return {
        "said": said.getvalue(), "seen": seen, "failed": failed,
        "megabytes": (_memory("VmHWM") - before) // 1000,
        "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def _memory(which: str) -> int:
    """Kilobytes of this process: "VmRSS", now, or "VmHWM", at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(which)))


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(studies.HOSTILE)
    files = folder / "honest"
    files.mkdir()
    honest.made(files)
    watch = Watch(folder)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        outside = studies.Outside(folder / "proof", folder / "outside/precious", address)
        outside.fill(files)
        warm = shutil.copytree(files, folder / "warm")
        for kind in dict.fromkeys(studies.HOSTILE[name].reads for name in names):
            for command, action in commands(kind, warm).items():  # libraries are imported
                result = done(action, watch)
                print(json.dumps({"name": "honest", "command": command, **result}), flush=True)
        others = {*names, "cache"}  # some of them are too large to read
        for name in names:
            place = folder / name
            made = studies.make(name, place, outside, files)
            sys.path.insert(0, str(place))  # as `python -m growsearch` has it there
            actions = commands(made.reads, place)
            if made.resume:
                import growsearch.tuning.search  # noqa: F401  # Ray makes code when it is imported

                actions["resume"] = partial(_run, "resume", place / "study")
            watch.folders = (place, folder / "cache")
            for command, action in actions.items():
                before = tree(folder, but=others)
                result = done(action, watch)
                result["seen"] += changes(before, tree(folder, but=others))
                try:
                    server.accept()
                    result["seen"].append("a connection")
                except BlockingIOError:
                    pass
                print(json.dumps({"name": name, "command": command, **result}), flush=True)
            sys.path.remove(str(place))


if __name__ == "__main__":
    main()
