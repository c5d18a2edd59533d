"""One SQL script for the whole dataset: tables, rows, then references and numbering.

PostgreSQL, SQLite, DuckDB and SQL Server run it in one transaction. MySQL cannot take
back the making of tables: there the rows are one transaction. DuckDB checks references at
once and cannot add them later, so rows wait in temporary tables until all are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import (
    MAX_PIECE,
    TARGET_PIECE,
    Encoder,
    FilePart,
    Piece,
    Target,
    blocks,
    file_stem,
    too_large_row,
)
from syntheflow_server.export.ddl import (
    add_constraints,
    create_tables,
    dependency_order,
    fix_identities,
    identity_column,
    quoted_name,
)
from syntheflow_server.export.sql_names import quoted_list
from syntheflow_server.export.sql_values import copy_cells, literals

_ROWS = 1000
"""Rows of one INSERT: SQL Server takes no more."""
_BLOCK = 1 << 27
_SCRIPTS = (
    Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE, Dialect.MSSQL, Dialect.DUCKDB,
)  # fmt: skip
_BEFORE = {
    Dialect.POSTGRESQL: (
        "-- Run with: psql -v ON_ERROR_STOP=1 -f FILE DATABASE\n"
        "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\nBEGIN;\n"
    ),
    Dialect.MYSQL: (
        "-- Run with: mysql DATABASE < FILE\n"
        "SET NAMES utf8mb4;\nSET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES';\n"
    ),
    Dialect.SQLITE: (
        "-- Run with: sqlite3 -bail DATABASE < FILE\nPRAGMA foreign_keys = ON;\nBEGIN;\n"
    ),
    Dialect.MSSQL: (
        "-- Run with: sqlcmd -b -f 65001 -d DATABASE -i FILE\n"
        "SET QUOTED_IDENTIFIER ON;\nSET ANSI_NULLS ON;\nSET XACT_ABORT ON;\nSET NOCOUNT ON;\nGO\n"
        "BEGIN TRANSACTION;\nGO\n"
    ),
    Dialect.DUCKDB: "-- Run with: duckdb -bail DATABASE < FILE\nBEGIN TRANSACTION;\n",
}
_AFTER = {Dialect.MSSQL: "COMMIT TRANSACTION;\nGO\nSET NOEXEC OFF;\nGO\n"}
# After an error there is no transaction any more, and nothing else may be done.
_GUARD = "IF @@TRANCOUNT = 0 SET NOEXEC ON;\n"


class SqlEncoder(Encoder):
    """INSERT statements of up to 1000 rows and about 1 MiB, or blocks of COPY."""

    ending: ClassVar[str] = ".sql"

    def __init__(self, target: Target, table: str) -> None:
        super().__init__(target, table)
        self._dialect, self._copy = target.options.dialect, target.options.copy_rows
        rows_to = _waiting_name(table) if _rows_wait(target) else quoted_name(self._dialect, table)
        columns = quoted_list(self._dialect, self.table.column_names)
        # `_between` stands behind each row; of the last one's, `_over` characters are cut off.
        if self._copy:
            self._head = f"COPY {rows_to} {columns} FROM stdin;\n"
            self._joint, self._between, self._over, self._foot = "\t", "\n", 0, "\\.\n"
        else:
            self._head = f"INSERT INTO {rows_to} {columns} VALUES\n("
            self._joint, self._between, self._over, self._foot = ",", "),\n(", 4, ");\n"
        if self._dialect is Dialect.MSSQL:
            self._number_by_hand(rows_to)

    @classmethod
    def file_of(cls, target: Target, table: str) -> str:
        """Return the script's name: it holds all tables."""
        del table
        return file_stem(target.name) + cls.ending

    @classmethod
    def opening(cls, target: Target) -> Iterator[FilePart]:
        """Yield settings and tables. Raises InvalidArgumentError for what no script can hold."""
        dialect = target.options.dialect
        _check(target)
        statements = create_tables(target.schema, target.tables, dialect)
        text = f"-- Dialect: {dialect}\n{_BEFORE[dialect]}{_script(statements, dialect)}"
        if _rows_wait(target):
            text += "".join(
                f"CREATE TEMP TABLE {_waiting_name(table)} AS "
                f"FROM {quoted_name(dialect, table)} LIMIT 0;\n"
                for table in target.tables
            )
        if dialect is Dialect.MYSQL:
            text += "START TRANSACTION;\n"
        yield FilePart(cls.file_of(target, ""), "", text.encode())

    @classmethod
    def closing(cls, target: Target) -> Iterator[FilePart]:
        """Yield references and numbering."""
        dialect = target.options.dialect
        statements = []
        if _rows_wait(target):
            for table in dependency_order(target.schema, target.tables):
                name, waiting = quoted_name(dialect, table), _waiting_name(table)
                statements.append(f"INSERT INTO {name} FROM {waiting}")
                statements.append(f"DROP TABLE {waiting}")
        if dialect is Dialect.MYSQL:
            statements.append("COMMIT")
        statements += add_constraints(target.schema, target.tables, dialect)
        statements += fix_identities(target.schema, target.tables, dialect)
        text = _script(statements, dialect)
        if dialect is not Dialect.MYSQL:
            text += _AFTER.get(dialect, "COMMIT;\n")
        yield FilePart(cls.file_of(target, ""), "", text.encode())

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield whole statements."""
        del first
        self._expect(batch)
        for block in blocks(batch, _BLOCK):
            cells = [
                self._cells(name, values)
                for name, values in zip(self.schema.names, block.columns, strict=True)
            ]
            missing = "\\N" if self._copy else "NULL"
            how = {"null_handling": "replace", "null_replacement": missing}
            cells[-1] = pc.binary_join_element_wise(cells[-1], self._between, "", **how)
            lines = pc.binary_join_element_wise(*cells, self._joint, **how)
            yield from self._statements(lines)

    def _cells(self, name: str, values: pa.Array) -> pa.Array:
        if self._copy:
            return copy_cells(values, table=self.table.name, column=name)
        return literals(values, self._dialect, table=self.table.name, column=name)

    def _statements(self, lines: pa.Array) -> Iterator[Piece]:
        """Cut the rows into statements, and these into pieces."""
        offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)[: len(lines) + 1]
        data = memoryview(lines.buffers()[2])
        head, foot = self._head.encode(), self._foot.encode()
        most = len(lines) if self._copy else _ROWS
        made: list[bytes] = []
        size = rows = row = 0
        while row < len(lines):
            start = int(offsets[row])
            full = int(np.searchsorted(offsets, start + TARGET_PIECE, side="right")) - 1
            stop = max(min(full, row + most), row + 1)
            statement = b"".join((head, data[start : int(offsets[stop]) - self._over], foot))
            if len(statement) > MAX_PIECE:
                raise too_large_row(len(lines))
            if made and size + len(statement) > TARGET_PIECE:
                yield Piece(b"".join(made), rows)
                made, size, rows = [], 0, 0
            made.append(statement)
            size, rows, row = size + len(statement), rows + stop - row, stop
        if made:
            yield Piece(b"".join(made), rows)

    def _number_by_hand(self, name: str) -> None:
        """Let numbers of identity columns be inserted, which one table at a time may."""
        before, after = _GUARD, ""
        if identity_column(self.table, self._dialect):
            before += f"SET IDENTITY_INSERT {name} ON;\n"
            after = f"SET IDENTITY_INSERT {name} OFF;\n"
        self._head = before + self._head
        self._foot += after + "GO\n"


def _check(target: Target) -> None:
    options = target.options
    rule = ""
    if options.dialect not in _SCRIPTS:
        rule = "SQL scripts are written in " + ", ".join(_SCRIPTS)
    elif options.copy_rows and options.dialect is not Dialect.POSTGRESQL:
        rule = "copy_rows is for scripts in postgresql"
    if rule:
        raise InvalidArgumentError(
            f"{rule}, not in {options.dialect}",
            reason="DIALECT_NOT_SUPPORTED",
            violations=(Violation(field="options.dialect", rule=rule),),
        )


def _rows_wait(target: Target) -> bool:
    """Tell whether rows wait until all are there, as DuckDB would compare them too early."""
    inside = any(key.parent_table in target.tables for key in target.schema.foreign_keys)
    return target.options.dialect is Dialect.DUCKDB and inside


def _waiting_name(table: str) -> str:
    return quoted_name(Dialect.DUCKDB, f"rows of {table}")


def _script(statements: list[str], dialect: Dialect) -> str:
    if dialect is Dialect.MSSQL:
        return "".join(f"{_GUARD}{statement};\nGO\n" for statement in statements)
    return "".join(f"{statement};\n" for statement in statements)
