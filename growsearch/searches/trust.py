"""What a study makes `resume` do that only its user may decide: run its code, delete elsewhere.

Each such act is known by a hash of what would run. The hashes of what this user's searches have run
on this machine are in a file of the cache folder, so that resuming one's own study needs no word.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growsearch.machine.cache import cache_folder
from growsearch.machine.files import is_address
from growsearch.searches.spaces import built_in_spaces
from growsearch.study.plugins import find_kept, read_code
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin

SPACE_FILE = "space.py"
DECIDED = ("store", "state_megabytes", "copy_to")
"""Settings by which a study would have files changed elsewhere."""
_LOG = logging.getLogger("growsearch")
Trust = bool | Callable[[str], bool]
"""Whether to do it: yes, no, or what a user answers to a question."""


@dataclass(frozen=True)
class Act:
    """Something that `resume` would do because the study says so."""

    text: str
    """What it is, like "run space.py"."""
    digest: str
    """A hash of all that decides what it does."""


def acts_of(
    folder: Path, info: Mapping[str, Any], settings: Mapping[str, Any], draws: bool,
    given: Mapping[str, Any] | None = None,
) -> list[Act]:  # fmt: skip
    """What resuming the study in `folder` does; `draws` if it draws trials from its space.

    `settings` are the study's; those that the user has `given` hold instead. What the user has
    decided in full is no act of the study. Raises InputError for code that is missing or no file.
    """
    codes = [(path, _code(plugin)) for path, plugin in find_kept(folder, info) if path is not None]
    if draws:
        codes.append((folder / SPACE_FILE, (read_code(folder / SPACE_FILE),)))
    acts = [Act(f"run {p.relative_to(folder)}", _digest("code", *code)) for p, code in codes]
    held = {**settings, **(given or {})}
    theirs = [
        n for n in DECIDED if n not in (given or {}) and settings.get(n) not in (None, "none")
    ]
    place, limit = _place(held.get("store")), held.get("state_megabytes")
    decides = "store" in theirs or "state_megabytes" in theirs
    if decides and place is not None and not _is_inside(place, folder):
        beyond = "" if limit is None else f", and delete states there beyond {limit} MB"
        known_by = str(limit) if "state_megabytes" in theirs else ""
        text = f"keep epochs in the store {place}{beyond}"
        acts.append(Act(text, _digest("store", place, known_by)))
    copy = _place(held.get("copy_to"))
    if "copy_to" in theirs and copy is not None:
        acts.append(Act(f"copy the study to {copy}", _digest("copy", copy)))
    return acts


def _code(plugin: Plugin) -> tuple[str, ...]:
    """All that decides what a plugin does: a module imports its neighbours by its name."""
    return (plugin.source,) if plugin.name.endswith(".py") else (plugin.source, plugin.name)


def check_trust(folder: Path, acts: list[Act], trust: Trust = False) -> None:
    """Says what the study's acts are, and that the user wants them.

    Raises InputError if they are not all known, and `trust` does not allow them.
    """
    if not acts:
        return
    everything = ", ".join(act.text for act in acts)
    _LOG.warning("resuming %s will %s, as the study says", folder, everything)
    known = _known()
    new = ", ".join(act.text for act in acts if act.digest not in known)
    if new and not (trust(f"{new}, from study {str(folder)!r}?") if callable(trust) else trust):
        raise InputError(
            f"resuming {str(folder)!r} would {new}, which this user's searches have not done on "
            "this machine; look at that, and if you want it, add --trust to growsearch resume (in "
            "Python: trust=True), or give search --resume these settings too"
        )
    remember(acts)


def remember(acts: Iterable[Act]) -> None:
    """Takes note that this user wants these acts."""
    known = _known()
    lines = [f"{digest}\n" for digest in dict.fromkeys(act.digest for act in acts)]
    with suppress(OSError):  # without a cache folder, `resume` asks
        cache_folder().mkdir(parents=True, exist_ok=True)
        with _file().open("a") as file:
            file.writelines(line for line in lines if line.strip() not in known)


def _known() -> set[str]:
    known = {_digest("code", path.read_text("utf-8")) for path in built_in_spaces().values()}
    with suppress(OSError, UnicodeDecodeError):
        known |= set(_file().read_text().split())
    return known


def _file() -> Path:
    return cache_folder() / "trusted"


def _place(given: object) -> str | None:
    """A store or copy as it is known by in each working folder; None for none."""
    if given in (None, "none"):
        return None
    text = str(given)
    return text if is_address(text) else str(Path(text).resolve())


def _is_inside(place: str, folder: Path) -> bool:
    return not is_address(place) and Path(place).is_relative_to(folder.resolve())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
