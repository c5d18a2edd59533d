"""Columns that write times of day as text or as HHMM numbers, read as plain counts.

Inside the engine '25:10:00' is 90,600 seconds and 1435 is 875 minutes, so that all it knows
of numbers (order, differences, sums) holds for them. What comes out is written as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, Schema, SemanticType
from syntheflow_server.domain.tables import Tables, TableSource

Ints = npt.NDArray[np.int64]
_SCREEN = 1000
_FEW_VALUES = 20
_FEW_NUMBERS = 50
_FEW_MINUTES = 12
_LATE_MINUTE = 55
_HOUR, _LATEST = 60, 2959
_TEXT = re.compile(r"^\d{1,3}:[0-5]\d(:[0-5]\d)?$")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column writes times: `shape` is "h:m", "h:m:s" (text) or "hm" (a number, HHMM).

    `digits` is the least number of digits of the hour.
    """

    table: str
    column: str
    shape: str
    digits: int = 0

    def read(self, values: pa.Array) -> pa.Array:
        """Return the times as int64 counts of minutes, or of seconds where there are any.

        Raises InvalidArgumentError naming the column if a value is not written so.
        """
        if self.shape == "hm":
            hours, minutes = np.divmod(_numbers(values), 100)
            counts = hours * _HOUR + minutes
        else:
            counts = _counts(values, self.shape.count(":"))
        made = pa.array(counts, pa.int64(), mask=values.is_null().to_numpy(zero_copy_only=False))
        if not self.write(made).equals(values):
            raise InvalidArgumentError(
                f"column {self.column!r} of table {self.table!r} holds times that are not"
                f" written as those that the model learned ({self.shape}); write them so",
                reason="TIME_FORMAT",
                metadata={"table": self.table, "column": self.column},
            )
        return made

    def write(self, counts: pa.Array) -> pa.Array:
        """Return counts as the column writes them; counts below 0 as 0."""
        gaps = counts.is_null()
        numbers = np.maximum(_numbers(counts), 0)
        if self.shape == "hm":
            hours, minutes = np.divmod(numbers, _HOUR)
            whole = pa.array(hours * 100 + minutes, pa.int64())
            return pc.if_else(gaps, pa.scalar(None, pa.int64()), whole)
        parts: list[pa.Array] = []
        for _ in range(self.shape.count(":")):
            numbers, rest = np.divmod(numbers, _HOUR)
            parts.insert(0, _padded(rest, 2))
        text = pc.binary_join_element_wise(_padded(numbers, self.digits), *parts, ":")
        return pc.if_else(gaps, pa.scalar(None, pa.string()), text)

    def describe(self) -> str:
        """Return the reading in one short sentence."""
        return f"{self.column!r} is a time of day and is counted as one"


class Readings:
    """The readings of all tables, applied at the borders of the engine."""

    def __init__(self, every: Sequence[Reading] = ()) -> None:
        self.every = tuple(every)

    def of(self, table: str) -> dict[str, Reading]:
        """Return the readings of a table by column."""
        return {reading.column: reading for reading in self.every if reading.table == table}

    def schema(self, schema: Schema) -> Schema:
        """Return the schema of the tables as they are read."""
        tables = []
        for table in schema.tables:
            mine = self.of(table.name)
            columns = tuple(_counted(c) if c.name in mine else c for c in table.columns)
            tables.append(table.model_copy(update={"columns": columns}))
        return schema.model_copy(update={"tables": tuple(tables)})

    def tables(self, tables: Tables) -> Tables:
        """Return the tables as they are read."""
        return {name: _Read(tables[name], mine) if (mine := self.of(name)) else tables[name]
                for name in tables}  # fmt: skip

    def rows(self, table: str, rows: pa.Table) -> pa.Table:
        """Return given rows as they are read."""
        for name, reading in self.of(table).items():
            if name in rows.column_names:
                values = rows.column(name).combine_chunks().cast(_type_of(reading))
                place = rows.column_names.index(name)
                rows = rows.set_column(place, name, reading.read(values))
        return rows

    def scalar(self, table: str, column: str, value: Any) -> Any:
        """Return a condition's value as it is read."""
        reading = self.of(table).get(column)
        if reading is None or value is None:
            return value
        kind = _type_of(reading)
        try:
            return reading.read(pa.array([value], kind))[0].as_py()
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return value

    def written(self, table: str, name: str, values: pa.Array) -> pa.Array:
        """Return a column of counts as it was written; other columns as they are."""
        reading = self.of(table).get(name)
        return values if reading is None else reading.write(values.cast(pa.int64()))

    def to_json(self) -> list[dict[str, Any]]:
        """Return what `from_json` needs."""
        return [
            {"table": r.table, "column": r.column, "shape": r.shape, "digits": r.digits}
            for r in self.every
        ]

    @classmethod
    def from_json(cls, facts: Sequence[Mapping[str, Any]]) -> Readings:
        """Build the readings that gave these facts."""
        return cls([Reading(**fact) for fact in facts])


class _Read:
    """A TableSource whose times are counts."""

    def __init__(self, source: TableSource, readings: Mapping[str, Reading]) -> None:
        self._source, self._readings = source, readings

    @property
    def num_rows(self) -> int:
        return self._source.num_rows

    def column(self, name: str) -> pa.ChunkedArray:
        values = self._source.column(name)
        reading = self._readings.get(name)
        if reading is None:
            return values
        return pa.chunked_array([reading.read(chunk) for chunk in values.chunks], pa.int64())

    @property
    def parts(self) -> tuple[range, ...]:
        return self._source.parts

    def part(self, name: str, number: int) -> pa.Array:
        values = self._source.part(name, number)
        reading = self._readings.get(name)
        return values if reading is None else reading.read(values)


def find_readings(schema: Schema, tables: Tables) -> Readings:
    """Return the readings of all columns that write times and are part of no key."""
    found = []
    for table in schema.tables:
        keys = set(table.primary_key)
        keys |= {c for k in schema.references_from(table.name) for c in k.child_columns}
        keys |= {c for k in schema.references_to(table.name) for c in k.parent_columns}
        for column in table.columns:
            if column.name in keys or column.type not in {"string", "int64"}:
                continue
            reading = _reading(table.name, column, tables[table.name])
            if reading is not None:
                found.append(reading)
    return Readings(found)


def holding(readings: Readings, tables: Tables) -> Readings:
    """Return those readings of an earlier model that all values of new tables allow."""
    return Readings([r for r in readings.every if _reads(r, tables[r.table].column(r.column))])


def _reading(table: str, column: Column, source: TableSource) -> Reading | None:
    """Return how the column writes times, None if it does not."""
    values = source.column(column.name)
    some = values.slice(0, _SCREEN).drop_null()
    if column.type == "int64":
        if column.semantic_type is SemanticType.CATEGORY or not _is_clock(some):
            return None
        found = Reading(table, column.name, "hm")
        return found if _is_clock(values.drop_null()) and _reads(found, values) else None
    texts = some.unique().to_pylist()
    if not texts or not all(_TEXT.match(text) for text in texts):
        return None
    if len(values.unique()) < _FEW_VALUES:
        return None
    shape = "h:m:s" if texts[0].count(":") > 1 else "h:m"
    digits = min(len(text.split(":")[0]) for text in texts)
    found = Reading(table, column.name, shape, digits)
    return found if _reads(found, values) else None


def _is_clock(values: pa.ChunkedArray) -> bool:
    """Return whether numbers end in minutes, from early to late ones, and pass for hours."""
    numbers = values.unique().to_numpy()
    if len(numbers) < _FEW_NUMBERS or numbers.min() < 0 or numbers.max() > _LATEST:
        return False
    minutes = np.unique(numbers % 100)
    return bool(
        _LATE_MINUTE <= minutes.max() < _HOUR
        and len(minutes) >= _FEW_MINUTES
        and len(np.unique(numbers // 100)) > 1
    )


def _reads(reading: Reading, values: pa.ChunkedArray) -> bool:
    try:
        for chunk in values.chunks:
            reading.read(chunk)
    except (InvalidArgumentError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _counts(values: pa.Array, colons: int) -> Ints:
    """Return the counts of texts with so many colons; 0 for gaps and for other texts."""
    pattern = r"^(?P<a>\d{1,9})" + "".join(rf":(?P<{name}>\d\d)" for name in "bc"[:colons]) + "$"
    found = pc.extract_regex(values, pattern)
    counts = np.zeros(len(values), np.int64)
    for name in "abc"[: colons + 1]:
        part = pc.fill_null(pc.struct_field(found, name), "0")
        counts = counts * _HOUR + _numbers(part.cast(pa.int64()))
    return counts


def _numbers(values: pa.Array) -> Ints:
    numbers: Ints = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _padded(numbers: Ints, digits: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0")


def _type_of(reading: Reading) -> pa.DataType:
    return pa.int64() if reading.shape == "hm" else pa.string()


def _counted(column: Column) -> Column:
    update = {"type": "int64", "semantic_type": SemanticType.INTEGER}
    return column.model_copy(update=update)
