"""Results on disk: a study is a folder with study.json and trials/<trial_id>.parquet.

A trial's file has one row for each epoch: the fields of EpochRecord, each of its `metrics` in a
column metric/<name>, and the trial's configuration in columns config/<field>, as Tune names them.
Units are in the schema's metadata.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from growsearch.machine.files import replacing
from growsearch.stopping.cost import cost_so_far, costs
from growsearch.study.folder import read_info, study_id, tables_of, trial_file
from growsearch.study.frames import to_frame
from growsearch.study.gathering import usable_ended, warn_of
from growsearch.study.schema import schema
from growsearch.study.sealed import seal
from growsearch.study.tables import (
    ORDER,
    aligned,
    broken_trials,
    checked_rows,
    checked_table,
    chosen,
    columns_of,
    is_sorted,
    read_each,
    schemas_of,
)
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import OWN, RECORD_FIELDS, EpochRecord, History, record_among

if TYPE_CHECKING:
    import pandas as pd  # a local trial writes results on machines without it


_LOG = logging.getLogger("growsearch")


def write_trial(
    folder: str | Path, trial_id: str, config: TrialConfig, records: Iterable[EpochRecord],
    reason: str | None = None, stop: Mapping[str, object] | None = None,
) -> Path:  # fmt: skip
    """Writes all records of a trial so far. Its file is replaced in one step.

    `reason` says why the trial was stopped, pauses, or failed. `stop` holds values for the columns
    dominated_by, slack and bound/...
    """
    shared: dict[str, Any] = {"trial_id": trial_id, "reason": reason}
    shared |= stop or {}
    shared |= {f"config/{name}": value for name, value in config.to_flat().items()}
    records = list(records)
    metrics = dict.fromkeys(name for record in records for name in record.metrics)
    rows = [
        shared | vars(record) | {f"{OWN}{name}": v for name, v in record.metrics.items()}
        for record in records
    ]
    for cost in costs().values():
        if not cost.column:
            for row, spent in zip(rows, cost_so_far(cost, records), strict=True):
                row[cost.result()] = spent
    path = trial_file(folder, trial_id)
    bounds = [name for name in stop or {} if name.startswith(f"bound/{OWN}")]
    table = pa.Table.from_pylist(rows, schema(metrics, bounds))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **study_id(folder)})
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished)
        seal(unfinished)
    return path


def read_histories(folder: str | Path) -> dict[str, History]:
    """The records of each trial in the study, as they were written; a file may have several.

    Raises InputError for a table that is damaged, a trial that is in two tables, or a folder
    without tables.
    """
    histories: dict[str, History] = {}
    places: dict[str, Path] = {}
    for file in tables_of(folder):
        records: dict[str, list[EpochRecord]] = {}
        try:
            there = checked_table(file).names  # an older growsearch had fewer
            wanted = [n for n in there if n in RECORD_FIELDS or n.startswith(OWN)]
            rows = checked_rows(pq.read_table(file, columns=["trial_id", *wanted]))
            for row in rows.to_pylist():
                records.setdefault(row.pop("trial_id"), []).append(_record_of(row))
            for found in records.values():
                if [record.epoch for record in found] != list(range(1, len(found) + 1)):
                    raise ValueError("its epochs are not 1, 2, 3 and so on")
        except (pa.ArrowException, OSError, TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"table {str(file)!r} is damaged ({one_line(error)[:200]}); restore it from a "
                "copy, or remove it: its trial then goes on from the epoch store"
            ) from error
        for name, found in records.items():
            if name in places:
                raise InputError(
                    f"tables {str(places[name])!r} and {str(file)!r} both have trial {name}; "
                    "remove the one that is a copy"
                )
            histories[name], places[name] = History(found), file
    return histories


def histories_of(table: pa.Table) -> dict[str, History]:
    """The records of each trial in `read_table`'s table."""
    wanted = [n for n in table.column_names if n in RECORD_FIELDS or n.startswith(OWN)]
    records: dict[str, list[EpochRecord]] = {}
    for row in table.select(["trial_id", *wanted]).to_pylist():
        records.setdefault(row.pop("trial_id"), []).append(_record_of(row))
    return {name: History(found) for name, found in records.items()}


def _record_of(row: Mapping[str, Any]) -> EpochRecord:
    metrics = {
        name.removeprefix(OWN): value
        for name, value in row.items()
        if name.startswith(OWN) and value is not None
    }
    return record_among({**row, "metrics": metrics})


def read_study(folder: str | Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Every epoch of every trial: a row each, sorted by trial and epoch, columns as in `schema`.

    With `columns` only these are read, and trial_id and epoch. A damaged file is left out, and a
    warning names it. Raises InputError if `folder` is not a study, has no epochs yet that can be
    read, or no such column.
    """
    return to_frame(read_table(folder, columns))


def read_studies(folders: Iterable[str | Path]) -> "pd.DataFrame":
    """`read_study` of several studies in one table; the folder leads each trial_id.

    Of the studies after the first, train_seconds are NaN: they may have run on another machine.
    Raises InputError as `read_study` does, or if a folder is given twice.
    """
    import pandas as pd

    studies: dict[Path, pd.DataFrame] = {}
    for folder in map(Path, folders):
        if folder.resolve() in studies:
            raise InputError(f"study {str(folder)!r} is given twice; give each study once")
        study = read_study(folder)
        study["trial_id"] = f"{folder}/" + study["trial_id"]
        if studies:
            study["train_seconds"] = math.nan
        studies[folder.resolve()] = study
    return pd.concat(studies.values(), ignore_index=True)


def read_table(folder: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """What `read_study` gives, as Arrow's table. Raises InputError as that does."""
    table, damaged = read_undamaged(folder, columns)
    for name, why in damaged.items():
        _LOG.warning("%s is damaged and left out (%s); restore it from a copy", name, why)
    return table


def read_undamaged(
    folder: str | Path, columns: Sequence[str] | None = None
) -> tuple[pa.Table, dict[str, str]]:
    """`read_table`'s table, and by the path of each damaged file what is wrong with it.

    Of trials whose tables are as they were when ENDED_FILE was written, it reads that file. Raises
    InputError as `read_study` does.
    """
    read_info(folder)
    files = tables_of(folder)
    if not files:
        raise InputError(f"study {str(folder)!r} has no finished epoch yet; wait for its first")
    ended = usable_ended(Path(folder), files)
    found, damaged = schemas_of([f for f in files if ended is None or f.name not in ended.tables])
    known = [ended.schema] if ended else []
    wanted = chosen(columns_of([*known, *found.values()]), columns)
    parts = []
    if ended:
        try:
            names = [name for name in wanted.names if name in ended.schema.names]
            rows = aligned(checked_rows(ended.read(names)), wanted)
            if broken := broken_trials(rows):
                raise ValueError(f"it has epochs of trial {min(broken)!r:.50} twice, or not all")
            parts.append(rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            warn_of(ended.file, error)
            more, worse = schemas_of([file for file in files if file.name in ended.tables])
            found, damaged, ended = found | more, damaged | worse, None
    if found:
        held = pc.unique(parts[0]["trial_id"]).to_pylist() if parts else ()
        parts += read_each(list(found), wanted, damaged, held=held)
    reasons = {str(file): one_line(why)[:200] for file, why in damaged.items()}
    if not parts:
        raise InputError(
            f"all tables of study {str(folder)!r} are damaged ({list(reasons.values())[-1]}); "
            "restore them from a copy"
        )
    table = pa.concat_tables(parts)
    return (table if is_sorted(table) else table.sort_by(ORDER)), reasons


def config_of(row: "pd.Series") -> TrialConfig:
    """The configuration of a row of `read_study` or `summarize`.

    Raises InputError if a plugin that it needs is not loaded.
    """
    given = {
        str(name).removeprefix("config/"): value
        for name, value in row.items()
        if str(name).startswith("config/")
    }
    # pandas makes NaN of None
    return TrialConfig.from_flat({n: v for n, v in given.items() if v is not None and v == v})
