"""What SQL Server and Oracle share: many rows by a driver, references switched off and on."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from abc import abstractmethod
from typing import Any

import pyarrow as pa

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.loader import Loader
from syntheflow_server.export.ddl import add_constraints, create_tables, fix_identities

_BROKEN = frozenset({"REFERENCE_BROKEN", "CHECK_BROKEN", "NULL_REFUSED"})


class BulkLoader(Loader):
    """Loads through a DB-API driver; the classes below say it in the database's SQL."""

    def __init__(
        self,
        database: Database,
        target: Target,
        mode: LoadMode,
        *,
        namespace: str = "",
        load: str = "",
    ) -> None:
        super().__init__(database, target, mode, namespace=namespace, load=load)
        self._connection: Any = database.connect()
        self._cursor = self._connection.cursor()

    def run(self, statement: str) -> None:
        """Run one statement."""
        self._cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        self._cursor.execute(query)
        return [tuple(row) for row in self._cursor.fetchall()]

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return the database's error by its code, with the table that was being sent."""
        told = super().explain(error)
        if told is None or self.sending is None:
            return told
        constraint = told.metadata.get("constraint") or told.metadata.get("column") or "key"
        if told.reason == "UNIQUE_BROKEN":
            appending = self.mode is LoadMode.APPEND
            return faults.keys_meet(self.sending[0], constraint, appending=appending)
        if told.reason in _BROKEN:
            return faults.broken(self.sending[0], constraint, told.reason)
        return told

    def _create(self) -> None:
        schema, tables, space = self.target.schema, self.target.tables, self.namespace
        for statement in create_tables(schema, tables, self.dialect, namespace=space):
            self.run(statement)
        self.after += add_constraints(schema, tables, self.dialect, namespace=space)

    def _drop(self, tables: list[str]) -> None:
        for statement in self._drop_statements(tables):
            self.run(statement)

    def _empty(self) -> None:
        for name in self.target.tables:
            self.run(f"DELETE FROM {self.name_of(name)}")

    def _set_aside(self) -> None:
        for off, on in self._switches():
            self.run(off)
            self.after.append(on)

    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        del first
        self._send_rows(table, rows)

    def _set_counters(self) -> None:
        for statement in fix_identities(
            self.target.schema, self.target.tables, self.dialect, namespace=self.namespace
        ):
            self.run(statement)

    @abstractmethod
    def _drop_statements(self, tables: list[str]) -> list[str]:
        """Return how these tables are dropped, with the references between them."""

    @abstractmethod
    def _switches(self) -> list[tuple[str, str]]:
        """Return statements that switch each reference of the tables off, and on and checked."""

    @abstractmethod
    def _send_rows(self, table: str, rows: pa.Table) -> None:
        """Insert rows."""

    def _commit(self) -> None:
        self._connection.commit()

    def _rollback(self) -> None:
        self._connection.rollback()

    def _close(self) -> None:
        self._connection.close()
