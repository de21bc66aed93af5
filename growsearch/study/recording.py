"""A finished study as one small table, to keep or to ship."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from growsearch.machine.files import write_whole
from growsearch.study.folder import STUDY_FILE, TRIALS_FOLDER, make_folder, read_info
from growsearch.study.results import read_table
from growsearch.trial.errors import InputError

RECORDED = "all.parquet"
_OF_THIS_MACHINE = ("owner", "store")
"""Settings of a search that say nothing to whoever reads its study."""


def record_study(folder: str | Path, out: str | Path) -> Path:
    """Writes the study in `folder` to `out`, with the epochs of all trials in one file.

    `read_study` gives the same table for both. Networks, states and logs stay behind, so the copy
    cannot be resumed. Returns the file. Raises InputError if `folder` has no epochs, or `out` holds
    anything but a study that was recorded before, which is replaced.
    """
    table, info, out = read_table(folder), read_info(folder), Path(out)
    file = out / TRIALS_FOLDER / RECORDED
    if file.is_file() and {p.name for p in out.iterdir()} == {STUDY_FILE, TRIALS_FOLDER}:
        if [path.name for path in file.parent.iterdir()] != [RECORDED]:
            raise InputError(f"{str(out)!r} is a study that was not recorded; choose a new folder")
        file.unlink()
        file.parent.rmdir()
        (out / STUDY_FILE).unlink()
    make_folder(out)
    pq.write_table(table, file, compression="zstd")
    settings = info.get("settings", {})
    kept = {name: value for name, value in settings.items() if name not in _OF_THIS_MACHINE}
    text = json.dumps({**info, **({"settings": kept} if settings else {})}, indent=2)
    write_whole(out / STUDY_FILE, text + "\n")
    return file
