"""Gathers the tables of all ended trials of a study into one, which is quick to read."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from growsearch.study.ended import ENDED_FILE, TABLE, Ended, stamps, still_right, write_ended
from growsearch.study.folder import tables_of
from growsearch.study.schema import schema
from growsearch.study.tables import ORDER, checked_table, columns_of, read_each, schemas_of
from growsearch.trial.errors import because, one_line
from growsearch.trial.status import Status

AT_ONCE = 100
"""Number of tables that are read at a time: a thousand take 0.5 GB, however few rows they have."""
_LOG = logging.getLogger("growsearch")


class _Damaged(Exception):
    def __init__(self, files: set[Path]) -> None:
        self.files = files


def gather_ended(folder: str | Path) -> None:
    """Writes the tables of all ended trials into one, ENDED_FILE, which is read instead of them.

    Only the process that writes the study may call this. The tables stay: should this one not be
    written, or be damaged, they are read as before.
    """
    folder = Path(folder)
    files = tables_of(folder)
    # As they are before they are read: what changes afterwards is then not taken from this file.
    known = stamps(files)
    if len(known) < 2:
        return
    there = usable_ended(folder, files)
    if there and there.tables == set(known):
        return
    found, _ = schemas_of([file for file in files if file.name in known])
    columns = columns_of(found.values())
    ended = _ended(list(found))
    file = folder / ENDED_FILE
    try:
        while ended:
            repeated = {one.name: known[one.name] for one in ended}
            try:
                write_ended(file, columns, _rows(ended, columns), repeated)
                return
            except _Damaged as damage:
                ended = [one for one in ended if one not in damage.files]
        file.unlink(missing_ok=True)  # one without a row would be taken for damaged
    except OSError as error:
        _LOG.warning(
            "%s cannot be written (%s): reading the study takes longer without it",
            file, because(error),
        )  # fmt: skip


def usable_ended(folder: Path, files: list[Path]) -> Ended | None:
    """The table of all ended trials, if there is one that can be used."""
    file = folder / ENDED_FILE
    try:
        file.lstat()
        ended = still_right(file, checked_table(file), files)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError) as error:
        warn_of(file, error)
        return None
    return ended if ended.tables else None


def warn_of(file: Path, error: Exception) -> None:
    """Says that the table of all ended trials is damaged."""
    _LOG.warning(
        "%s is damaged (%s), so each trial's table is read; remove it: it only repeats them",
        file, one_line(error)[:200],
    )  # fmt: skip


def _ended(files: list[Path]) -> list[Path]:
    """The files in which every trial has ended, and no trial is in another of them too."""
    columns = pa.schema([schema().field(name) for name in ("trial_id", "epoch", "status")])
    done = {status.value for status in Status if status.ended}
    damaged, going, places = dict[Path, Exception](), set[str](), dict[str, str]()
    for some in _in_turn(files):
        for table in read_each(some, columns, damaged, named=True):
            trials = table.sort_by(ORDER).group_by([TABLE, "trial_id"], use_threads=False)
            last = trials.aggregate([("status", "last")]).to_pylist()
            going |= {row[TABLE] for row in last if row["status_last"] not in done}
            for row in last:
                other = places.setdefault(row["trial_id"], row[TABLE])
                going |= {other, row[TABLE]} if other != row[TABLE] else set()
    return [file for file in files if file.name not in going and file not in damaged]


def _rows(files: list[Path], columns: pa.Schema) -> Iterator[pa.Table]:
    """Their rows, with the column TABLE. Raises _Damaged if one of the files turns out to be."""
    for some in _in_turn(files):
        damaged = dict[Path, Exception]()
        for table in read_each(some, columns, damaged, named=True):
            yield table.sort_by(ORDER)
        if damaged:
            raise _Damaged(set(damaged))


def _in_turn(files: list[Path]) -> Iterator[list[Path]]:
    for first in range(0, len(files), AT_ONCE):
        yield files[first : first + AT_ONCE]
