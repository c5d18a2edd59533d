"""What a column is to a judge, and its values as numbers or codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, Schema, SemanticType
from syntheflow_server.quality.evidence import MARGINAL_ROWS

MISSING = -1
"""Code of a missing value."""

TEXT_DISTINCT = 200
"""Free text with more different values than this is judged by its form."""

_TEMPORAL = {SemanticType.DATE, SemanticType.DATETIME, SemanticType.TIME}
_CODED = {SemanticType.CATEGORY, SemanticType.CODE}


class Kind(StrEnum):
    """How a column is judged."""

    KEY = "key"  # identifiers and references: their values say nothing, metrics of relations do
    NUMBER = "number"
    TIME = "time"  # dates, times of day, points in time
    CATEGORY = "category"
    TEXT = "text"  # near-unique strings: only their form is compared


def column_kinds(schema: Schema, table: str, rows: pa.Table) -> dict[str, Kind]:
    """Return the kind of each column; strings are categories if training rows repeat them.

    `rows` are the training rows of the table.
    """
    declared = schema.table(table)
    keys = {name for key in schema.references_from(table) for name in key.child_columns}
    if len(declared.primary_key) == 1:
        (name,) = declared.primary_key
        if declared.column(name).semantic_type not in _TEMPORAL:
            keys.add(name)
    head = rows.slice(0, MARGINAL_ROWS)
    return {
        column.name: Kind.KEY if column.name in keys else _kind(column, head.column(column.name))
        for column in declared.columns
    }


def _kind(column: Column, values: pa.ChunkedArray) -> Kind:
    if column.semantic_type is SemanticType.IDENTIFIER:
        return Kind.KEY
    if column.semantic_type in _TEMPORAL and not pa.types.is_string(values.type):
        return Kind.TIME
    if pa.types.is_boolean(values.type):
        return Kind.CATEGORY
    text = pa.types.is_string(values.type)
    if not text and column.semantic_type not in _CODED:
        return Kind.NUMBER
    present = len(values) - values.null_count
    distinct = pc.count_distinct(values).as_py()
    wordy = column.semantic_type is SemanticType.TEXT and distinct > TEXT_DISTINCT
    if distinct * 2 <= present + 1 and not wordy:
        return Kind.CATEGORY
    return Kind.TEXT if text else Kind.NUMBER


def six_digits(values: np.ndarray) -> np.ndarray:
    """Return the values at six significant digits; missing and infinite ones are NaN.

    A generator that stores float32 is not to be told from the original by the last bits.
    """
    finite = np.isfinite(values) & (values != 0)
    size = np.floor(np.log10(np.abs(values, where=finite, out=np.ones_like(values))))
    scale = 10.0 ** np.clip(5 - size, -300, 300)
    rounded = np.round(values * scale) / scale
    return np.where(finite, rounded, np.where(values == 0, 0.0, np.nan))


def numbers(values: pa.ChunkedArray) -> np.ndarray:
    """Return the values as float64, NaN where missing.

    Dates count days, times of day, points in time (UTC) and durations count seconds.
    """
    kind = values.type
    unit = 1.0
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_date32(kind):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(kind) or pa.types.is_time64(kind) or pa.types.is_duration(kind):
        values, unit = values.cast(pa.int64()), 1e-6
    values = values.cast(pa.float64(), safe=False)
    found = np.asarray(pc.fill_null(values, float("nan")), dtype=np.float64) * unit
    return six_digits(found) if pa.types.is_floating(kind) else found


@dataclass(frozen=True, slots=True)
class Codes:
    """The most frequent values of a column, most frequent first, with their counts."""

    values: pa.Array
    counts: np.ndarray
    distinct: int

    @classmethod
    def fit(cls, values: pa.ChunkedArray, limit: int) -> Codes:
        """Return the codes of at most `limit` values; ties go by value, so no order leaks in."""
        found = pc.value_counts(values.drop_null())
        table = pa.table({"v": found.field("values"), "n": found.field("counts")})
        table = table.sort_by([("n", "descending"), ("v", "ascending")])
        top = table.slice(0, limit).combine_chunks()
        chosen = top.column("v")
        merged = pa.concat_arrays(chosen.chunks) if chosen.num_chunks else pa.array([], chosen.type)
        return cls(merged, np.asarray(top.column("n"), dtype=np.int64), table.num_rows)

    def encode(self, values: pa.ChunkedArray) -> np.ndarray:
        """Return int64 codes: MISSING, 0..len-1, or len for every other value."""
        known = pc.fill_null(pc.index_in(values, value_set=self.values), len(self.values))
        codes = np.asarray(known, dtype=np.int64).copy()
        codes[np.asarray(values.is_null())] = MISSING
        return codes


def calendar_parts(values: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Return month, day, weekday and second of the day of dates and times, NaN where missing."""
    counted = numbers(values)
    if pa.types.is_time64(values.type):
        return {"minute": counted // 60 % 60}
    seconds = counted * 86_400 if pa.types.is_date32(values.type) else counted
    days = np.floor(seconds / 86_400)
    missing = np.isnan(days)
    date = np.where(missing, 0, days).astype("int64").astype("datetime64[D]")
    months = date.astype("datetime64[M]")
    parts = {
        "month": months.astype("int64") % 12 + 1,
        "day": (date - months).astype("int64") + 1,
        "weekday": (date.astype("int64") + 3) % 7,
    }
    found = {name: np.where(missing, np.nan, part) for name, part in parts.items()}
    if not pa.types.is_date32(values.type):
        found["second of the day"] = seconds - days * 86_400
    return found


def text_parts(values: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Return the form of strings: length, words, shares of kinds of characters; NaN if missing."""
    length = numbers(pc.utf8_length(values))
    scale = np.maximum(length, 1)
    shares = {"digits": "[0-9]", "capitals": "[A-Z]", "signs": "[^0-9A-Za-z ]"}
    parts = {"length": length, "words": numbers(pc.count_substring(values, " ")) + 1}
    for name, pattern in shares.items():
        parts[name] = numbers(pc.count_substring_regex(values, pattern)) / scale
    return parts
