"""PostgreSQL: binary COPY of Arrow batches, everything in one transaction."""

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases import postgresql_catalog as catalog
from syntheflow_server.export.databases.loader import Loader
from syntheflow_server.export.databases.postgresql_types import (
    fitted,
    is_turned,
    text_as,
    wire_of,
)
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.ddl import add_constraints, create_tables

_MEMORY_KIB = 256 * 1024
"""What building keys may take in the server, unless it is set to more."""
_CONTEXT = re.compile(r"COPY [^,]*, line (\d+)(?:, column (.+))?")


class PostgresqlLoader(Loader):
    """Loads by ADBC's binary COPY.

    Keys, unique constraints and indexes of tables without rows, and all references, are
    dropped before the rows and put back after them in the same transaction: faster, and
    the order of rows does not matter. That needs the owner of the tables, and keeps others
    out of them until the load ends. Columns of types that have no binary form here (arrays,
    ranges, inet...) travel as text through a temporary table and are cast there.
    """

    dialect: ClassVar[Dialect] = Dialect.POSTGRESQL

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
        self._connection = database.connect_columnar()
        self._cursor = self._connection.cursor()
        self._schema = namespace

    # Statements

    def run(self, statement: str) -> None:
        """Run one statement."""
        self._cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        self._cursor.execute(query)
        return [tuple(row) for row in self._cursor.fetchall()]

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return the server's error without its values, with constraint, column and row."""
        import adbc_driver_manager as adbc

        if not isinstance(error, adbc.Error) or not error.details:
            return super().explain(error)
        told = {
            (key.decode() if isinstance(key, bytes) else key).removeprefix("PG_DIAG_"): (
                text.decode("utf-8", "replace")
            )
            for key, text in error.details
        }
        table, first = self.sending or (self.table_called(told.get("TABLE_NAME", "")), 0)
        context = _CONTEXT.search(told.get("CONTEXT", ""))
        row = first + int(context[1]) - 1 if context else None
        column = told.get("COLUMN_NAME") or (context[2] if context else "") or ""
        state, appending = error.sqlstate or "", self.mode is LoadMode.APPEND
        known = _explained(state, told, _Spot(table, column, row), appending=appending)
        return known or super().explain(error)

    # The course

    def _existing(self) -> set[str]:
        if not self._schema:
            self._set_session()
        return {str(name) for (name,) in self.rows(catalog.tables(self.literal(self._schema)))}

    def _set_session(self) -> None:
        (name,) = self.rows("SELECT current_schema()::text")[0]
        if name is None:
            raise faults.refused(
                "The database has no default namespace (search_path); name one",
                reason="NAMESPACE_MISSING",
            )
        self._schema = self.namespace = str(name)
        self.run("SET statement_timeout = 0")
        self.run("SET client_min_messages = error")
        self.rows(
            "SELECT set_config(name, greatest(setting::bigint, "
            f"{_MEMORY_KIB})::text, false) FROM pg_settings WHERE name = 'maintenance_work_mem'"
        )

    def _slots(self, table: str) -> list[Slot]:
        found = self.rows(catalog.columns(self._place(table)))
        return [catalog.slot_of(row) for row in found]

    def _place(self, table: str) -> str:
        return self.literal(self.name_of(table)) + "::regclass"

    def _places(self) -> str:
        return ", ".join(self._place(name) for name in self.target.tables)

    def _create(self) -> None:
        schema, tables = self.target.schema, self.target.tables
        for statement in create_tables(schema, tables, self.dialect, namespace=self.namespace):
            self.run(statement)
        self._retype()
        self._put_aside("pux", needed=False)
        self.after += add_constraints(schema, tables, self.dialect, namespace=self.namespace)

    def _retype(self) -> None:
        """Give columns of arrays and bits their type: rows come as text that only we can turn."""
        if self.target.schema.dialect != Dialect.POSTGRESQL:
            return
        for name in self.target.tables:
            for column in self.target.table(name).columns:
                if column.type == "string" and is_turned(column.native_type):
                    self.run(
                        f"ALTER TABLE {self.name_of(name)} ALTER COLUMN {self.quoted(column.name)}"
                        f" TYPE {column.native_type} USING NULL"
                    )

    def _drop(self, tables: list[str]) -> None:
        if tables:
            self.run("DROP TABLE " + ", ".join(self.name_of(name) for name in tables))

    def _empty(self) -> None:
        self.run("TRUNCATE " + ", ".join(self.name_of(name) for name in self.target.tables))

    def _set_aside(self) -> None:
        self.after.append("SET CONSTRAINTS ALL IMMEDIATE")
        references = self._put_aside("f", needed=True)
        if self.mode is LoadMode.TRUNCATE:
            self._put_aside("pux", needed=False)
            for name, statement in self.rows(catalog.indexes(self._places())):
                if self._tried(f"DROP INDEX {name}"):
                    self.after.append(str(statement))
        self.after += references

    def _put_aside(self, kinds: str, *, needed: bool) -> list[str]:
        """Drop constraints of these kinds; return how to add them, or do so to `after`."""
        back = []
        query = catalog.constraints(self._places(), kinds, plain=not needed)
        for table, name, definition, comment in self.rows(query):
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            if needed:
                self.run(drop)
            elif not self._tried(drop):
                continue
            back.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            if comment is not None:
                text = self.literal(str(comment))
                back.append(f"COMMENT ON CONSTRAINT {name} ON {table} IS {text}")
        if not needed:
            self.after += back
        return back

    def _tried(self, statement: str) -> bool:
        """Run what only makes the load faster; tell whether it could be done."""
        self.run("SAVEPOINT faster")
        try:
            self.run(statement)
        except Exception as error:
            if self.explain(error) is None:
                raise
            self.run("ROLLBACK TO SAVEPOINT faster")
            return False
        self.run("RELEASE SAVEPOINT faster")
        return True

    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        slots = self.slots[table]
        arrays, names, staged = [], [], []
        for slot in slots:
            kind = wire_of(slot, rows.column(slot.source).type)
            arrays.append(fitted(rows.column(slot.source), kind, slot, table, first))
            names.append(slot.name)
            if kind is None:
                staged.append(slot)
        batch = pa.table(arrays, names=names)
        if staged:
            self._insert_staged(table, batch, staged)
        else:
            self._cursor.adbc_ingest(
                self.label(table), batch, mode="append", db_schema_name=self._schema
            )

    def _insert_staged(self, table: str, batch: pa.Table, staged: list[Slot]) -> None:
        """Send a block through a temporary table, whose staged columns are text."""
        texts = {slot.name for slot in staged}
        stage = f"syntheflow_stage_{self.target.tables.index(table)}"
        quoted = [self.quoted(slot.name) for slot in self.slots[table]]
        kept = [
            f"NULL::text AS {name}" if slot.name in texts else name
            for name, slot in zip(quoted, self.slots[table], strict=True)
        ]
        into = self.name_of(table)
        self.run(
            f"CREATE TEMP TABLE {stage} ON COMMIT DROP AS "
            f"SELECT {', '.join(kept)} FROM {into} LIMIT 0"
        )
        self._cursor.adbc_ingest(stage, batch, mode="append", temporary=True)
        cast = [
            text_as(name, slot) if slot.name in texts else name
            for name, slot in zip(quoted, self.slots[table], strict=True)
        ]
        self.run(
            f"INSERT INTO {into} ({', '.join(quoted)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {', '.join(cast)} FROM pg_temp.{stage}"
        )
        self.run(f"DROP TABLE pg_temp.{stage}")

    def _unique(self, table: str) -> list[set[str]]:
        found = self.rows(catalog.unique_columns(self._place(table)))
        return [set(str(columns).split("\n")) for (columns,) in found]

    def _referring(self, table: str) -> set[str]:
        return {str(name) for (name,) in self.rows(catalog.joined_columns(self._place(table)))}

    def _set_counters(self) -> None:
        for table, column, sequence in self.rows(catalog.sequences(self._places())):
            self.rows(catalog.set_behind(str(table), str(column), self.literal(str(sequence))))

    def _commit(self) -> None:
        self._connection.commit()

    def _rollback(self) -> None:
        self._connection.rollback()

    def _close(self) -> None:
        self._cursor.close()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class _Spot:
    table: str
    column: str
    row: int | None


_BROKEN = {
    "23502": "NULL_REFUSED",
    "23503": "REFERENCE_BROKEN",
    "23514": "CHECK_BROKEN",
    "23P01": "EXCLUSION_BROKEN",
}


def _explained(  # noqa: PLR0911 - one case a line
    state: str, told: dict[str, str], spot: _Spot, *, appending: bool
) -> SyntheflowError | None:
    constraint = told.get("CONSTRAINT_NAME") or spot.column
    if state == "23505":
        return faults.keys_meet(spot.table, constraint, appending=appending)
    if state in _BROKEN:
        return faults.broken(spot.table, constraint, _BROKEN[state])
    if state.startswith("22"):
        kind = f"takes no such value (SQLSTATE {state})"
        if spot.column and spot.row is not None:
            return faults.row_refused(spot.table, spot.column, spot.row, kind)
        text = f"A column of table {spot.table!r} in the database {kind}"
        return faults.refused(text, reason="VALUE_REFUSED", table=spot.table)
    # What stands in messages of these two are names of tables and constraints.
    if state == "42501":
        return faults.refused(
            f"The database's user may not do this: {told['MESSAGE_PRIMARY']}. References are "
            "put aside while rows are loaded, which needs the tables' owner",
            reason="PERMISSION_MISSING",
        )
    if state in {"2BP01", "0A000"}:
        return faults.refused(
            f"Something outside the load needs its tables: {told['MESSAGE_PRIMARY']}; load "
            "that too, or drop it first",
            reason="TABLE_NEEDED_ELSEWHERE",
        )
    return None
