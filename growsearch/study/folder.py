"""The folder of a study: study.json, and trials/<trial_id>.parquet."""

import json
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from growsearch import __version__
from growsearch.machine.files import UNFINISHED, check_file_name, read_text, write_whole
from growsearch.machine.processor import processor
from growsearch.trial.errors import InputError, because, one_line

STUDY_FILE, TRIALS_FOLDER = "study.json", "trials"
PLUGINS_FOLDER = "plugins"
NETWORKS_FOLDER, STORE_FOLDER = "networks", "epochs"
"""The networks that trials keep; the epoch store of a search, if it has none elsewhere."""
LOG_FILE = "search.jsonl"
"""The events of a search in their order."""
REPORT_FILES = ("report.html", "front.png", "front.csv")
LOCK_FILE, SAMPLER_FILE, TUNE_FOLDER = "search.lock", "optuna.db", "tune"
"""What a running search has: the lock of its log, the sampler's database, and Tune's state."""
STATE_FILE, STATES_FOLDER = "state.safetensors", "states"
"""The training state of `growsearch train`, and those that --save-every keeps."""
_INFO: dict[str, tuple[type, ...]] = {
    "searched": (list, bool), "created": (str,), "versions": (dict,), "hardware": (dict,)
}  # fmt: skip
"""What each study.json has, and of which types."""
_MORE_INFO: dict[str, tuple[type, ...]] = {
    "settings": (dict,), "options": (dict,), "plugins": (list,), "overrides": (dict,),
    "own_metrics": (dict,), "resources_per_trial": (dict,), "data": (list,), "trials": (int,),
    "search_seed": (int,), "to_draw": (int,), "undrawn": (int,),
}  # fmt: skip
"""What it may have too."""
_FIRST = {TRIALS_FOLDER, PLUGINS_FOLDER, "space.py", LOG_FILE, LOCK_FILE}
"""What a study may have before it has its STUDY_FILE."""
_KEPT = re.compile(r".+-[0-9a-f]{16}\.py", re.DOTALL)
"""The names of the files in PLUGINS_FOLDER: see `Plugin.file_name`."""


def create_study(folder: str | Path, **info: Any) -> Path:
    """Makes a study in `folder`, and writes `info` into its study.json.

    Raises InputError if the folder is not empty or cannot be made.
    """
    folder = make_folder(folder)
    write_info(folder, info)
    return folder


def make_folder(folder: str | Path) -> Path:
    """Makes the folder of a study, which is one once `write_info` has been called.

    Raises InputError if the folder is not empty or cannot be made.
    """
    check_vacant(folder)
    folder = Path(folder)
    try:
        (folder / TRIALS_FOLDER).mkdir(parents=True)
    except OSError as error:
        raise _unmade(folder, error) from error
    return folder


def check_vacant(folder: str | Path, remedy: str = "choose a new folder with --out") -> None:
    """InputError, with a `remedy`, if the folder of a new study is neither empty nor new."""
    check_folder(folder)
    folder = Path(folder)
    try:
        vacant = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        half_made = not vacant and is_half_made(folder)
    except OSError as error:
        raise _unmade(folder, error) from error
    if half_made:
        raise InputError(_half_made(folder))
    if not vacant:
        held = "another study" if (folder / STUDY_FILE).exists() else "other files"
        raise InputError(
            f"output folder {str(folder)!r} holds {held}; nothing was changed: {remedy}"
        )


def _unmade(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"output folder {str(folder)!r} cannot be made ({error.strerror}); choose another"
    )


def check_folder(folder: str | Path) -> None:
    """InputError if `folder` is an address like s3://bucket/runs: a study is a folder on disks.

    Its log is locked, and each epoch is appended to it, which object storage cannot do.
    """
    if re.match(r"\w+:/", str(folder)):
        raise InputError(
            f"output folder {str(folder)!r} is an address, and a study needs a folder, whose files "
            f"can be locked and appended to; give one (growsearch search --copy-to {folder} keeps "
            "a copy of it there)"
        )


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Writes the study's `info`, and when and where it was made, into its study.json."""
    made = {"created": datetime.now(UTC).isoformat(timespec="seconds"), **environment()}
    made["id"] = uuid.uuid4().hex
    write_whole(folder / STUDY_FILE, json.dumps({**info, **made}, indent=2) + "\n")


def is_half_made(folder: Path) -> bool:
    """Whether a process was killed between `make_folder` and `write_info`.

    Nothing is in such a folder but what growsearch has written there.
    """
    trials, plugins = folder / TRIALS_FOLDER, folder / PLUGINS_FOLDER
    if not trials.is_dir() or any(trials.iterdir()):
        return False
    there, kept = [*folder.iterdir()], [*plugins.iterdir()] if plugins.is_dir() else []
    for path in (*there, *kept):
        if path.is_symlink() or (path.is_dir() and path not in (trials, plugins)):
            return False
    names = {path.name for path in there} - {f"{STUDY_FILE}{UNFINISHED}"}
    ours = {name.removesuffix(UNFINISHED) for name in names} <= _FIRST
    return ours and all(_KEPT.fullmatch(path.name) for path in kept)


def empty(folder: Path) -> None:
    """Removes what is in `folder`, which stays: it may be a link, or where a disk is mounted.

    A kill meanwhile leaves a folder that `is_half_made`, if it was.
    """
    for path in sorted(folder.iterdir(), key=lambda path: path.name == TRIALS_FOLDER):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _half_made(folder: str | Path) -> str:
    return (
        f"{str(folder)!r} is a study that was interrupted while it was made, before its first "
        "trial; remove the folder and start again"
    )


def environment() -> dict[str, Any]:
    """The versions and the hardware, on which numbers depend besides the configuration."""
    versions = {"growsearch": __version__, "python": platform.python_version()}
    return {
        "versions": versions | {package: version(package) for package in ("torch", "numpy")},
        "hardware": {
            "machine": platform.machine(),
            "processor": processor(),
            "cores": os.cpu_count(),
        },
    }


def read_info(folder: str | Path) -> dict[str, Any]:
    """The study's `info`, as `create_study` wrote it; InputError if `folder` is not a study."""
    path = Path(folder) / STUDY_FILE
    try:
        info = json.loads(read_text(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_half_made(Path(folder)):
            raise InputError(_half_made(folder)) from error
        raise InputError(
            f"{str(folder)!r} is not a study: it has no {STUDY_FILE}; give the folder that "
            "--out named"
        ) from error
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read ({because(error)}); give the folder that --out named"
        ) from error
    except (ValueError, RecursionError) as error:
        said = one_line(error)[:200]
        raise InputError(f"{str(path)!r} is damaged ({said}); restore it from a copy") from error
    if not isinstance(info, dict):
        raise _damaged(path, "it is no dict")
    check_has(path, info, _INFO)
    for name, kinds in (_INFO | _MORE_INFO).items():
        if name in info and not isinstance(info[name], kinds):
            raise damaged(path, name, info[name])
    for name, value in info.get("settings", {}).items():
        if not _is_setting(name, value):
            raise damaged(path, f"its setting {name:.100}", value)
    return info


def check_has(path: Path, info: Mapping[str, Any], names: Iterable[str]) -> None:
    """InputError if the study.json at `path`, which holds `info`, lacks one of `names`."""
    if missing := set(names) - info.keys():
        raise _damaged(path, f"it lacks {', '.join(sorted(missing))}")


def damaged(path: Path, what: str, value: object) -> InputError:
    """The error of a study.json in which `what` has a `value` that it cannot have."""
    return _damaged(path, f"{what} is {str(value)[:100]!r}")


def _damaged(path: Path, said: str) -> InputError:
    return InputError(f"{str(path)!r} is damaged: {said}; restore it from a copy")


def _is_setting(name: str, value: object) -> bool:
    """Whether a search may have this setting; those that are read without its code have types."""
    if name in ("costs", "log"):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if name in ("metric", "scheduler", "sampler", "store", "copy_to"):
        return value is None or isinstance(value, str)
    return True


def add_searched(folder: str | Path, field: str) -> None:
    """Writes into the study's info that its trials differ in `field`."""
    searched = read_info(folder)["searched"]
    if field not in searched:
        change_info(folder, searched=[*searched, field])


def change_info(folder: str | Path, **changes: Any) -> None:
    """Writes what has changed into the study's info."""
    info = read_info(folder) | changes
    write_whole(Path(folder) / STUDY_FILE, json.dumps(info, indent=2) + "\n")


TO_DRAW, UNDRAWN = "to_draw", "undrawn"
"""In study.json, once a search has been extended: how many trials its sampler is to draw, and how
many trials of the search are not the sampler's, besides those from scratch."""
STUDY_ID = "study"
"""Metadata of a trial's file: the id of its study."""


def study_id(folder: str | Path) -> dict[str, str]:
    """Which study a table is of, as its metadata says it; nothing where the study has no id."""
    try:
        path = Path(folder, STUDY_FILE)
        found = _id_of(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError, RecursionError):  # it is written last, or not at all
        return {}
    return {STUDY_ID: found} if found is not None else {}


@lru_cache(maxsize=16)
def _id_of(path: str, changed: int) -> str | None:
    info = json.loads(read_text(Path(path)))
    return str(info["id"]) if isinstance(info, dict) and "id" in info else None


def tables_of(folder: str | Path) -> list[Path]:
    """The files of the trials. InputError if the study has no folder for them."""
    trials = Path(folder) / TRIALS_FOLDER
    if trials.is_symlink() or not trials.is_dir():
        raise InputError(
            f"study {str(folder)!r} has no folder {TRIALS_FOLDER!r} of its own; restore it from a "
            "copy, or make an empty one: trials then go on from the epoch store"
        )
    return sorted(trials.glob("*.parquet"), key=lambda file: file.name)


def is_empty(folder: str | Path) -> bool:
    """Whether no trial of the study has finished an epoch. InputError as for `tables_of`."""
    return not tables_of(folder)


def trial_file(folder: str | Path, trial_id: str) -> Path:
    """The file of a trial. InputError for a name that would lead out of the study."""
    return Path(folder) / TRIALS_FOLDER / f"{check_file_name(trial_id, 'trial')}.parquet"
