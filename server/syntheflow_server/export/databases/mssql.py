"""SQL Server: INSERT of a thousand rows a statement, everything in one transaction.

No server was at hand to run this against: the tests check the statements alone.
"""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import blocks
from syntheflow_server.export.databases.bulk import BulkLoader
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.sql_values import literals
from syntheflow_server.export.string_bytes import StringBytes

_ROWS = 1_000
"""SQL Server takes no more rows in one VALUES."""
_STATEMENT = 1 << 19
_TEXTS = frozenset({"char", "varchar", "nchar", "nvarchar"})


class MssqlLoader(BulkLoader):
    """Loads by INSERT with literals; references are switched off, then on WITH CHECK."""

    dialect: ClassVar[Dialect] = Dialect.MSSQL
    text_type: ClassVar[tuple[str, str]] = ("nvarchar(250)", "nvarchar(max)")

    def _existing(self) -> set[str]:
        self.run("SET XACT_ABORT ON; SET ANSI_WARNINGS ON; SET NOCOUNT ON")
        found = self.rows(f"SELECT name FROM sys.tables WHERE schema_id = {self._schema}")
        return {str(name) for (name,) in found}

    @property
    def _schema(self) -> str:
        return f"SCHEMA_ID({self.literal(self.namespace)})" if self.namespace else "SCHEMA_ID()"

    def _place(self, table: str) -> str:
        return f"OBJECT_ID(N{self.literal(self.name_of(table))})"

    def _slots(self, table: str) -> list[Slot]:
        found = self.rows(
            "SELECT c.name, TYPE_NAME(c.user_type_id), TYPE_NAME(c.system_type_id), "
            "c.is_nullable, c.is_identity, c.default_object_id, c.is_computed, c.max_length "
            f"FROM sys.columns c WHERE c.object_id = {self._place(table)} ORDER BY c.column_id"
        )
        return [mssql_slot(row) for row in found]

    def _drop_statements(self, tables: list[str]) -> list[str]:
        places = ", ".join(self._place(name) for name in tables)
        if not places:
            return []
        inner = self.rows(
            "SELECT QUOTENAME(OBJECT_SCHEMA_NAME(parent_object_id)) + '.' + "
            "QUOTENAME(OBJECT_NAME(parent_object_id)), QUOTENAME(name) FROM sys.foreign_keys "
            f"WHERE parent_object_id IN ({places})"
        )
        drops = [f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in inner]
        return [*drops, *(f"DROP TABLE {self.name_of(name)}" for name in tables)]

    def _switches(self) -> list[tuple[str, str]]:
        places = ", ".join(self._place(name) for name in self.target.tables)
        found = self.rows(
            "SELECT QUOTENAME(OBJECT_SCHEMA_NAME(parent_object_id)) + '.' + "
            "QUOTENAME(OBJECT_NAME(parent_object_id)), QUOTENAME(name) FROM sys.foreign_keys "
            f"WHERE is_disabled = 0 AND (parent_object_id IN ({places}) "
            f"OR referenced_object_id IN ({places}))"
        )
        return [
            (
                f"ALTER TABLE {table} NOCHECK CONSTRAINT {name}",
                f"ALTER TABLE {table} WITH CHECK CHECK CONSTRAINT {name}",
            )
            for table, name in found
        ]

    def _send_rows(self, table: str, rows: pa.Table) -> None:
        slots = self.slots[table]
        numbered = any(slot.base == "identity" for slot in slots)
        for statement in mssql_inserts(self.name_of(table), slots, rows, numbered=numbered):
            self.run(statement)

    def _unique(self, table: str) -> list[set[str]]:
        found = self.rows(
            "SELECT i.index_id, c.name FROM sys.indexes i JOIN sys.index_columns k "
            "ON k.object_id = i.object_id AND k.index_id = i.index_id AND "
            "k.is_included_column = 0 JOIN sys.columns c ON c.object_id = k.object_id AND "
            "c.column_id = k.column_id WHERE i.is_unique = 1 AND i.has_filter = 0 "
            f"AND i.object_id = {self._place(table)}"
        )
        keys: dict[object, set[str]] = {}
        for index, column in found:
            keys.setdefault(index, set()).add(str(column))
        return list(keys.values())

    def _referring(self, table: str) -> set[str]:
        found = self.rows(
            "SELECT COL_NAME(parent_object_id, parent_column_id) FROM sys.foreign_key_columns "
            f"WHERE parent_object_id = {self._place(table)} UNION "
            "SELECT COL_NAME(referenced_object_id, referenced_column_id) "
            f"FROM sys.foreign_key_columns WHERE referenced_object_id = {self._place(table)}"
        )
        return {str(name) for (name,) in found}


def mssql_slot(row: tuple[object, ...]) -> Slot:
    """Return the slot that a row of the catalogue tells of; its base is identity where it is."""
    name, kind, base, nullable, identity, default, computed, length = row
    size = int(str(length))
    # Lengths are in bytes, -1 without end.
    longest = size // (2 if str(base).startswith("n") else 1) if str(base) in _TEXTS else None
    return Slot(
        str(name), str(kind), "identity" if identity else str(base), nullable=bool(nullable),
        filled=bool(identity) or bool(default), computed=bool(computed) or base == "timestamp",
        longest=longest if size > 0 else None,
    )  # fmt: skip


def mssql_inserts(
    table: str, slots: Sequence[Slot], rows: pa.Table, *, numbered: bool
) -> Iterator[str]:
    """Yield INSERT statements; `numbered` lets an identity column take the rows' own numbers.

    IDENTITY_INSERT may be on for one table of a session only: it is switched with each.
    """
    columns = ", ".join("[" + slot.name.replace("]", "]]") + "]" for slot in slots)
    before = f"SET IDENTITY_INSERT {table} ON; " if numbered else ""
    after = f"; SET IDENTITY_INSERT {table} OFF" if numbered else ""
    for batch in (b for some in rows.to_batches(_ROWS) for b in blocks(some, _STATEMENT)):
        cells = [
            literals(batch.column(slot.source), Dialect.MSSQL, table="", column=slot.source)
            for slot in slots
        ]
        joined = pc.binary_join_element_wise(
            *cells, ", ", null_handling="replace", null_replacement="NULL"
        )
        lines = pc.binary_join_element_wise("(", joined, "),", "")
        values = StringBytes(lines).data.decode().removesuffix(",")
        yield f"{before}INSERT INTO {table} ({columns}) VALUES {values}{after}"
