"""Where data sets are looked for."""

import os
from pathlib import Path

from growsearch.errors import InputError


def given_folder(data_dir: str, wanted: str) -> Path:
    """`data_dir` as a path; InputError, which says what is `wanted` there, if it is no folder."""
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise InputError(f"data_dir {data_dir!r} is not a folder; give one with {wanted}")
    return folder


def cache_folder() -> Path:
    """Where downloads go, and are found again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growsearch"
