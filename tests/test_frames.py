"""Frames of Arrow tables: what pandas makes of them, in less memory."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import first_quick

from growsearch.study.frames import compact, empty_column, to_frame

ROWS = 3 * 2**16 + 7
"""More than one piece of a column whose rows are all alike, and a rest."""
LIST = pa.list_(pa.float64())


def column(value: object, kind: pa.DataType, rows: int = ROWS) -> pa.Array:
    return pa.array([value] * rows, kind)


def table(rows: int = ROWS) -> pa.Table:
    last = [None] * (rows - 1)
    return pa.table({
        "number": pa.array(np.arange(rows) / 7),
        "empty": pa.nulls(rows, pa.float64()), "empty too": pa.nulls(rows, pa.float64()),
        "no integer": pa.nulls(rows, pa.int64()), "no truth": pa.nulls(rows, pa.bool_()),
        "no text": pa.nulls(rows, pa.string()), "no list": pa.nulls(rows, LIST),
        "no list either": pa.nulls(rows, LIST),
        "text": column("as usual", pa.string(), rows), "blank": column("", pa.string(), rows),
        "texts": pa.array([f"{n % 3}" for n in range(rows)]),
        "one text": pa.array([*last, "x"], pa.string()),
        "one number": pa.array([*last, 1.5]), "one integer": pa.array([*last, 3]),
        "integer": column(3, pa.int64(), rows), "truth": column(True, pa.bool_(), rows),
        "nan": column(math.nan, pa.float64(), rows), "zero": column(-0.0, pa.float64(), rows),
        "list": column([1.0], LIST, rows), "empty list": column([], LIST, rows),
        "mixed zeros": pa.array([0.0, *[-0.0] * (rows - 2), 0.0]),
    })  # fmt: skip


@pytest.mark.parametrize("rows", first_quick([2, ROWS], 1))
def test_a_frame_has_the_values_and_types_that_pandas_makes(rows):
    expected = table(rows).to_pandas()
    frame = to_frame(table(rows))
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    assert np.signbit(frame["mixed zeros"]).tolist() == np.signbit(expected["mixed zeros"]).tolist()


def test_a_table_without_rows_or_columns_is_a_frame_too():
    expected = table(2).slice(0, 0).to_pandas()
    pd.testing.assert_frame_equal(to_frame(table(2).slice(0, 0)), expected)
    assert to_frame(pa.table({})).shape == (0, 0)


def test_columns_that_share_memory_are_changed_alone():
    frame = to_frame(table(5))
    kept = frame.copy(deep=True)
    frame.loc[0, "empty"] = 3.0
    frame.loc[1, "no list"] = "x"
    frame.loc[2, "text"] = "y"
    changed = {"empty": (0, 3.0), "no list": (1, "x"), "text": (2, "y")}
    for name, (row, value) in changed.items():
        assert frame.loc[row, name] == value
        kept[name] = kept[name].where(kept.index != row, value)
    pd.testing.assert_frame_equal(frame, kept)


@pytest.mark.slow
def test_alike_columns_take_no_memory_for_each_row():
    alike = {f"c{n}": pa.nulls(ROWS, pa.float64()) for n in range(20)}
    alike |= {f"t{n}": column("long text " * 9, pa.string()) for n in range(20)}
    made = pa.table(alike)
    before = pa.total_allocated_bytes()
    frame = to_frame(made)
    assert pa.total_allocated_bytes() - before < 20 * 2**16 * 100 * 1.5  # a piece of each text
    addresses = {frame[f"c{n}"].to_numpy().__array_interface__["data"][0] for n in range(20)}
    assert len(addresses) == 1


@pytest.mark.parametrize("name", first_quick(table(2).column_names, 7))
def test_a_compact_column_is_the_same_column(name):
    found, expected = compact(table()[name]), table()[name]
    assert found.type == expected.type and len(found) == len(expected)
    if name == "nan":
        assert all(math.isnan(value) for value in found.to_pylist())
        return
    assert found.equals(expected)
    if "zero" in name:
        assert np.array_equal(np.signbit(found.to_numpy()), np.signbit(expected.to_numpy()))


def test_an_empty_column_has_no_value_in_any_row():
    found = empty_column(LIST, ROWS)
    assert found.type == LIST and (len(found), found.null_count) == (ROWS, ROWS)
    assert len(empty_column(pa.int64(), 0)) == 0
