"""One command that starts a search or goes on with it, as jobs that are restarted need it."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from growsearch.epochs.store import EpochStore
from growsearch.searches.ledger import remove_half_made
from growsearch.searches.resumed import read_search
from growsearch.searches.spaces import find_space
from growsearch.searches.trust import DECIDED, SPACE_FILE
from growsearch.study.copying import copy_place, fetch_study, has_study
from growsearch.study.folder import STUDY_FILE, empty
from growsearch.study.plugins import check_listed
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin, load_plugins
from growsearch.tuning.running import SearchEnd
from growsearch.tuning.search_space import load_spaces, space_plugins
from growsearch.tuning.tuner import resume_search, run_search

_LOG = logging.getLogger("growsearch")


def start_or_resume(
    space_file: str | Path, out: str | Path, *, overrides: dict[str, Any],
    trials: int | None = None, search_seed: int = 0, plugins: Sequence[str] = (), **settings: Any,
) -> SearchEnd:  # fmt: skip
    """`run_search` if there is no study in `out` yet, else `resume_search`, with new `settings`.

    What a kill has left while it made the study is removed. A study that goes on needs no trust in
    its code if that is the code that is given. Without the folder it goes on from its copy, if
    setting `copy_to` names one. Raises InputError if the study has another space,
    other plugins, or trials that were drawn otherwise.
    """
    folder = Path(out)
    copy = copy_place(settings.get("copy_to"))
    fetched = False
    if not (folder / STUDY_FILE).exists() and copy is not None and has_study(copy):
        remove_half_made(folder)
        fetch_study(copy, folder)
        fetched = True
        _LOG.warning("study %s was not there; it goes on from its copy at %s", folder, copy)
    if not (folder / STUDY_FILE).exists():
        return run_search(
            space_file, out, overrides=overrides, trials=trials, search_seed=search_seed,
            plugins=plugins, anew=True, **settings,
        )  # fmt: skip
    info = read_search(folder)
    loaded = load_plugins(plugins)
    load_spaces(space_file, overrides)
    loaded += space_plugins(space_file)
    others = _others(folder, info, space_file, loaded, overrides, trials, search_seed)
    if others and fetched:
        empty(folder)
        with suppress(OSError):  # it may be a link, or where a disk is mounted
            folder.rmdir()
        raise InputError(f"the copy {copy!r} has another {others}; choose a new --copy-to")
    if others:
        raise InputError(
            f"the study in {str(folder)!r} has another {others}; choose a new --out, or go on with "
            "growsearch resume, which takes --extend for more trials"
        )
    if settings.get("store") not in (None, "none"):
        settings["store"] = EpochStore(settings["store"]).place
    stored = info.get("settings", {})
    # what is asked for here needs no other word
    same = all(name in settings or stored.get(name) in (None, "none") for name in DECIDED)
    return resume_search(folder, trust=same, **settings)


def _others(
    folder: Path, info: Mapping[str, Any], space_file: str | Path, plugins: Sequence[Plugin],
    overrides: Mapping[str, Any], trials: int | None, search_seed: int,
) -> str:  # fmt: skip
    """How the search of the study in `folder` differs from the requested one."""
    check_listed(folder, info)
    text = find_space(space_file).read_text()
    own = folder / SPACE_FILE
    differ = {
        "search space": not own.is_file() or own.read_text() != text,
        "trial options": json.loads(json.dumps(overrides)) != info.get("overrides", {}),
        "number of trials": trials is not None and trials > info.get("trials", 0),
        "search seed": search_seed != info.get("search_seed"),
        "plugins": {p["sha256"] for p in info.get("plugins", [])} != {p.digest for p in plugins},
    }
    return ", ".join(name for name, is_so in differ.items() if is_so)
