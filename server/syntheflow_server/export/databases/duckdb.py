"""DuckDB: INSERT straight from Arrow."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
import hashlib
import re
from typing import Any, ClassVar

import pyarrow as pa

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.errors import DataLossError, SyntheflowError
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.loader import Loader
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.ddl import create_tables, dependency_order

_COLUMN = re.compile(r"NOT NULL constraint failed: (?:.*\.)?([^.\s]+)\s*$")
_SEQUENCE = re.compile(r"nextval\('((?:[^']|'')+)'(?:::\w+)?\)", re.IGNORECASE)
_ROWS = "syntheflow_rows"
_MEMORY = "1GiB"
_STAGE = "syntheflow_stage_"
_PIECE_ROWS = 1 << 20
"""Rows of a table that wait together, and are moved in one statement."""


class DuckdbLoader(Loader):
    """Loads from Arrow, in one transaction or, with a name, in one for each block.

    References are checked row by row and cannot be put aside: where tables have any, rows
    wait in tables without keys and go on in dependency order at the end. Mode truncate
    makes the tables anew from their own words. Texts are not held to a declared length.
    DuckDB keeps the keys of the open transaction in memory, some 120 bytes a row: many
    million rows are better loaded under a name.
    """

    dialect: ClassVar[Dialect] = Dialect.DUCKDB

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
        # More waits on disk, beside the file; keys alone must be in memory.
        self._connection.execute(f"SET memory_limit = '{_MEMORY}'")
        self._open = False
        self._schema = self.literal(namespace) if namespace else "current_schema()"
        self._pieces: dict[str, set[int]] = {}
        """Tables whose rows wait, and the pieces in which they do."""

    # Statements

    def run(self, statement: str) -> None:
        """Run one statement."""
        if not self._open:
            self._connection.execute("BEGIN TRANSACTION")
            self._open = True
        self._connection.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        self.run(query)
        found: list[tuple[object, ...]] = self._connection.fetchall()
        return found

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return DuckDB's error without its values, which its messages quote."""
        import duckdb

        if self.sending is None or not isinstance(error, duckdb.Error):
            return super().explain(error)
        table, text = self.sending[0], str(error)
        if isinstance(error, duckdb.ConstraintException):
            if re.search(r"(?i)duplicate key|unique constraint|primary key", text):
                return faults.keys_meet(table, "key", appending=self.mode is LoadMode.APPEND)
            if column := _COLUMN.search(text):
                return faults.broken(table, column[1], "NULL_REFUSED")
            reason = "REFERENCE_BROKEN" if "foreign key" in text.lower() else "CHECK_BROKEN"
            return faults.broken(table, self._references_text(table), reason)
        return super().explain(error)

    def _references_text(self, table: str) -> str:
        return ", ".join(str(key) for key in self.target.schema.references_from(table)) or "check"

    # The course

    def _existing(self) -> set[str]:
        found = self.rows(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
            f"AND schema_name = {self._schema} AND NOT temporary"
        )
        return {str(name) for (name,) in found}

    def _slots(self, table: str) -> list[Slot]:
        found = self.rows(
            "SELECT column_name, data_type, is_nullable, column_default IS NOT NULL, "
            "column_name IN (SELECT column_name FROM (DESCRIBE "
            f"{self.name_of(table)}) WHERE extra LIKE '%GENERATED%') FROM duckdb_columns() "
            f"WHERE database_name = current_database() AND schema_name = {self._schema} "
            f"AND table_name = {self.literal(self.label(table))} ORDER BY column_index"
        )
        return [
            Slot(str(name), str(kind), str(kind), nullable=bool(nullable),
                 filled=bool(filled), computed=bool(computed))
            for name, kind, nullable, filled, computed in found
        ]  # fmt: skip

    def _create(self) -> None:
        schema, tables = self.target.schema, self.target.tables
        for statement in create_tables(schema, tables, self.dialect, namespace=self.namespace):
            self.run(statement)

    def _drop(self, tables: list[str]) -> None:
        for name in self._children_first(tables):
            self.run(f"DROP TABLE {self.name_of(name)}")

    def _empty(self) -> None:
        made: list[str] = []
        for name in self._order():
            label = self.literal(self.label(name))
            place = f"schema_name = {self._schema} AND table_name = {label}"
            made += [
                str(sql)
                for kind in ("tables", "indexes")
                for (sql,) in self.rows(f"SELECT sql FROM duckdb_{kind}() WHERE {place}")
            ]
        self._drop(list(self.target.tables))
        for statement in made:
            self.run(statement)

    def _set_aside(self) -> None:
        """Do nothing: see `_look_at_tables`."""

    def _children_first(self, tables: list[str]) -> list[str]:
        return [name for name in reversed(self._order()) if name in tables]

    def _order(self) -> list[str]:
        """Return the tables, parents first, as the database has their references."""
        pairs = self._references()
        left, ordered = list(dependency_order(self.target.schema, self.target.tables)), []
        while left:
            free = [
                name
                for name in left
                if not any(child == name and parent in left for child, parent in pairs)
            ]
            ordered.append(free[0] if free else left[0])
            left.remove(ordered[-1])
        return ordered

    def _references(self) -> set[tuple[str, str]]:
        """Return child and parent of each reference of the tables, none to themselves."""
        found = self.rows(
            "SELECT table_name, referenced_table FROM duckdb_constraints() "
            f"WHERE schema_name = {self._schema} AND database_name = current_database() "
            "AND constraint_type = 'FOREIGN KEY'"
        )
        pairs = {(self.table_called(str(c)), self.table_called(str(p))) for c, p in found}
        ours = set(self.target.tables)
        return {(c, p) for c, p in pairs if c in ours}

    def _look_at_tables(self) -> None:
        """See which tables' rows must wait for those that they refer to."""
        super()._look_at_tables()
        self._pieces = {child: set() for child, _ in self._references()}
        for table, pieces in self._pieces.items() if self.load else ():
            start = self._stage_label(table, "")
            pieces.update(int(name.removeprefix(start)) for name in self._stages(start))

    def _stages(self, start: str) -> list[str]:
        """Return the tables of rows that wait, of an earlier run too."""
        found = self.rows(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary AND schema_name = "
            f"{self._schema} AND starts_with(table_name, {self.literal(start)})"
        )
        return [str(name) for (name,) in found]

    def _stage_label(self, table: str, piece: object) -> str:
        """Return the name of a table without keys; a load's name is its own."""
        mark = f"{hashlib.sha256(self.load.encode()).hexdigest()[:12]}_" if self.load else ""
        return f"{_STAGE}{mark}{self.target.tables.index(table)}_{piece}"

    def _stage(self, table: str, piece: int) -> str:
        label = self._stage_label(table, piece)
        return self.name_of(label) if self.load else self.quoted(label)

    def _made_stage(self, table: str, first: int) -> str:
        """Return the table where rows from `first` on wait, made if it is not there."""
        piece = first // _PIECE_ROWS
        stage = self._stage(table, piece)
        if piece not in self._pieces[table]:
            self._pieces[table].add(piece)
            word = "TABLE" if self.load else "TEMP TABLE"
            # Not CREATE ... AS SELECT: rows added to such a table later in the same
            # transaction are not seen before its end (DuckDB 2.0.0).
            columns = [f"{self.quoted(slot.name)} {slot.type}" for slot in self.slots[table]]
            self.run(f"CREATE {word} {stage} ({', '.join(columns)})")
        return stage

    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        slots = self.slots[table]
        names = ", ".join(self.quoted(slot.name) for slot in slots)
        waits = table in self._pieces
        into = self._made_stage(table, first) if waits else self.name_of(table)
        chosen = rows.select([slot.source for slot in slots])
        numbered = chosen.rename_columns([str(at) for at in range(len(slots))])
        values = ", ".join(f'"{at}"' for at in range(len(slots)))
        self._connection.register(_ROWS, numbered)
        try:
            moved = self.rows(f"INSERT INTO {into} ({names}) SELECT {values} FROM {_ROWS}")
        except Exception as error:
            self._raise_unfit(error, table, first, numbered)
            raise
        self._connection.unregister(_ROWS)
        self._expect(table, moved, rows.num_rows)

    def _expect(self, table: str, moved: list[tuple[object, ...]], rows: int) -> None:
        """Raise DataLossError if an INSERT did not take all rows."""
        if moved != [(rows,)]:
            raise DataLossError(
                f"DuckDB did not take all of {rows} rows of table {table!r}",
                reason="ROWS_LOST",
                metadata={"table": table},
            )

    def _raise_unfit(self, error: Exception, table: str, first: int, rows: pa.Table) -> None:
        """Look for the value that does not fit its column's type, and name its place."""
        import duckdb

        if not isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
            return
        # The transaction is lost, and with it the name of the rows.
        self._rollback()
        self._connection.register(_ROWS, rows)
        for at, slot in enumerate(self.slots[table]):
            found = self._connection.execute(
                f'SELECT row FROM (SELECT "{at}" AS v, row_number() OVER () - 1 AS row '
                f"FROM {_ROWS}) WHERE v IS NOT NULL AND TRY_CAST(v AS {slot.type}) IS NULL LIMIT 1"
            ).fetchone()
            if found is not None:
                rule = f"is of type {slot.type}, and the value does not fit it"
                raise faults.row_refused(table, slot.source, first + int(found[0]), rule)

    def _check(self) -> None:
        for table in self._order():
            names = ", ".join(self.quoted(slot.name) for slot in self.slots[table])
            into = f"{self.name_of(table)} ({names})"
            for piece in sorted(self._pieces.get(table, ())):
                stage = self._stage(table, piece)
                self.sending = (table, piece * _PIECE_ROWS)
                (waiting,) = self.rows(f"SELECT count(*) FROM {stage}")[0]
                moved = self.rows(f"INSERT INTO {into} SELECT {names} FROM {stage}")
                self._expect(table, moved, int(str(waiting)))
                self.run(f"DROP TABLE {stage}")
                self.sending = None
                if self.load:
                    # Keys leave memory and the waiting rows' place in the file is free
                    # again; what has moved is told by the tables that are left.
                    self._commit()
                    self._connection.execute("CHECKPOINT")

    def _discard_rest(self) -> None:
        for table in self.target.tables:
            for name in self._stages(self._stage_label(table, "")):
                self.run(f"DROP TABLE {self.name_of(name)}")

    def _unique(self, table: str) -> list[set[str]]:
        found = self.rows(
            "SELECT constraint_column_names FROM duckdb_constraints() "
            f"WHERE schema_name = {self._schema} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') "
            f"AND table_name = {self.literal(self.label(table))}"
        )
        return [set(map(str, columns)) for (columns,) in found if isinstance(columns, list)]

    def _set_counters(self) -> None:
        for table in self.target.tables:
            found = self.rows(
                "SELECT column_name, column_default FROM duckdb_columns() WHERE "
                f"schema_name = {self._schema} AND table_name = {self.literal(self.label(table))}"
            )
            for column, default in found:
                if sequence := _SEQUENCE.fullmatch(str(default)):
                    self._set_behind(table, str(column), sequence[1].replace("''", "'"))

    def _set_behind(self, table: str, column: str, sequence: str) -> None:
        """Draw numbers until the sequence is behind the largest: it cannot be set."""
        name = self.literal(sequence.rpartition(".")[2].strip('"'))
        facts = self.rows(
            "SELECT start_value, increment_by, last_value FROM duckdb_sequences() "
            f"WHERE sequence_name = {name} AND schema_name = {self._schema}"
        )
        most = self.rows(f"SELECT max({self.quoted(column)}) FROM {self.name_of(table)}")[0][0]
        if not facts or most is None:
            return
        start, step, last = (None if f is None else int(str(f)) for f in facts[0])
        assert start is not None
        assert step is not None
        begun = start - step if last is None else last
        if step > 0 and (left := -(-(int(str(most)) - begun) // step)) > 0:
            self.rows(f"SELECT count(nextval({self.literal(sequence)})) FROM range({left})")

    def _commit(self) -> None:
        if self._open:
            self._connection.execute("COMMIT")
            self._open = False

    def _rollback(self) -> None:
        if self._open:
            self._open = False
            self._connection.execute("ROLLBACK")

    def _close(self) -> None:
        self._connection.close()
