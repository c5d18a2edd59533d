"""A SQLite file for the whole dataset: tables with their keys, references and conditions.

Rows are put in while they come, all in one transaction of a file that nobody else sees;
references are checked at the end, when all rows are there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import Book, FilePart, Target, blocks, file_stem
from syntheflow_server.export.database_file import (
    broken_reference,
    file_parts,
    kept_references,
    write_error,
)
from syntheflow_server.export.ddl import create_tables, fitting_name, quoted_name
from syntheflow_server.export.sqlite_rows import insert_rows

_BLOCK_ROWS = 1 << 14
_BLOCK_BYTES = 1 << 24
# Nobody reads the file while it is made, and a broken one is thrown away: no journal.
_SETTINGS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -65536",
)


class SqliteBook(Book):
    """One database file; its bytes go out at the end."""

    ending: ClassVar[str] = ".sqlite"

    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        self._file, self._path = file_stem(target.name) + self.ending, work / "database"
        self._base = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._rows = dict.fromkeys(target.tables, 0)
        statements = create_tables(target.schema, target.tables, Dialect.SQLITE)
        for statement in (*_SETTINGS, "BEGIN", *statements):
            self._run(statement)

    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield their number alone."""
        for start in range(0, batch.num_rows, _BLOCK_ROWS):
            for block in blocks(batch.slice(start, _BLOCK_ROWS), _BLOCK_BYTES):
                self._insert(table, block)
        yield FilePart(self._file, table, b"", batch.num_rows)

    def end(self) -> Iterator[FilePart]:
        """Yield the file, if all its references hold."""
        self._check_references()
        self._run("COMMIT")
        self._base.close()
        yield from file_parts(self._path, self._file)

    def _insert(self, table: str, block: pa.RecordBatch) -> None:
        before = self._base.total_changes
        try:
            insert_rows(self._base, quoted_name(Dialect.SQLITE, table), block)
        except (sqlite3.Error, OverflowError) as error:
            row = self._rows[table] + self._base.total_changes - before + 1
            raise write_error(error, self._file, Dialect.SQLITE, table, row) from None
        self._rows[table] += block.num_rows

    def _run(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement)
        except sqlite3.Error as error:
            raise write_error(error, self._file, Dialect.SQLITE) from None

    def _check_references(self) -> None:
        for table in self.target.tables:
            keys = kept_references(self.target, table)
            name = quoted_name(Dialect.SQLITE, table)
            found = self._run(f"PRAGMA foreign_key_check({name})").fetchone() if keys else None
            if found is not None:
                # The second field is the row's number or its key: it is not told.
                columns = self._columns(name, found[3])
                fitted = [
                    key
                    for key in keys
                    if columns == [fitting_name(Dialect.SQLITE, c) for c in key.child_columns]
                    and found[2] == fitting_name(Dialect.SQLITE, key.parent_table)
                ]
                raise broken_reference((fitted or keys)[0])

    def _columns(self, name: str, number: int) -> list[str]:
        """Return the child's columns of the reference that SQLite gave this number."""
        facts = self._run(f"PRAGMA foreign_key_list({name})").fetchall()
        return [row[3] for row in sorted(facts, key=lambda row: row[1]) if row[0] == number]
