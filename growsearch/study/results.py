"""Results on disk: a study is a folder with study.json and trials/<trial_id>.parquet.

A trial's file has one row for each epoch: the fields of EpochRecord, each of its `metrics` in a
column metric/<name>, and the trial's configuration in columns config/<field>, as Tune names them.
Units are in the schema's metadata.
"""

import json
import logging
import math
import os
import platform
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from growsearch import __version__
from growsearch.machine.files import (
    because,
    check_file_name,
    opened,
    read_text,
    replacing,
    write_whole,
)
from growsearch.machine.processor import processor
from growsearch.stopping.cost import cost_so_far, costs, metrics
from growsearch.study.ended import (
    ENDED_FILE,
    TABLE,
    Ended,
    stamps,
    still_right,
    write_ended,
)
from growsearch.study.sealed import check_seal, seal
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import OWN, RECORD_FIELDS, EpochRecord, History, record_among
from growsearch.trial.options import suggestion
from growsearch.trial.status import Status
from growsearch.trial.trial_options import every_option

if TYPE_CHECKING:
    import pandas as pd  # a local trial writes results on machines without it

    from growsearch.study.stretches import Stretches

STUDY_FILE, TRIALS_FOLDER = "study.json", "trials"
NETWORKS_FOLDER, STORE_FOLDER = "networks", "epochs"
"""The networks that trials keep; the epoch store of a search, if it has none elsewhere."""
STATE_FILE, STATES_FOLDER = "state.pt", "states"
"""The training state of `growsearch train`, and those that --save-every keeps."""
_INFO: dict[str, tuple[type, ...]] = {
    "searched": (list, bool), "created": (str,), "versions": (dict,), "hardware": (dict,)
}  # fmt: skip
"""What each study.json has, and of which types."""
_MORE_INFO: dict[str, tuple[type, ...]] = {
    "settings": (dict,), "options": (dict,), "plugins": (list,), "overrides": (dict,),
    "own_metrics": (dict,), "resources_per_trial": (dict,), "data": (list,), "trials": (int,),
    "search_seed": (int,),
}  # fmt: skip
"""What it may have too."""
_MOST_UNPACKED, _MOST_TEXTS = 1000, 2**31
"""A trial's table is refused beyond so many times its size, and so many bytes of text."""
_LOG = logging.getLogger("growsearch")
_FIRST = {TRIALS_FOLDER, "plugins", "space.py", "search.jsonl", "search.lock"}
"""What a study may have before it has its STUDY_FILE."""
_STUDY = "study"
"""Metadata of a trial's file: the id of its study."""
_ORDER = [("trial_id", "ascending"), ("epoch", "ascending")]
_LIST = pa.list_(pa.field("element", pa.float64()))
_UNITS = {
    "epoch": (pa.int64(), "epochs", "number of the epoch, from 1"),
    "phase": (pa.string(), "", "training, initializing or fine-tuning"),
    "architecture": (pa.string(), "blocks per sub-network", "trained in this epoch"),
    "parameters": (pa.int64(), "parameters", "trained in this epoch"),
    "param_epochs": (pa.int64(), "parameters * epochs", "parameters summed over the epochs so far"),
    "ppe": (pa.float64(), "parameters per epoch", "param_epochs / epoch"),
    "macs": (pa.int64(), "multiply-accumulates", "of the network for one example"),
    "example_tokens": (pa.int64(), "tokens", "of an example; 1 for tasks without tokens"),
    "decision": (pa.string(), "", "growth or fine-tuning after the epoch, and its reason"),
    "key": (pa.string(), "", "store key: trials with the same key share the epoch"),
    "precision": (pa.string(), "", "number format of training and evaluation"),
    "compiled": (pa.bool_(), "", "whether training steps were compiled"),
    "reused": (pa.bool_(), "", "whether the epoch came from a store, not from training"),
    "train_flops": (pa.float64(), "FLOPs", "of training so far: 6 * macs for each image"),
    "lr": (pa.float64(), "1", "learning rate of this epoch, the mean over its steps"),
    "train_loss": (pa.float64(), "nats", "mean cross-entropy during training"),
    "train_accuracy": (pa.float64(), "percent", "during training, on augmented images"),
    "val_loss": (pa.float64(), "nats", "mean cross-entropy after the epoch"),
    "val_accuracy": (pa.float64(), "percent", "after the epoch"),
    "test_accuracy": (pa.float64(), "percent", "after the epoch; no decision reads it"),
    "lipschitz": (pa.float64(), "1", "mean Lipschitz constant of the residual blocks"),
    "lipschitz_subnetworks": (_LIST, "1", "the mean over each sub-network's blocks"),
    "lipschitz_blocks": (_LIST, "1", "of each block, if recorded"),
    "lipschitz_layers": (_LIST, "1", "conv1, bn1, conv2, bn2, ... of each block, if recorded"),
    "grew": (pa.bool_(), "", "whether the network grew after this epoch"),
    "grown_val_loss": (pa.float64(), "nats", "val_loss just after the growth"),
    "grown_val_accuracy": (pa.float64(), "percent", "val_accuracy just after the growth"),
    "temporal_error": (_LIST, "feature norm", "e(N, N+) of each sub-network, on held-out images"),
    "functional_difference": (_LIST, "feature norm", "C(N, N+) of each sub-network"),
    "temporal_bound": (_LIST, "feature norm", "Theorem 3's bound of temporal_error"),
    "seconds": (pa.float64(), "s", "wall time of the whole epoch, growth included"),
    "train_seconds": (pa.float64(), "s", "wall time of training"),
    "eval_seconds": (pa.float64(), "s", "wall time of evaluation on validation and test images"),
    "lipschitz_seconds": (pa.float64(), "s", "wall time of the Lipschitz constants"),
    "growth_seconds": (pa.float64(), "s", "wall time of building the grown network"),
    "store_seconds": (pa.float64(), "s", "wall time of reading and writing the epoch store"),
    "status": (pa.string(), "", "running, or how the trial ended after this epoch"),
}
_STOP = {
    "dominated_by": (pa.string(), "", "the completed trial for which this one was stopped"),
    "slack": (
        pa.float64(),
        "percentage points",
        "how much less accurate than this one that trial may be",
    ),
}
"""Why a trial was stopped, or why an audited trial would have been."""


def _cost_columns() -> dict[str, tuple[pa.DataType, str, str]]:
    """The columns of the costs' lower bounds, and of costs that are no field of EpochRecord."""
    known = costs().values()
    least = "the lowest cost that the trial could end with"
    bounds = {f"bound/{cost.result()}": (pa.float64(), cost.unit, least) for cost in known}
    own = {c.result(): (pa.float64(), c.unit, c.summary()) for c in known if not c.column}
    return bounds | own


def _metric_bounds() -> dict[str, tuple[pa.DataType, str, str]]:
    """The columns of the metrics' bounds. Only the scheduler's metric has values."""
    lowest, highest = (
        f"the {best} that the trial could end with" for best in ("lowest", "highest")
    )
    return {
        f"bound/{m.column}": (pa.float64(), m.unit, lowest if m.minimized else highest)
        for m in metrics().values()
    }


_KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def schema(metrics: Iterable[str] = (), bounds: Iterable[str] = ()) -> pa.Schema:
    """The columns of a trial's file, with the options of the plugins that are loaded.

    `metrics` are names of the numbers that the trial's task measures besides loss and accuracy;
    `bounds` are columns of bounds of such a number.
    """

    def column(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
        return pa.field(name, kind, metadata={"unit": unit, "description": description})

    record = [column(name, *_UNITS[name]) for name in RECORD_FIELDS if name != "metrics"]
    measured = "what the trial's task measures"
    record += [column(f"{OWN}{name}", pa.float64(), "", measured) for name in metrics]
    config = [
        column(f"config/{name}", pa.string() if rule.many else _KINDS[rule.kind], "", rule.help)
        for name, rule in every_option().items()
    ]
    trial_id = column("trial_id", pa.string(), "", "the trial's name, the same in all its rows")
    reason = column("reason", pa.string(), "", "why the trial was stopped, pauses, or failed")
    best = "the best that the trial could end with"
    stops = {**_STOP, **_cost_columns(), **_metric_bounds()}
    stops |= {name: (pa.float64(), "", best) for name in bounds}
    stop = [column(name, *described) for name, described in stops.items()]
    return pa.schema(
        [trial_id, *record, reason, *stop, *config], metadata={"growsearch": __version__}
    )


def create_study(folder: str | Path, **info: Any) -> Path:
    """Makes a study in `folder`, and writes `info` into its study.json.

    Raises InputError if the folder is not empty or cannot be made.
    """
    folder = make_folder(folder)
    write_info(folder, info)
    return folder


def make_folder(folder: str | Path) -> Path:
    """Makes the folder of a study, which is one once `write_info` has been called.

    Raises InputError if the folder is not empty or cannot be made.
    """
    check_folder(folder)
    folder = Path(folder)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if is_half_made(folder):
                raise InputError(_half_made(folder))
            held = "another study" if (folder / STUDY_FILE).exists() else "other files"
            raise InputError(
                f"output folder {str(folder)!r} holds {held}; nothing was changed: choose a new "
                "folder with --out"
            )
        (folder / TRIALS_FOLDER).mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"output folder {str(folder)!r} cannot be made ({error.strerror}); choose another"
        ) from error
    return folder


def check_folder(folder: str | Path) -> None:
    """InputError if `folder` is an address like s3://bucket/runs: a study is a folder on disks.

    Its log is locked, and each epoch is appended to it, which object storage cannot do.
    """
    if re.match(r"\w+:/", str(folder)):
        raise InputError(
            f"output folder {str(folder)!r} is an address, and a study needs a folder, whose files "
            f"can be locked and appended to; give one that all nodes see, and --store {folder} for "
            "the epochs"
        )


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Writes the study's `info`, and when and where it was made, into its study.json."""
    made = {"created": datetime.now(UTC).isoformat(timespec="seconds"), **environment()}
    made["id"] = uuid.uuid4().hex
    write_whole(folder / STUDY_FILE, json.dumps({**info, **made}, indent=2) + "\n")


def is_half_made(folder: Path) -> bool:
    """Whether a process was killed between `make_folder` and `write_info`."""
    trials = folder / TRIALS_FOLDER
    if not trials.is_dir() or any(trials.iterdir()):
        return False
    there = {path.name for path in folder.iterdir()} - {f"{STUDY_FILE}.unfinished"}
    return {name.removesuffix(".unfinished") for name in there} <= _FIRST


def _half_made(folder: str | Path) -> str:
    return (
        f"{str(folder)!r} is a study that was interrupted while it was made, before its first "
        "trial; remove the folder and start again"
    )


def environment() -> dict[str, Any]:
    """The versions and the hardware, on which numbers depend besides the configuration."""
    versions = {"growsearch": __version__, "python": platform.python_version()}
    return {
        "versions": versions | {package: version(package) for package in ("torch", "numpy")},
        "hardware": {
            "machine": platform.machine(),
            "processor": processor(),
            "cores": os.cpu_count(),
        },
    }


def read_info(folder: str | Path) -> dict[str, Any]:
    """The study's `info`, as `create_study` wrote it; InputError if `folder` is not a study."""
    path = Path(folder) / STUDY_FILE
    try:
        info = json.loads(read_text(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_half_made(Path(folder)):
            raise InputError(_half_made(folder)) from error
        raise InputError(
            f"{str(folder)!r} is not a study: it has no {STUDY_FILE}; give the folder that "
            "--out named"
        ) from error
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read ({because(error)}); give the folder that --out named"
        ) from error
    except (ValueError, RecursionError) as error:
        said = one_line(error)[:200]
        raise InputError(f"{str(path)!r} is damaged ({said}); restore it from a copy") from error
    if not isinstance(info, dict):
        raise InputError(f"{str(path)!r} is damaged: it is no dict; restore it from a copy")
    missing = _INFO.keys() - set(info)
    if missing:
        lacking = ", ".join(sorted(missing))
        raise InputError(f"{str(path)!r} is damaged: it lacks {lacking}; restore it from a copy")
    for name, kinds in (_INFO | _MORE_INFO).items():
        if name in info and not isinstance(info[name], kinds):
            raise InputError(
                f"{str(path)!r} is damaged: {name} is {str(info[name])[:100]!r}; restore it from "
                "a copy"
            )
    return info


def add_searched(folder: str | Path, field: str) -> None:
    """Writes into the study's info that its trials differ in `field`."""
    info = read_info(folder)
    if field not in info["searched"]:
        info["searched"].append(field)
        write_whole(Path(folder) / STUDY_FILE, json.dumps(info, indent=2) + "\n")


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
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **_owner(folder)})
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished)
        seal(unfinished)
    return path


def _owner(folder: str | Path) -> dict[str, str]:
    """Which study a table is of, as its metadata says it; nothing where the study has no id."""
    try:
        path = Path(folder, STUDY_FILE)
        found = _id_of(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError, RecursionError):  # it is written last, or not at all
        return {}
    return {_STUDY: found} if found is not None else {}


@lru_cache(maxsize=16)
def _id_of(path: str, changed: int) -> str | None:
    info = json.loads(read_text(Path(path)))
    return str(info["id"]) if isinstance(info, dict) and "id" in info else None


def trial_file(folder: str | Path, trial_id: str) -> Path:
    """The file of a trial. InputError for a name that would lead out of the study."""
    return Path(folder) / TRIALS_FOLDER / f"{check_file_name(trial_id, 'trial')}.parquet"


def read_histories(folder: str | Path) -> dict[str, History]:
    """The records of each trial in the study, as they were written; a file may have several.

    Raises InputError for a table that is damaged, a trial that is in two tables, or a folder
    without tables.
    """
    histories: dict[str, History] = {}
    places: dict[str, Path] = {}
    for file in _tables(folder):
        records: dict[str, list[EpochRecord]] = {}
        try:
            there = checked_table(file).names  # an older growsearch had fewer
            wanted = [n for n in there if n in RECORD_FIELDS or n.startswith(OWN)]
            for row in pq.read_table(file, columns=["trial_id", *wanted]).to_pylist():
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


def _tables(folder: str | Path) -> list[Path]:
    """The files of the trials. InputError if the study has no folder for them."""
    trials = Path(folder) / TRIALS_FOLDER
    if trials.is_symlink() or not trials.is_dir():
        raise InputError(
            f"study {str(folder)!r} has no folder {TRIALS_FOLDER!r} of its own; restore it from a "
            "copy, or make an empty one: trials then go on from the epoch store"
        )
    return sorted(trials.glob("*.parquet"), key=lambda file: file.name)


def histories_of(table: pa.Table) -> dict[str, History]:
    """The records of each trial in `read_table`'s table."""
    wanted = [n for n in table.column_names if n in RECORD_FIELDS or n.startswith(OWN)]
    records: dict[str, list[EpochRecord]] = {}
    for row in table.select(["trial_id", *wanted]).to_pylist():
        records.setdefault(row.pop("trial_id"), []).append(_record_of(row))
    return {name: History(found) for name, found in records.items()}


def is_empty(folder: str | Path) -> bool:
    """Whether no trial of the study has finished an epoch. InputError as for `_tables`."""
    return not _tables(folder)


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
    table = read_table(folder, columns)
    return table.to_pandas(split_blocks=True, self_destruct=True)  # never twice in memory


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
    files = _tables(folder)
    if not files:
        raise InputError(f"study {str(folder)!r} has no finished epoch yet; wait for its first")
    ended = _ended(Path(folder), files)
    found, damaged = _schemas([f for f in files if ended is None or f.name not in ended.tables])
    known = [ended.schema] if ended else []
    wanted = _chosen(_columns([*known, *found.values()]), columns)
    parts = []
    if ended:
        try:
            names = [name for name in wanted.names if name in ended.schema.names]
            parts.append(_aligned(ended.read(names), wanted))
        except (pa.ArrowException, OSError, ValueError) as error:
            _warn_of(ended.file, error)
            more, worse = _schemas([file for file in files if file.name in ended.tables])
            found, damaged, ended = found | more, damaged | worse, None
    if found:
        parts += _read_each(list(found), wanted, damaged)
    reasons = {str(file): one_line(why)[:200] for file, why in damaged.items()}
    if not parts:
        raise InputError(
            f"all tables of study {str(folder)!r} are damaged ({list(reasons.values())[-1]}); "
            "restore them from a copy"
        )
    table = pa.concat_tables(parts)
    return (table if _is_sorted(table) else table.sort_by(_ORDER)), reasons


def _is_sorted(table: pa.Table) -> bool:
    """Whether rows are in _ORDER: sorting has all of them twice in memory."""
    trials, epochs = table["trial_id"], table["epoch"]
    same = pc.and_(pc.equal(trials[:-1], trials[1:]), pc.less_equal(epochs[:-1], epochs[1:]))
    return pc.all(pc.or_(pc.less(trials[:-1], trials[1:]), same)).as_py() is not False


def gather_ended(folder: str | Path) -> None:
    """Writes the tables of all ended trials into one, ENDED_FILE, which is read instead of them.

    Only the process that writes the study may call this. The tables stay: should this one not be
    written, or be damaged, they are read as before.
    """
    folder = Path(folder)
    files = _tables(folder)
    before = stamps(files)
    if len(before) < 2:
        return
    damaged = dict[Path, Exception]()
    ended = _ended(folder, files)
    if ended and ended.tables == set(before):
        return
    found, _ = _schemas([file for file in files if file.name in before])
    parts = _read_each(list(found), _columns(found.values()), damaged, named=True)
    if not parts:
        return
    table = pa.concat_tables(parts).sort_by(_ORDER)
    last = table.group_by([TABLE, "trial_id"], use_threads=False).aggregate([("status", "last")])
    done = {status.value for status in Status if status.ended}
    going = {row[TABLE] for row in last.to_pylist() if row["status_last"] not in done}
    after = stamps(files)
    known = {
        name: stamp
        for name, stamp in before.items()
        if name not in going and after.get(name) == stamp and folder / TRIALS_FOLDER / name in found
    }
    rows = table.filter(pc.is_in(table[TABLE], pa.array(list(known), pa.string())))
    try:
        write_ended(folder / ENDED_FILE, rows, known)
    except OSError as error:
        _LOG.warning(
            "%s cannot be written (%s): reading the study takes longer without it",
            folder / ENDED_FILE, because(error),
        )  # fmt: skip


def _ended(folder: Path, files: list[Path]) -> Ended | None:
    """The table of all ended trials, if there is one that can be used."""
    file = folder / ENDED_FILE
    if not os.path.lexists(file):
        return None
    try:
        ended = still_right(file, checked_table(file), files)
    except (pa.ArrowException, OSError, ValueError) as error:
        _warn_of(file, error)
        return None
    return ended if ended.tables else None


def _warn_of(file: Path, error: Exception) -> None:
    _LOG.warning(
        "%s is damaged (%s), so each trial's table is read; remove it: it only repeats them",
        file, one_line(error)[:200],
    )  # fmt: skip


def _chosen(columns: pa.Schema, wanted: Sequence[str] | None) -> pa.Schema:
    """These of the columns, and those by which rows are sorted."""
    if wanted is None:
        return columns
    for name in wanted:
        if name not in columns.names:
            raise InputError(
                f"the study has no column {name!r}{suggestion(name, tuple(columns.names))}"
            )
    names = dict.fromkeys([name for name, _ in _ORDER] + list(wanted))
    return pa.schema([columns.field(name) for name in names], metadata=columns.metadata)


def _aligned(table: pa.Table, columns: pa.Schema) -> pa.Table:
    """The table with these columns: null where it has none."""
    there = set(table.column_names)
    return pa.table(
        [
            table[field.name].cast(field.type)
            if field.name in there
            else pa.nulls(len(table), field.type)
            for field in columns
        ],
        schema=columns,
    )


def _read_each(
    files: list[Path], columns: pa.Schema, damaged: dict[Path, Exception], named: bool = False
) -> list[pa.Table]:
    """The rows of the files, if `named` with the column TABLE.

    Those that turn out to be damaged are added to `damaged`.
    """
    try:
        return [_read(files, columns, named)]
    except (pa.ArrowException, OSError):  # which one it is, each alone tells
        parts = []
        for file in files:
            try:
                parts.append(_read([file], columns, named))
            except (pa.ArrowException, OSError) as error:
                damaged[file] = error
        return parts


def _read(files: list[Path], columns: pa.Schema, named: bool = False) -> pa.Table:
    source = ["__filename"] if named else []  # as pyarrow calls it
    dataset = pa.dataset.dataset([str(file) for file in files], schema=columns)
    table = dataset.to_table([*columns.names, *source])
    if not named:
        return table
    names = pc.replace_substring_regex(table[source[0]], pattern=".*/", replacement="")
    return table.drop_columns(source).append_column(TABLE, names)


def _schemas(files: list[Path]) -> tuple[dict[Path, pa.Schema], dict[Path, Exception]]:
    """The schemas of the files, and what is wrong with those that are damaged."""
    found, damaged = dict[Path, pa.Schema](), dict[Path, Exception]()
    for file in files:
        try:
            found[file] = checked_table(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            damaged[file] = error
    return found, damaged


def checked_table(file: Path) -> pa.Schema:
    """The schema of a trial's file.

    Raises an ArrowException, OSError or ValueError for what is no such file, or would take far more
    memory than it has bytes. Each row has times that differ, so it takes more than a byte.
    """
    with opened(file) as stream:
        check_seal(stream)
        size = stream.seek(0, os.SEEK_END)
        metadata = pq.read_metadata(stream)
    columns = metadata.schema.to_arrow_schema()
    missing = {"trial_id", "epoch", "status"} - set(columns.names)
    if missing:
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    for name in set(columns.names) & set(_UNITS):
        found, wanted = columns.field(name).type, _UNITS[name][0]
        if found != wanted and not (_is_number(found) and _is_number(wanted)):
            raise ValueError(f"its column {name} has type {found}, not {wanted}")
    _check_owner(columns, file)
    rows, groups = metadata.num_rows, map(metadata.row_group, range(metadata.num_row_groups))
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
    most = max((chunk.num_values for chunk in chunks), default=0)  # of lists those of all rows
    if rows == 0:
        raise ValueError("it has no row")
    if max(rows, most) > size or unpacked > _MOST_UNPACKED * size:
        raise ValueError(f"it says that {size} bytes hold {rows} rows, {unpacked} bytes unpacked")
    texts = _text_bytes(file, metadata)
    if texts > _MOST_TEXTS:
        raise ValueError(f"its {rows} rows may hold {texts} bytes of text")
    return columns


def _check_owner(columns: pa.Schema, file: Path) -> None:
    """ValueError if `file` says that it is of another study; those of older versions do not say."""
    said = (columns.metadata or {}).get(_STUDY.encode(), b"").decode(errors="replace")
    own = _owner(file.parent.parent).get(_STUDY)
    if said and own is not None and said != own:
        raise ValueError(f"it is of another study, whose id in {STUDY_FILE} is {said[:40]!r}")


def _text_bytes(file: Path, metadata: pq.FileMetaData) -> int:
    """A bound of the bytes that the texts of all rows take once each row has its own.

    A file has equal texts of a column once, so any row may have all of a column's texts. Where that
    could be much, the texts of the rows are counted.
    """
    most: dict[str, int] = {}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.physical_type == "BYTE_ARRAY":
                size = group.num_rows * chunk.total_uncompressed_size
                most[chunk.path_in_schema] = most.get(chunk.path_in_schema, 0) + size
    if sum(most.values()) <= _MOST_TEXTS:
        return sum(most.values())
    columns = metadata.schema.to_arrow_schema()
    large = [
        name
        for name, size in most.items()
        if size > _MOST_TEXTS // 100 and name in columns.names
        and (pa.types.is_string(kind := columns.field(name).type) or pa.types.is_binary(kind))
    ]  # fmt: skip
    with opened(file) as stream:
        texts = pq.read_table(stream, columns=large, read_dictionary=large)
    for name in large:
        lengths = (
            pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py()
            for chunk in texts[name].chunks
        )
        most[name] = sum(length or 0 for length in lengths)
    return sum(most.values())


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _columns(found: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of these files, and those of `schema` that an older growsearch did not write.

    Columns of plugins are read as they are, so no plugin needs to be loaded.
    """
    known = schema()
    others: dict[str, pa.Field] = {}
    for one in found:
        others |= {n: one.field(n) for n in set(one.names) - set(known.names)}
    return pa.schema([*known, *others.values()], metadata=known.metadata)


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


def _growth_epochs(study: "pd.DataFrame", trials: "Stretches") -> list[str]:
    """Of each trial, like "12 20"."""
    epochs = study["epoch"].to_numpy(dtype=int)
    found: list[list[str]] = [[] for _ in trials.starts]
    for row in np.flatnonzero(study["grew"].to_numpy(dtype=bool)):
        found[trials.of[row]].append(str(epochs[row]))
    return [" ".join(numbers) for numbers in found]


def _growth_ended(study: "pd.DataFrame", trials: "Stretches") -> list[str | None]:
    """Of each trial, why fine-tuning began, or None."""
    decided = ~study["grew"].to_numpy(dtype=bool) & study["decision"].notna().to_numpy()
    rows = np.flatnonzero(decided)
    found: list[str | None] = [None] * len(trials.starts)
    for row, text in zip(rows, study["decision"].iloc[rows], strict=True):
        found[trials.of[row]] = str(text).removeprefix("fine-tunes: ")
    return found


def was_paid(study: "pd.DataFrame") -> "pd.Series":
    """For each row of `read_study`'s table, whether the epoch was trained, not recalled."""
    return ~study["reused"].eq(True)


def _best(study: "pd.DataFrame", trials: "Stretches") -> Any:
    """The row of each trial's best epoch; NaN is no best."""
    accuracies, losses = (
        study[name].to_numpy(dtype=float, na_value=math.nan)
        for name in ("val_accuracy", "val_loss")
    )
    has_accuracy = trials.sum(~np.isnan(accuracies)) > 0
    values = np.where(has_accuracy[trials.of], accuracies, -losses)
    values = np.where(np.isnan(values), -math.inf, values)
    return trials.starts + trials.first(values == trials.most(values)[trials.of]).astype(int)


SUMMARIZED = (
    "architecture", "parameters", "train_flops", "reused", "val_loss", "val_accuracy",
    "test_accuracy", "grew", "grown_val_loss", "decision", "seconds", "status",
)  # fmt: skip
"""Columns that `summarize` needs besides trial_id and epoch; the others it takes as they are."""


def summarize(study: "pd.DataFrame") -> "pd.DataFrame":
    """A table with one row for each trial: the columns of its last epoch, and these:

    - epochs, growth_epochs ("12 20"), growth_ended (why fine-tuning began, or None), seconds (the
      sum over epochs);
    - best_epoch, best_val_accuracy, best_val_loss, test_accuracy_at_best: the epoch of the best
      validation accuracy, or of the lowest loss where there is no accuracy; its network may be
      shallower than the last one;
    - loss_jump, mixing_to_best, mixing_to_trend: of the last growth, as `growths` defines them;
    - paid_epochs, paid_param_epochs, paid_flops, paid_seconds: what was trained for this trial.

    epochs, param_epochs, train_flops and seconds are nominal: they also count epochs that came from
    a store.
    """
    import pandas as pd

    from growsearch.study.growths import growths
    from growsearch.study.stretches import by_trial

    last_growths = growths(study).drop_duplicates("trial_id", keep="last").set_index("trial_id")
    study, trials = by_trial(study)
    ends = np.append(trials.starts[1:], len(study)) - 1
    last, best = study.iloc[ends], study.iloc[_best(study, trials)]
    paid = was_paid(study).to_numpy(dtype=bool)
    flops, seconds, parameters = (
        study[name].to_numpy(dtype=float, na_value=math.nan)
        for name in ("train_flops", "seconds", "parameters")
    )
    before = np.append(math.nan, flops[:-1])
    before[trials.starts] = math.nan
    of_epoch = np.where(np.isnan(flops - before), flops, flops - before)
    table = last.drop(columns=["epoch", "grew", "seconds"]).reset_index(drop=True)
    more = {
        "epochs": last["epoch"].to_numpy(dtype=int),
        "growth_epochs": _growth_epochs(study, trials),
        "growth_ended": _growth_ended(study, trials),
        "seconds": trials.sum(seconds),
        "best_epoch": best["epoch"].to_numpy(dtype=int),
        "best_val_accuracy": best["val_accuracy"].array,
        "best_val_loss": best["val_loss"].array,
        "test_accuracy_at_best": best["test_accuracy"].array,
        "paid_epochs": trials.sum(paid).astype(int),
        "paid_param_epochs": trials.sum(parameters, paid).astype(int),
        "paid_flops": trials.sum(of_epoch, paid),
        "paid_seconds": trials.sum(seconds, paid),
    }
    mixing = last_growths[["loss_jump", "mixing_to_best", "mixing_to_trend"]]
    table = pd.concat([table, pd.DataFrame(more)], axis=1)
    return table.join(mixing, on="trial_id")
