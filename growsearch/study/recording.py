"""A finished study as one small table, to keep or to ship."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from growsearch.machine.files import replacing, write_whole
from growsearch.study.folder import (
    PLUGINS_FOLDER,
    STUDY_FILE,
    TRIALS_FOLDER,
    make_folder,
    read_info,
)
from growsearch.study.plugins import copy_plugins
from growsearch.study.results import read_undamaged
from growsearch.trial.errors import InputError

RECORDED = "all.parquet"
_OF_THIS_MACHINE = ("owner", "store")
"""Settings of a search that say nothing to whoever reads its study."""


def record_study(folder: str | Path, out: str | Path) -> Path:
    """Writes the study in `folder` to `out`, with the epochs of all trials in one file.

    `read_study` gives the same table for both, and plugins are copied. Networks, states and logs
    stay behind, so the copy cannot be resumed. Returns the file. Raises InputError if `folder` has
    no epochs or a damaged table, or `out` holds anything but a study that was recorded before,
    which is replaced.
    """
    table, damaged = read_undamaged(folder)
    if damaged:
        name, why = next(iter(damaged.items()))
        raise InputError(
            f"{name} is damaged ({why}), so the record would lack it; restore it first"
        )
    info, out = read_info(folder), Path(out)
    file = out / TRIALS_FOLDER / RECORDED
    there = {path.name for path in out.iterdir()} if file.is_file() else set()
    if there - {PLUGINS_FOLDER} == {STUDY_FILE, TRIALS_FOLDER}:
        if [path.name for path in file.parent.iterdir()] != [RECORDED]:
            raise InputError(f"{str(out)!r} is a study that was not recorded; choose a new folder")
    else:
        make_folder(out)
    with replacing(file) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    copy_plugins(Path(folder), info, out)
    settings = info.get("settings", {})
    kept = {name: value for name, value in settings.items() if name not in _OF_THIS_MACHINE}
    text = json.dumps({**info, **({"settings": kept} if settings else {})}, indent=2)
    write_whole(out / STUDY_FILE, text + "\n")
    return file
