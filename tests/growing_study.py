"""A study that grows: more and more trials of a recorded one."""

import os
import shutil
import time
from pathlib import Path

from conftest import ROOT

RECORDED = ROOT / "analysis" / "studies" / "lipgrow_digits"


def copied(folder: Path, count: int, age: float = 0.0) -> list[str]:
    """Copies the recorded study's first trials as if they were written so many seconds ago."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in (RECORDED / "trials").iterdir())[:count]
    for name in ("study.json", *(f"trials/{name}" for name in names)):
        if not (folder / name).exists():
            shutil.copyfile(RECORDED / name, folder / name)
        then = time.time() - age
        os.utime(folder / name, (then, then))
    return [name.removesuffix(".parquet") for name in names]
