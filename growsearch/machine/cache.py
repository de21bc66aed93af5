"""Where downloads and measurements are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads go, and are found again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growsearch"
