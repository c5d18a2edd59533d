"""MySQL and MariaDB: LOAD DATA of rows that this process makes, never of a file."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
import hashlib
import re
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.errors import FailedPreconditionError, SyntheflowError
from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.loader import Loader
from syntheflow_server.export.databases.mysql_rows import insert_values, load_lines
from syntheflow_server.export.databases.references import joined_columns, orphans, references_of
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.ddl import add_constraints, create_tables, quoted_name

_SESSION = (
    # Values that do not fit are errors, 0 in a numbered column is 0, moments are UTC.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,"
    "ERROR_FOR_DIVISION_BY_ZERO', time_zone = '+00:00', sql_notes = 0, "
    # Rows come in any order; what refers to what is checked at the end.
    "foreign_key_checks = 0"
)
_KEY = re.compile(r"for key '([^']*)'\s*$")
_COLUMN = re.compile(r"column (?:`[^`]*`\.`[^`]*`\.)?[`']([^`']*)[`']")
_ROW = re.compile(r"at row (\d+)\s*$")
_CHECK = re.compile(r"(?:CONSTRAINT `|Check constraint ')([^`']*)")
_VALUES = frozenset({1264, 1265, 1292, 1366, 1406, 1411, 3140, 4078})


class MysqlLoader(Loader):
    """Loads by LOAD DATA LOCAL, or by INSERT of many rows where the server has it off.

    The server ends a transaction whenever tables are made or altered. So mode create drops
    the tables again on failure, replace fills tables of other names and exchanges all of
    them at once at the end, truncate deletes the old rows in the transaction of the new
    ones, and append adds in one transaction. The checking of references is off while rows
    come; all references of and to the tables are compared before the end.
    """

    dialect: ClassVar[Dialect] = Dialect.MYSQL

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
        self._connection = database.connect()
        self._cursor = self._connection.cursor()
        self._base = ""
        self._files = True
        self._names: dict[str, str] = {}
        if mode is LoadMode.REPLACE:
            self._names = {name: _other("new", name) for name in target.tables}

    # Statements

    def run(self, statement: str) -> None:
        """Run one statement."""
        self._cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        self._cursor.execute(query)
        return [tuple(row) for row in self._cursor.fetchall()]

    def literal(self, text: str) -> str:
        """Return `text` for a statement."""
        return super().literal(text.replace("\\", "\\\\"))

    def name_of(self, table: str) -> str:
        """Return the name of the table that is filled, for a statement."""
        return super().name_of(self._names.get(table, table))

    def table_called(self, label: str) -> str:
        """Return the dataset's name of a table of the database."""
        back = {self.label(name): table for table, name in self._names.items()}
        return back.get(label) or super().table_called(label)

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return the server's error without its values, with constraint, column and row."""
        import pymysql

        if isinstance(error, pymysql.err.MySQLError) and len(error.args) == 2 and self.sending:
            code, text = error.args
            known = self._told(int(code), str(text))
            if known is not None:
                return known
        return super().explain(error)

    def _told(self, code: int, text: str) -> SyntheflowError | None:
        """Return what an error or a warning of the server means; the text holds values."""
        assert self.sending is not None
        table, first = self.sending
        key, column, row = _KEY.search(text), _COLUMN.search(text), _ROW.search(text)
        number = first + int(row[1]) - 1 if row else None
        if code in {1062, 1586}:
            name = key[1] if key else "PRIMARY"
            return faults.keys_meet(table, name, appending=self.mode is LoadMode.APPEND)
        if code in {1048, 1263, 1364}:
            return faults.broken(table, column[1] if column else "", "NULL_REFUSED")
        if code in {3819, 4025}:
            check = _CHECK.search(text)
            return faults.broken(table, check[1] if check else "", "CHECK_BROKEN")
        if code not in _VALUES:
            return None
        if column and number is not None:
            rule = f"takes no such value (the database's code: {code})"
            return faults.row_refused(table, column[1], number, rule)
        rule = f"A column of table {table!r} in the database takes no such value (code {code})"
        return faults.refused(rule, reason="VALUE_REFUSED", table=table)

    # The course

    def _existing(self) -> set[str]:
        if not self._base:
            self.run(_SESSION)
            self._base = self.literal(self.namespace) if self.namespace else "database()"
            self._files = bool(self.rows("SELECT @@local_infile")[0][0])
            if not self._files:
                self.notes.append(
                    "the server has local_infile off: rows were sent by INSERT, which is slower"
                )
        found = self.rows(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = {self._base}"
        )
        return {str(name) for (name,) in found}

    def _slots(self, table: str) -> list[Slot]:
        name = self.literal(self.label(self._names.get(table, table)))
        found = self.rows(
            "SELECT column_name, column_type, data_type, is_nullable = 'YES', "
            "column_default IS NOT NULL OR extra LIKE '%auto_increment%', "
            "extra LIKE '%VIRTUAL GENERATED%' OR extra LIKE '%STORED GENERATED%', "
            "CASE WHEN data_type IN ('char', 'varchar') THEN character_maximum_length END, "
            "CASE WHEN data_type LIKE '%text' THEN character_octet_length END "
            f"FROM information_schema.columns WHERE table_schema = {self._base} "
            f"AND table_name = {name} ORDER BY ordinal_position"
        )
        return [
            Slot(
                str(label), str(kind), str(base), nullable=bool(nullable), filled=bool(filled),
                computed=bool(computed), longest=int(str(longest)) if longest else None,
                octets=int(str(octets)) if octets else None,
            )
            for label, kind, base, nullable, filled, computed, longest, octets in found
        ]  # fmt: skip

    def _create(self) -> None:
        schema = _renamed(self.target.schema, self._names)
        tables = tuple(self._names.get(name, name) for name in self.target.tables)
        for name in tables:
            quoted = quoted_name(self.dialect, name, self.namespace)
            if self._names:
                self.run(f"DROP TABLE IF EXISTS {quoted}")
            self.undo.append(f"DROP TABLE IF EXISTS {quoted}")
        for statement in create_tables(schema, tables, self.dialect, namespace=self.namespace):
            self.run(statement)
        self.after += add_constraints(schema, tables, self.dialect, namespace=self.namespace)

    def _drop(self, tables: list[str]) -> None:
        """Refuse what others refer to; the tables themselves stay until the end."""
        ours = {self.label(name) for name in self.target.tables}
        for reference in references_of(self, self._base):
            if reference.parent in ours and reference.child not in ours:
                raise faults.refused(
                    f"Table {reference.child!r} of the database refers to {reference.parent!r} "
                    f"({reference.name}): replace it too, or use mode truncate",
                    reason="TABLE_NEEDED_ELSEWHERE",
                )
        del tables

    def _empty(self) -> None:
        for name in self.target.tables:
            word = "TRUNCATE TABLE" if self.load else "DELETE FROM"
            self.run(f"{word} {self.name_of(name)}")

    def _set_aside(self) -> None:
        """Do nothing: the session checks no references."""

    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        del first
        slots = self.slots[table]
        columns = ", ".join(self.quoted(slot.name) for slot in slots)
        into = self.name_of(table)
        if not self._files:
            for values in insert_values(rows, slots):
                self.run(f"INSERT INTO {into} ({columns}) VALUES {values}")
            return
        fields, bits = [], []
        for at, slot in enumerate(slots):
            fields.append(f"@bit{at}" if slot.base == "bit" else self.quoted(slot.name))
            if slot.base == "bit":
                bits.append(f"{self.quoted(slot.name)} = CAST(@bit{at} AS UNSIGNED)")
        self._connection.offer(load_lines(rows, slots))
        self.run(
            f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {into} CHARACTER SET utf8mb4 "
            "FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A' "
            f"({', '.join(fields)})" + (f" SET {', '.join(bits)}" if bits else "")
        )
        # LOCAL turns errors into warnings and leaves rows out.
        written = self._cursor.rowcount
        for level, code, text in self._connection.show_warnings() if self._warned() else ():
            if level != "Note":
                raise self._told(int(code), str(text)) or self._lost(table, int(code))
        if written != rows.num_rows:
            raise self._lost(table, 0)

    def _warned(self) -> bool:
        return bool(self._connection.warning_count())

    def _lost(self, table: str, code: int) -> FailedPreconditionError:
        return FailedPreconditionError(
            f"The database did not take all rows of table {table!r} as they are"
            + (f" (the database's code: {code})" if code else ""),
            reason="ROWS_REFUSED",
            metadata={"table": table},
        )

    def _check(self) -> None:
        ours = {self.label(self._names.get(name, name)) for name in self.target.tables}
        for reference in references_of(self, self._base):
            if ours.isdisjoint({reference.child, reference.parent}):
                continue
            if self.rows(orphans(self, reference, "LIMIT 1")):
                table = self.table_called(reference.child)
                raise faults.broken(table, reference.name, "REFERENCE_BROKEN")

    def _unique(self, table: str) -> list[set[str]]:
        name = self.literal(self.label(table))
        found = self.rows(
            "SELECT index_name, column_name FROM information_schema.statistics "
            f"WHERE non_unique = 0 AND table_schema = {self._base} AND table_name = {name}"
        )
        keys: dict[object, set[str]] = {}
        for index, column in found:
            keys.setdefault(index, set()).add(str(column))
        return list(keys.values())

    def _referring(self, table: str) -> set[str]:
        return joined_columns(references_of(self, self._base), self.label(table))

    def _conclude(self) -> None:
        if self.mode is not LoadMode.REPLACE:
            return
        there, moves, old = self._existing(), [], []
        for table, made in self._names.items():
            name = quoted_name(self.dialect, table, self.namespace)
            if self.label(table) in there:
                old.append(quoted_name(self.dialect, _other("old", table), self.namespace))
                moves.append(f"{name} TO {old[-1]}")
            moves.append(f"{quoted_name(self.dialect, made, self.namespace)} TO {name}")
        if old:
            self.run(f"DROP TABLE IF EXISTS {', '.join(old)}")
        self.run(f"RENAME TABLE {', '.join(moves)}")
        if old:
            self.run(f"DROP TABLE {', '.join(old)}")

    def _commit(self) -> None:
        self._connection.commit()

    def _rollback(self) -> None:
        self._connection.rollback()

    def _close(self) -> None:
        self._connection.close()


def _other(word: str, table: str) -> str:
    """Return the name of the table that stands in for `table`: short, and the same each time."""
    return f"syntheflow_{word}_{hashlib.sha256(table.encode()).hexdigest()[:16]}"


def _renamed(schema: Schema, names: dict[str, str]) -> Schema:
    tables = [t.model_copy(update={"name": names.get(t.name, t.name)}) for t in schema.tables]
    keys = [
        key.model_copy(
            update={
                "child_table": names.get(key.child_table, key.child_table),
                "parent_table": names.get(key.parent_table, key.parent_table),
            }
        )
        for key in schema.foreign_keys
    ]
    return schema.model_copy(update={"tables": tuple(tables), "foreign_keys": tuple(keys)})
