"""Columns whose rows are all alike, and Arrow tables as pandas frames: repetition takes no memory.

Half of the columns of most studies are empty, and a dozen others have one text in all rows. Their
rows share memory. pandas copies a column on the first write to it, so users see no difference.
"""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd  # a local trial writes results on machines without it

_PIECE = 2**16
"""Rows of a piece of such a column, which has the piece many times."""


def to_frame(table: pa.Table) -> "pd.DataFrame":
    """`table.to_pandas()`, with the same values and types, in less memory.

    `table` may not be used any more: each column is freed once it has been converted.
    """
    import pandas as pd

    names, same = table.column_names, dict[str, pd.Series]()
    empty = dict[pa.DataType, pd.Series]()
    for field in table.schema:
        column = table[field.name]
        if not _is_uniform(column):
            continue
        if column.null_count:
            if field.type not in empty:
                empty[field.type] = _series(None, field.type, len(column))
            same[field.name] = empty[field.type]
        elif pa.types.is_string(field.type):
            same[field.name] = _series(column[0].as_py(), field.type, len(column))
        del column
    rest = table.drop_columns(list(same))
    del table
    found = rest.to_pandas(split_blocks=True, self_destruct=True)  # never twice in memory
    return pd.DataFrame({n: same[n] if n in same else found[n] for n in names}, copy=False)


def _series(value: object, kind: pa.DataType, rows: int) -> "pd.Series":
    # pandas has large strings: converted from others, each piece would have memory of its own
    stored = pa.large_string() if pa.types.is_string(kind) else kind
    column = _repeated(pa.array([value], stored), rows)
    return pa.table({"column": column}).to_pandas(split_blocks=True)["column"]


def compact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column; if its rows are all alike, with memory for a few of them."""
    if len(column) <= _PIECE or not _is_uniform(column):
        return column
    return _repeated(column.slice(0, 1).combine_chunks(), len(column))


def empty_column(kind: pa.DataType, rows: int) -> pa.ChunkedArray:
    """A column without a value in any row."""
    return _repeated(pa.nulls(1, kind), rows)


def _is_uniform(column: pa.ChunkedArray) -> bool:
    """Whether no row has a value, or all have the same bits."""
    if not len(column) or 0 < column.null_count < len(column):
        return False
    if column.null_count:
        return True
    first = column[0]
    if pa.types.is_nested(column.type) or first != column[-1] or first.as_py() == 0:
        return False  # 0.0 equals -0.0
    return bool(pc.all(pc.equal(column, first)).as_py())


def _repeated(row: pa.Array, rows: int) -> pa.ChunkedArray:
    """A column whose rows are all as the one row."""
    piece = row.take(pa.array([0] * min(rows, _PIECE), pa.int64()))
    pieces = [piece] * (rows // _PIECE) if rows >= _PIECE else []
    return pa.chunked_array([*pieces, piece.slice(0, rows % _PIECE)], row.type)
