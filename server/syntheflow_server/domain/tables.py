"""How rooms hand tables to one another: column by column, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa


class TableSource(Protocol):
    """A stored table that is read one column at a time."""

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        ...

    def column(self, name: str) -> pa.ChunkedArray:
        """Return all values of a column, in row order; KeyError if there is none."""
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


Tables = Mapping[str, TableSource]
"""The tables of a dataset by name."""
