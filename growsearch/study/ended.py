"""The epochs of all ended trials of a study in one table, which is quick to read.

`trials/*.parquet` have the results. This table only repeats them: it says of each table that it
repeats which size and time of change that table had. Rows of a table that has changed since, or is
gone, are not read. So a copy of a study whose files have other times is read from its tables.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from growsearch.machine.files import opened, replacing
from growsearch.study.frames import compact

ENDED_FILE = "ended.parquet"
TABLE = "table"
"""Its column with the name of the file in trials/ that a row is from."""
_STAMPS = b"tables"
Stamp = tuple[int, int]
"""The size of a file in bytes, and the time of its last change in nanoseconds."""


def stamps(files: Iterable[Path]) -> dict[str, Stamp]:
    """By name, the stamps of the files; not of links and what is no file."""
    found = {}
    for file in files:
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        if S_ISREG(status.st_mode):
            found[file.name] = (status.st_size, status.st_mtime_ns)
    return found


@dataclass(frozen=True)
class Ended:
    """The part of the table whose source files have not changed."""

    file: Path
    schema: pa.Schema
    tables: frozenset[str]
    """The names of these files."""

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Their rows.

        Raises an ArrowException, OSError or ValueError if the table is damaged: its pages have
        checksums. A search may have replaced it since.
        """
        with opened(self.file) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            schema = file.schema_arrow
            # one by one: columns whose rows are all alike never have memory for each row
            found = {name: compact(file.read([name])[name]) for name in columns}
            kinds = pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)
            table = pa.table(found, schema=kinds)
            if _known(schema).keys() != self.tables:
                named = file.read([TABLE])[TABLE]
                table = table.filter(pc.is_in(named, pa.array(sorted(self.tables))))
        return table


def still_right(file: Path, schema: pa.Schema, files: Iterable[Path]) -> Ended:
    """What can be read of the table `file`, beside the `files` in trials/ as they are now.

    Raises ValueError if it does not say what it repeats.
    """
    known = _known(schema)
    if TABLE not in schema.names:
        raise ValueError(f"it has no column {TABLE}")
    now = stamps(files)
    same = frozenset(name for name, stamp in known.items() if now.get(name) == stamp)
    shown = pa.schema([field for field in schema if field.name != TABLE])
    return Ended(file, shown, same)


def _known(schema: pa.Schema) -> dict[str, Stamp]:
    """By name, the stamps of the tables that a table with this schema repeats."""
    try:
        there = json.loads((schema.metadata or {})[_STAMPS])
        return {str(name): (int(size), int(time)) for name, (size, time) in there.items()}
    except (
        KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise ValueError("it does not say which tables it repeats") from error


def write_ended(
    file: Path, columns: pa.Schema, tables: Iterable[pa.Table], known: Mapping[str, Stamp]
) -> None:
    """Writes the rows of these tables, which have these columns and the column TABLE.

    The file is whole and on disk before it gets its name. Raises OSError if it cannot be written,
    and what `tables` raises.
    """
    metadata = {**(columns.metadata or {}), _STAMPS: json.dumps(known).encode()}
    kinds = columns.append(pa.field(TABLE, pa.string())).with_metadata(metadata)
    with replacing(file) as unfinished:
        with pq.ParquetWriter(
            unfinished, kinds, compression="zstd", write_page_checksum=True
        ) as writer:
            for rows in tables:
                writer.write_table(rows.replace_schema_metadata(metadata))
        with unfinished.open("rb+") as written:
            os.fsync(written.fileno())
