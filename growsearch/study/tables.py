"""Tables of trials: read, and checked before they take memory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from growsearch.machine.bounds import MOST_TIMES
from growsearch.machine.files import opened
from growsearch.study.ended import TABLE
from growsearch.study.folder import STUDY_FILE, STUDY_ID, study_id
from growsearch.study.frames import empty_column
from growsearch.study.pages import pages_of
from growsearch.study.schema import UNITS, schema
from growsearch.study.sealed import check_seal
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.history import OWN
from growsearch.trial.options import suggestion
from growsearch.trial.status import Status

_LITTLE_PACKED = ("SNAPPY", "UNCOMPRESSED")
"""Ways to compress that make nothing smaller than a 22nd."""
ORDER = [("trial_id", "ascending"), ("epoch", "ascending")]
NEEDED = ("trial_id", "epoch", "status")
"""Columns that the table of a trial has to have."""
_NUMBERS = (OWN, "cost/", "bound/")
"""What the names of columns begin with that hold numbers, also of plugins."""
_FULL = (*NEEDED, "architecture", "parameters", "param_epochs", "ppe", "grew")
"""Columns that have had a value in each row since the first version."""


def is_sorted(table: pa.Table) -> bool:
    """Whether rows are in ORDER: sorting has all of them twice in memory."""
    trials, epochs = table["trial_id"], table["epoch"]
    same = pc.and_(pc.equal(trials[:-1], trials[1:]), pc.less_equal(epochs[:-1], epochs[1:]))
    return pc.all(pc.or_(pc.less(trials[:-1], trials[1:]), same)).as_py() is not False


def chosen(columns: pa.Schema, wanted: Sequence[str] | None) -> pa.Schema:
    """These of the columns, and those by which rows are sorted."""
    if wanted is None:
        return columns
    for name in wanted:
        if name not in columns.names:
            raise InputError(
                f"the study has no column {name!r}{suggestion(name, tuple(columns.names))}"
            )
    names = dict.fromkeys([name for name, _ in ORDER] + list(wanted))
    return pa.schema([columns.field(name) for name in names], metadata=columns.metadata)


def aligned(table: pa.Table, columns: pa.Schema) -> pa.Table:
    """The table with these columns: null where it has none."""
    there = set(table.column_names)
    return pa.table(
        [
            table[field.name].cast(field.type)
            if field.name in there
            else empty_column(field.type, len(table))
            for field in columns
        ],
        schema=columns,
    )


def read_each(
    files: list[Path], columns: pa.Schema, damaged: dict[Path, Exception], named: bool = False,
    held: Collection[str] = (),
) -> list[pa.Table]:  # fmt: skip
    """The rows of the files, if `named` with the column TABLE.

    Those that turn out to be damaged are added to `damaged`, as are those with a trial that is
    `held` elsewhere.
    """
    try:
        table = _read(files, columns, named)
        if not broken_trials(table, held):
            return [table]
    except (pa.ArrowException, OSError, ValueError):
        pass
    parts = dict[Path, pa.Table]()  # which one it is, each alone tells
    for file in files:
        try:
            parts[file] = _read([file], columns, named)
        except (pa.ArrowException, OSError, ValueError) as error:
            damaged[file] = error
    broken = _with_broken_trials(parts, held)
    damaged |= broken
    return [part for file, part in parts.items() if file not in broken]


def broken_trials(table: pa.Table, held: Collection[str] = ()) -> set[str]:
    """The trials whose epochs in the table are not 1, 2, 3 and so on, each once; those `held`."""
    rows = table.select([name for name, _ in ORDER])
    if not len(rows):
        return set()
    rows = rows if is_sorted(rows) else rows.sort_by(ORDER)
    trials, epochs = rows["trial_id"], rows["epoch"]
    same = pa.chunked_array([pa.array([False]), *pc.equal(trials[1:], trials[:-1]).chunks])
    before = pa.chunked_array([pa.array([0], epochs.type), *epochs[:-1].chunks])
    wrong = pc.not_equal(epochs, pc.add(pc.if_else(same, before, 0), 1))
    broken = set(pc.unique(trials.filter(wrong)).to_pylist())
    return broken | (set(held) & set(pc.unique(trials).to_pylist()) if held else set())


def _with_broken_trials(
    parts: Mapping[Path, pa.Table], held: Collection[str]
) -> dict[Path, Exception]:
    """What is wrong with the tables whose trials' epochs are not 1, 2, 3 and so on, each once.

    Of several tables with all epochs of a trial, the one that is named after it is right.
    """
    if not parts:
        return {}
    order = [name for name, _ in ORDER]
    broken = broken_trials(pa.concat_tables(part.select(order) for part in parts.values()), held)
    trials = {
        file: broken.intersection(pc.unique(part["trial_id"]).to_pylist())
        for file, part in parts.items()
    }
    found, known = dict[Path, Exception](), set(held)
    for file in sorted(parts, key=lambda file: trials[file] != {file.stem}):
        if twice := trials[file] & known:
            found[file] = ValueError(f"its trial {min(twice)!r:.50} is also in another table")
        elif gaps := trials[file] & broken_trials(parts[file]):
            found[file] = ValueError(
                f"the epochs of its trial {min(gaps)!r:.50} are not 1, 2, 3 and so on"
            )
        else:
            known |= trials[file]
    return found


def _read(files: list[Path], columns: pa.Schema, named: bool = False) -> pa.Table:
    source = ["__filename"] if named else []  # as pyarrow calls it
    dataset = pa.dataset.dataset([str(file) for file in files], schema=columns)
    pool = pa.system_memory_pool()  # it gives back at once what is freed
    table = checked_rows(dataset.to_table([*columns.names, *source], memory_pool=pool))
    if not named:
        return table
    names = pc.replace_substring_regex(table[source[0]], pattern=".*/", replacement="")
    return table.drop_columns(source).append_column(TABLE, names)


def checked_rows(table: pa.Table) -> pa.Table:
    """The table.

    Raises ValueError if a column that each row must have has gaps, for a text that is not UTF-8,
    and for a status or an architecture that there is not.
    """
    table.validate(full=True)
    for name in set(_FULL) & set(table.column_names):
        if gaps := table[name].null_count:
            raise ValueError(f"{gaps} of its {table.num_rows} rows have no {name}")
    if "status" in table.column_names:
        unknown = set(pc.unique(table["status"]).to_pylist()) - set(Status)
        if unknown:
            raise ValueError(f"it has the status {min(unknown)!r:.50}, which this growsearch lacks")
    if "architecture" in table.column_names:
        for architecture in pc.unique(table["architecture"]).to_pylist():
            Architecture(architecture)
    return table


def schemas_of(files: list[Path]) -> tuple[dict[Path, pa.Schema], dict[Path, Exception]]:
    """The schemas of the files, and what is wrong with those that are damaged."""
    found, damaged = dict[Path, pa.Schema](), dict[Path, Exception]()
    last = None
    for file in files:
        try:
            columns = checked_table(file)
            # 0.1 MB each: equal ones of thousands of tables are one
            if last is None or not columns.equals(last, check_metadata=True):
                last = columns
            found[file] = last
        except (pa.ArrowException, OSError, ValueError) as error:
            damaged[file] = error
    return found, damaged


def checked_table(file: Path) -> pa.Schema:
    """The schema of a trial's file.

    Raises an ArrowException, OSError or ValueError for what is no such file, and if its pages, its
    values or its texts would take more than MOST_TIMES its size of memory. Each row has times that
    differ, so it takes more than a byte.
    """
    with opened(file) as stream:
        content = stream.read()
    check_seal(content)
    metadata, size = pq.read_metadata(pa.BufferReader(content)), len(content)
    columns = metadata.schema.to_arrow_schema()
    if len(set(columns.names)) < len(columns.names):
        raise ValueError("it has two columns of one name")
    missing = set(NEEDED) - set(columns.names)
    if missing:
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    for column in columns:
        _check_type(column)
    _check_owner(columns, file)
    rows, unpacked, values, texts = metadata.num_rows, 0, 0, dict[str, int]()
    nested = tuple(f"{field.name}." for field in columns if pa.types.is_nested(field.type))
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.num_rows < 0:
            raise ValueError("it has a group of fewer than no rows")
        for chunk in map(group.column, range(group.num_columns)):
            several = f"{chunk.path_in_schema}.".startswith(nested)
            is_text = chunk.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
            if not several and not is_text and chunk.compression in _LITTLE_PACKED:
                values += group.num_rows
                continue
            pages = pages_of(content, chunk)
            unpacked += pages.unpacked
            values += pages.values if several else group.num_rows
            if is_text:
                name = chunk.path_in_schema
                texts[name] = texts.get(name, 0) + group.num_rows * pages.unpacked
    if rows <= 0:
        raise ValueError("it has no row")
    most, taken = MOST_TIMES * size, max(unpacked, 8 * values)
    if rows > size or taken > most:
        raise ValueError(f"it says that {size} bytes hold {rows} rows, {taken} bytes unpacked")
    if (held := _text_bytes(content, columns, texts, most)) > most:
        raise ValueError(f"its {rows} rows may hold {held} bytes of text")
    return columns


def _check_type(column: pa.Field) -> None:
    """ValueError for a type that no version writes, and with which nothing could be computed.

    The options of plugins are not known here: theirs are texts and numbers.
    """
    name, found = column.name, column.type
    known = name in UNITS
    if pa.types.is_float16(found) or (pa.types.is_nested(found) and not known):
        what = "parts" if pa.types.is_nested(found) else "16 bits"
        raise ValueError(f"its column {name} has values of {what}, which growsearch does not write")
    if known:
        wanted = UNITS[name][0]
        if found != wanted and not (_is_number(found) and _is_number(wanted)):
            raise ValueError(f"its column {name} has type {found}, not {wanted}")
    elif name.startswith(_NUMBERS) and not (_is_number(found) or pa.types.is_null(found)):
        raise ValueError(f"its column {name} has type {found}, not a number")


def _check_owner(columns: pa.Schema, file: Path) -> None:
    """ValueError if `file` says that it is of another study; those of older versions do not say."""
    said = (columns.metadata or {}).get(STUDY_ID.encode(), b"").decode(errors="replace")
    own = study_id(file.parent.parent).get(STUDY_ID)
    if said and own is not None and said != own:
        raise ValueError(f"it is of another study, whose id in {STUDY_FILE} is {said[:40]!r}")


def _text_bytes(content: bytes, columns: pa.Schema, most: dict[str, int], much: int) -> int:
    """An upper bound of the bytes of the texts of all rows, stored separately.

    A file has equal texts of a column once, so any row may have all of a column's texts: that is
    the `most` of each column. Where it could be `much`, the texts of the rows are counted.
    """
    if sum(most.values()) <= much:
        return sum(most.values())
    large = [
        name
        for name, size in most.items()
        if size > much // 100 and name in columns.names
        and (pa.types.is_string(kind := columns.field(name).type) or pa.types.is_binary(kind))
    ]  # fmt: skip
    texts = pq.read_table(pa.BufferReader(content), columns=large, read_dictionary=large)
    for name in large:
        lengths = (
            pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py()
            for chunk in texts[name].chunks
        )
        most[name] = sum(length or 0 for length in lengths)
    return sum(most.values())


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def columns_of(found: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of these files, and those of `schema` that an older growsearch did not write.

    Columns of plugins are read as they are, so no plugin needs to be loaded.
    """
    known = schema()
    names = set(known.names)
    others: dict[str, pa.Field] = {}
    for one in found:
        others |= {n: one.field(n) for n in one.names if n not in names}
    return pa.schema([*known, *others.values()], metadata=known.metadata)
