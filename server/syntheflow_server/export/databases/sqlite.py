"""SQLite: INSERT of many rows in one transaction of the file."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
import re
import sqlite3
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.loader import Loader
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.ddl import create_tables
from syntheflow_server.export.sqlite_rows import insert_rows

_ROWS = 1 << 14
_FAILED = re.compile(r"(\w[\w ]*?) constraint failed: (.*)", re.DOTALL)
_COMPUTED = frozenset({2, 3})


class SqliteLoader(Loader):
    """Loads by INSERT, making tables and all in one transaction.

    References are not checked while rows come, but all of them, of and to the tables,
    before the end. SQLite itself does not hold texts to the length that a column declares.
    """

    dialect: ClassVar[Dialect] = Dialect.SQLITE

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
        self._connection: sqlite3.Connection = database.connect()
        self._open = False

    # Statements

    def run(self, statement: str) -> None:
        """Run one statement."""
        self._begin()
        self._connection.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        self._begin()
        return self._connection.execute(query).fetchall()

    def _begin(self) -> None:
        if not self._open:
            self._connection.execute("PRAGMA foreign_keys = OFF")
            self._connection.execute("PRAGMA cache_size = -65536")
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = True

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return SQLite's error; its messages name columns and hold no values."""
        found = _FAILED.fullmatch(str(error)) if isinstance(error, sqlite3.IntegrityError) else None
        if found is None or self.sending is None:
            return super().explain(error)
        table, _ = self.sending
        rule, name = found[1], found[2].replace(f"{self.label(table)}.", "")
        if rule == "UNIQUE":
            return faults.keys_meet(table, name, appending=self.mode is LoadMode.APPEND)
        reasons = {"NOT NULL": "NULL_REFUSED", "CHECK": "CHECK_BROKEN"}
        return faults.broken(table, name, reasons[rule]) if rule in reasons else None

    # The course

    def _existing(self) -> set[str]:
        found = self.rows(f"SELECT name FROM {self._home}sqlite_master WHERE type = 'table'")
        return {str(name) for (name,) in found}

    @property
    def _home(self) -> str:
        return f"{self.quoted(self.namespace)}." if self.namespace else ""

    def _slots(self, table: str) -> list[Slot]:
        found = self.rows(f"PRAGMA {self._home}table_xinfo({self.quoted(table)})")
        keys = [row for row in found if row[5]]
        slots = []
        for _, name, kind, needed, default, key, hidden in found:
            # The only column of a whole-number key numbers itself.
            numbered = bool(key) and len(keys) == 1 and str(kind).upper() == "INTEGER"
            slots.append(
                Slot(
                    str(name), str(kind), str(kind).lower(), nullable=not needed,
                    filled=default is not None or numbered, computed=hidden in _COMPUTED,
                )
            )  # fmt: skip
        return slots

    def _create(self) -> None:
        schema, tables = self.target.schema, self.target.tables
        for statement in create_tables(schema, tables, self.dialect, namespace=self.namespace):
            self.run(statement)

    def _drop(self, tables: list[str]) -> None:
        for name in tables:
            self.run(f"DROP TABLE {self.name_of(name)}")

    def _empty(self) -> None:
        for name in self.target.tables:
            self.run(f"DELETE FROM {self.name_of(name)}")

    def _set_aside(self) -> None:
        """Do nothing: references are not checked while rows come."""

    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        del first
        slots = self.slots[table]
        columns = ", ".join(self.quoted(slot.name) for slot in slots)
        into = f"{self.name_of(table)} ({columns})"
        self._begin()
        chosen = rows.select([slot.source for slot in slots])
        for batch in chosen.to_batches(_ROWS):
            insert_rows(self._connection, into, batch)

    def _check(self) -> None:
        ours = {self.label(name).lower() for name in self.target.tables}
        for name in sorted(self._existing()):
            keys = self.rows(f"PRAGMA {self._home}foreign_key_list({self.quoted(name)})")
            if name.lower() not in ours and not any(str(key[2]).lower() in ours for key in keys):
                continue
            check = f"PRAGMA {self._home}foreign_key_check({self.quoted(name)})"
            broken = self._connection.execute(check).fetchone() if keys else None
            if broken is not None:
                columns = ", ".join(str(key[3]) for key in keys if key[0] == broken[3])
                rule = f"({columns}) -> {broken[2]}"
                raise faults.broken(self.table_called(name), rule, "REFERENCE_BROKEN")

    def _unique(self, table: str) -> list[set[str]]:
        found = self.rows(f"PRAGMA {self._home}table_info({self.quoted(table)})")
        keys = [{str(row[1]) for row in found if row[5]}]
        for index in self.rows(f"PRAGMA {self._home}index_list({self.quoted(table)})"):
            if index[2] and not index[4]:
                name = self.quoted(str(index[1]))
                columns = self.rows(f"PRAGMA {self._home}index_info({name})")
                keys.append({str(column[2]) for column in columns})
        return [key for key in keys if key]

    def _commit(self) -> None:
        if self._open:
            self._connection.execute("COMMIT")
            self._open = False

    def _rollback(self) -> None:
        # Some errors (a full disk) have ended the transaction already.
        if self._open and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._open = False

    def _close(self) -> None:
        self._connection.close()
