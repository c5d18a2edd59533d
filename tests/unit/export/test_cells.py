"""Cells hold the very texts of `plain_text`, whatever stands in a column."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.export.cells import cells, text_cells
from syntheflow_server.export.lines import lines
from syntheflow_server.export.value_text import plain_text

_LEAST, _MOST = -(2**63), 2**63 - 1
_DAYS = [dt.date(2024, 2, 29), dt.date(1900, 1, 1), dt.date(2099, 12, 31)]
_FAR = [dt.date(1, 1, 1), dt.date(1899, 12, 31), dt.date(2100, 1, 1), dt.date(9999, 12, 31)]
_SECOND, _DAY = 1_000_000, 86_400_000_000
COLUMNS = {
    "small": pa.array([0, 1, 9, 10, 9_999, 10_000, 10_001, 99_999_999, 100_000_000]),
    "wide": pa.array([_LEAST, _LEAST + 1, -1, 0, _MOST, -10_000, 1_000_000_000_000]),
    "prices": pa.array([12.5, 0.0, -0.0, 0.01, -3.0, 99_999.99, 9_999_999_999.99]),
    "halves": pa.array([0.5, 10_000.5, -20_000.0]),
    "fine": pa.array([0.0001, -1.2345, 3.0]),
    "floats": pa.array([1 / 3, 1e300, -1e-7, 1e10, float("nan"), float("inf"), 2.0]),
    "truth": pa.array([True, False, True]),
    "days": pa.array(_DAYS),
    "far days": pa.array(_FAR),
    "moments": pa.array([0, -1, _DAY, 1_700_000_000 * _SECOND], pa.timestamp("us")),
    "seconds": pa.array([0, 1_700_000_000 * _SECOND, -_SECOND], pa.timestamp("us")),
    "zoned": pa.array([0, 1_700_000_000_000_123], pa.timestamp("us", tz="Europe/Berlin")),
    "far moments": pa.array([0, -(10**17)], pa.timestamp("us")),
    "clock": pa.array([0, 1, 1_000, _DAY - 1, 3_600 * _SECOND], pa.time64("us")),
    "spans": pa.array([0, -1, 30 * 3_600 * _SECOND], pa.duration("us")),
    "exact": pa.array([decimal.Decimal(x) for x in ("0.50", "-0.05", "9999999.99")]),
    "whole": pa.array([decimal.Decimal(x) for x in ("0", "-7", "12345678")]),
    "long": pa.array([decimal.Decimal("12345678901234567890.12"), decimal.Decimal("-0.50")]),
    "text": pa.array(["", "a", "日本", "x" * 40, " "]),
    "uneven": pa.array(["x" * 5_000, "", "b"]),
    "zero bytes": pa.array(["a\0b", "\0", "c"]),
    "nothing": pa.array([""], pa.string()),
}


def written(values: pa.Array) -> pa.Array:
    return lines([b"<", *cells(values), b">"], len(values))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("form", ["all there", "some missing", "all missing", "a slice"])
def test_cells_are_the_texts_of_a_column(name: str, form: str) -> None:
    values = COLUMNS[name]
    if form != "all there":
        gaps = pa.array(np.arange(len(values)) % 2 == 0) if form != "all missing" else None
        values = pc.if_else(gaps, values, None) if gaps else pa.nulls(len(values), values.type)
        values = pa.concat_arrays([COLUMNS[name], values])
        values = values.slice(len(values) // 2) if form == "all missing" else values
        values = values.slice(1, len(values) - 2) if form == "a slice" else values
    expected = [f"<{text or ''}>" for text in plain_text(values).to_pylist()]
    assert written(values).to_pylist() == expected


def test_what_stands_behind_a_missing_text_is_not_written() -> None:
    offsets, data = pa.py_buffer(np.array([0, 3, 6], np.int32)), pa.py_buffer(b"yesno!")
    hidden = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\1"), offsets, data], 1)
    assert lines([text_cells(hidden), b";"], 2).to_pylist() == ["yes;", ";"]


def test_more_rows_than_fit_one_table_come_in_order() -> None:
    numbers = pa.array(np.arange(300_000))
    made = lines([*cells(numbers), b",", text_cells(pc.cast(numbers, pa.string()))], len(numbers))
    expected = [f"{number},{number}" for number in range(len(numbers))]
    assert made.to_pylist() == expected


def test_a_row_of_many_parts_is_counted_right() -> None:
    parts = [text_cells(pa.array(["x" * 2_000, ""]))] * 4 + [b"y" * 3_000] * 4
    assert [len(text) for text in lines(parts, 2).to_pylist()] == [20_000, 12_000]
