"""The cache folder, which holds downloads, decoded images and measurements."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/growsearch, or else ~/.cache/growsearch. It may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growsearch"
