"""What every kind of database gives to be read: one snapshot, its catalogue, rows in batches."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases.catalogue import SourceTable
from syntheflow_server.ingest.databases.columns import ColumnPlan, LeftOut

Batches = Generator[pa.RecordBatch, None, None]
BATCH_ROWS = 16_384
HASH_SPACE = 1 << 30


class Source(Protocol):
    """An open database in one transaction: all that is asked sees the same state."""

    dialect: Dialect
    default_namespace: str

    def namespaces(self) -> list[str]:
        """Return the names of the database's schemas that hold users' tables."""
        ...

    def tables(self, namespaces: Sequence[str]) -> list[SourceTable]:
        """Return the tables; views are none."""
        ...

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Say for each column how it is read; may look at all rows."""
        ...

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows, in the plans' raw types and bounded memory."""
        ...

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        ...

    def from_table(self, table: SourceTable) -> str:
        """Return the table as it stands behind FROM."""
        ...

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        ...

    def literal(self, value: Any) -> str:
        """Return a key's value (text, int, date ...) as it stands in SQL."""
        ...

    def hash(self, columns: Sequence[str]) -> str:
        """Return an expression of 0..HASH_SPACE-1 that depends on columns' values alone."""
        ...


def rows_to_batch(rows: Sequence[Sequence[Any]], plans: Sequence[ColumnPlan]) -> pa.RecordBatch:
    """Return rows of a cursor as a batch of the plans' raw types."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(plans)
    arrays = [pa.array(values, p.raw) for values, p in zip(columns, plans, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[plan.name for plan in plans])


def quoted(name: str, mark: str = '"') -> str:
    """Return a quoted name."""
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def plain_literal(value: Any) -> str:
    """Return a literal of standard SQL: numbers bare, the rest as text with doubled quotes."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("'", "''")
    return f"'{text}'"
