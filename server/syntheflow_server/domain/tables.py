"""How rooms hand tables to one another: column by column, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

PART_ROWS = 1 << 17
"""Rows that are read at a time where nothing else sets a bound."""


class TableSource(Protocol):
    """A stored table that is read one column at a time."""

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        ...

    def column(self, name: str) -> pa.ChunkedArray:
        """Return all values of a column, in row order; KeyError if there is none."""
        ...

    @property
    def parts(self) -> tuple[range, ...]:
        """Ranges of rows, in order, that can be read by themselves."""
        ...

    def part(self, name: str, number: int) -> pa.Array:
        """Return the values of a column in part `number`; KeyError if there is none."""
        ...


class StoredSource(TableSource, Protocol):
    """A table that knows more of its columns than it must read for it."""

    def nulls(self, name: str) -> int:
        """Return how many values of a column are missing; KeyError if there is none."""
        ...

    def is_stored_as(self, name: str, kind: pa.DataType) -> bool:
        """Tell whether the values of a column need no cast to be of `kind`."""
        ...


class MemoryTable:
    """A TableSource over an Arrow table in memory."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        return int(self._table.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return all values of a column, in row order; KeyError if there is none."""
        return self._table.column(name)

    def nulls(self, name: str) -> int:
        """See `StoredSource.nulls`."""
        return int(self._table.column(name).null_count)

    def is_stored_as(self, name: str, kind: pa.DataType) -> bool:
        """See `StoredSource.is_stored_as`."""
        return bool(self._table.column(name).type == kind)

    @property
    def parts(self) -> tuple[range, ...]:
        """See `TableSource.parts`."""
        starts = range(0, self.num_rows, PART_ROWS)
        return tuple(range(start, min(start + PART_ROWS, self.num_rows)) for start in starts)

    def part(self, name: str, number: int) -> pa.Array:
        """See `TableSource.part`."""
        rows = self.parts[number]
        return one_array(self._table.column(name).slice(rows.start, len(rows)))


def one_array(values: pa.ChunkedArray) -> pa.Array:
    """Return `values` as one array."""
    if values.num_chunks == 1:
        return values.chunk(0)
    joined = values.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


Tables = Mapping[str, TableSource]
"""The tables of a dataset by name."""

StoredTables = Mapping[str, StoredSource]
"""Tables whose columns are known from where they are stored."""
