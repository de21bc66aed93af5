"""What the study.json of a search must have, so that the search can go on."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from growsearch.searches.settings import SearchSettings
from growsearch.study.folder import STUDY_FILE, check_has, damaged, read_info
from growsearch.trial.errors import InputError

_NEEDED = ("settings", "overrides", "trials", "search_seed", "resources_per_trial")
"""What each search has written into its study.json, whatever version made it."""
_TOO_LARGE = 2**63


def read_search(folder: str | Path) -> dict[str, Any]:
    """`read_info` of a search that can go on. InputError if it is none, or damaged."""
    info, path = read_info(folder), Path(folder) / STUDY_FILE
    if info.get("command") != "search" and "settings" not in info:
        raise InputError(f"{str(folder)!r} is not a search that can go on; give its --out folder")
    check_has(path, info, _NEEDED)
    _check_settings(path, info["settings"])
    resources = info["resources_per_trial"]
    if not all(fits(amount, float) for amount in resources.values()):
        raise damaged(path, "resources_per_trial", resources)
    for data in info.get("data", []):
        if not (isinstance(data, dict) and data.keys() >= {"key", "digest"}):
            raise damaged(path, "an entry of data", data)
    return info


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    for name, hint in get_type_hints(SearchSettings).items():
        if name in settings and not fits(settings[name], hint):
            raise damaged(path, f"its setting {name}", settings[name])


def fits(value: object, hint: Any) -> bool:
    """Whether a setting with the type `hint` may have this value; components have other rules."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if not {int, float, bool, str} & set(kinds):
        return True
    if value is None or isinstance(value, bool):
        return type(value) in kinds
    if isinstance(value, str):
        return str in kinds and "\0" not in value
    if float not in kinds and not (int in kinds and isinstance(value, int)):
        return False
    # nor NaN, nor an int that is too large for a float
    return isinstance(value, int | float) and (value == math.inf or abs(value) < _TOO_LARGE)
