"""Revisions of this repository, and what they make of the cases."""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data import write_data
from matrix import Case

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PACKAGE = "growsearch"
WORKERS = 2
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Revision:
    """The package of a revision in a folder of its own, so that edits meanwhile do not count."""

    label: str
    tree: Path
    commit: str | None
    """None for a working tree."""


def check_out(name: str, tree: Path) -> Revision:
    """The revision, or the working tree in a folder, that `name` names, copied to `tree`."""
    if (Path(name) / PACKAGE / "__init__.py").is_file():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(name) / PACKAGE, tree / PACKAGE, ignore=ignored)
        return Revision(f"working tree {name}", tree, None)
    commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    if not commit:
        raise SystemExit(f"{name!r} is neither a revision nor a folder with {PACKAGE}")
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, PACKAGE))) as archive:
        archive.extractall(tree, filter="data")
    return Revision(f"{name} ({commit[:9]})", tree, commit)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], stdout=subprocess.PIPE).stdout


def cache_of(revision: Revision, cache: Path) -> Path:
    """Where results of `revision` stay: a folder for the commit, this program, and the machine."""
    program = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        if path.stem in ("worker", "plain", "data"):
            program.update(path.read_bytes())
    for part in (version("torch"), platform.python_version(), platform.node()):
        program.update(part.encode())
    return cache / f"{revision.commit}-{program.hexdigest()[:12]}"


def run_cases(
    revision: Revision, cases: list[Case], results: Path, folder: Path, over: Path | None = None
) -> float:
    """Have workers run the cases that `results` lacks, in `folder`; the seconds that it took.

    With `over`, the results of another revision, they run over its stores and saved states.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True)
    results.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    listed = folder / "cases.json"
    listed.write_text(json.dumps([vars(case) | {"id": case.id} for case in cases]))
    command = [sys.executable, str(HERE / "worker.py"), str(listed), str(results)]
    if over is not None:
        command += ["--over", str(over)]
    environment = os.environ | {"PYTHONPATH": str(revision.tree)}
    environment |= dict.fromkeys(_ONE_THREAD, "1")
    environment.pop("GROWSEARCH_PRECISION", None)
    logs = [folder / f"worker{i}.log" for i in range(WORKERS)]
    workers = []
    try:
        for log in logs:
            with log.open("w") as file:
                worker = subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
                )
            workers.append(worker)
        codes = [worker.wait() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    if any(codes):
        tail = "\n".join(log.read_text()[-2000:] for log in logs)
        raise SystemExit(f"a worker of {revision.label} ended with {codes}:\n{tail}")
    return time.perf_counter() - started


def read_results(cases: list[Case], results: Path) -> dict[str, Any]:
    """What each case came to, by its name."""
    return {
        case.name: json.loads((results / f"{case.id}.json").read_text())["result"] for case in cases
    }
