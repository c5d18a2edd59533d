"""Rows as SQLite takes them: numbers and texts, since it has no other types.

Dates and times are ISO 8601 texts as SQLite's own functions write them, with a blank
between day and time; moments with a zone are in UTC and end in Z, durations are
[-]HH:MM:SS[.ffffff]. Truth is 1 or 0. Decimals are texts: a column of the numeric kind
makes numbers of them. NaN is NULL there, as SQLite has no such number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.value_text import plain_text


def sqlite_rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Return the rows of a batch for `executemany`."""
    return zip(*(_values(column) for column in batch.columns), strict=True)


def _values(values: pa.Array) -> list[Any]:
    kind = values.type
    if pa.types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    elif pa.types.is_timestamp(kind):
        values = pc.replace_substring(plain_text(values), "T", " ", max_replacements=1)
    elif pa.types.is_date(kind) or pa.types.is_time(kind) or _other(kind):
        values = plain_text(values)
    if not values.null_count and not pa.types.is_string(values.type):
        # Many times as fast as a Python object of Arrow for each value.
        return values.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
    return values.to_pylist()  # type: ignore[no-any-return]


def _other(kind: pa.DataType) -> bool:
    return bool(pa.types.is_duration(kind) or pa.types.is_decimal(kind))
