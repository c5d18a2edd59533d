"""SQLite files: every table with its declared keys and types, read only."""

# ruff: noqa: S608 - names are quoted by `_name`
from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.choice import chosen
from syntheflow_server.ingest.declared import (
    BINARY,
    DeclaredColumn,
    DeclaredTable,
    is_binary,
    resolve,
    settle,
)
from syntheflow_server.ingest.sql_ddl import checks_of
from syntheflow_server.ingest.stage import Stage
from syntheflow_server.ingest.tables import IngestedTable, bad_file, check_column_names
from syntheflow_server.ingest.workshop import workshop

_ROW_LIMIT = 1 << 24
_FETCH = 16
_LOOK_STEPS = 1_000_000
_IDLE_LOOKS = 1_000
"""Steps, in millions, that a view may compute without giving rows: some half a minute."""
_VIEW_FREE, _VIEW_RATIO = 1 << 30, 200
"""Characters of a view's rows: so many in any case, or so many times the file's size."""
_VIRTUAL = 2
_STORED = 3


def read_sqlite(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read the tables of a SQLite file; views only where `options.tables` names them."""
    with workshop(out) as work, _open(path, table) as con:
        kinds = dict(
            con.execute(
                "SELECT name, type FROM pragma_table_list WHERE schema = 'main' "
                "AND type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            ).fetchall()
        )
        order = [
            name
            for (name,) in con.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
            )
            if name in kinds
        ]
        takable = [n for n in order if options.tables is not None or kinds[n] == "table"]
        names = chosen(takable, options.tables, table=table)
        if not names:
            raise bad_file(table, "the database has no table", reason="TABLE_EMPTY")
        declared = resolve([_declared(con, name) for name in names])
        skipped = [name for name in order if name not in names]
        made = []
        for number, each in enumerate(declared):
            findings = [f"SQLite, {kinds[each.name]} {each.name!r}"]
            if skipped and number == 0:
                findings.append(f"not read: {', '.join(skipped)}")
            stage = Stage(work, each.name, number)
            size = path.stat().st_size if kinds[each.name] == "view" else None
            _fill(con, each, stage, size)
            made.append(settle(stage, each, work=work, file_name=file_name, out=out,
                               findings=findings, dialect=Dialect.SQLITE))  # fmt: skip
        return tuple(made)


@contextmanager
def _open(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    address = f"file:{urllib.parse.quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as con:
            con.execute("PRAGMA trusted_schema = OFF")
            con.execute("PRAGMA cell_size_check = ON")
            con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _ROW_LIMIT)
            yield con
    except sqlite3.DataError as error:
        raise bad_file(table, f"a row is larger than {_ROW_LIMIT >> 20} MiB") from error
    except sqlite3.OperationalError as error:
        rule = "a text is not UTF-8, or the file needs functions or modules that are not here"
        raise bad_file(table, rule) from error
    except sqlite3.DatabaseError as error:
        rule = "the file is damaged or is no SQLite database; make a new copy (VACUUM INTO)"
        raise bad_file(table, rule) from error


def _declared(con: sqlite3.Connection, name: str) -> DeclaredTable:
    made = DeclaredTable(name)
    keys: list[tuple[int, str]] = []
    for _, column, kind, required, _, place, hidden in con.execute(
        f"PRAGMA table_xinfo({_name(name)})"
    ):
        if hidden not in {0, _VIRTUAL, _STORED}:
            continue
        made.columns.append(DeclaredColumn(column, kind, nullable=not required and not place))
        if place:
            keys.append((place, column))
    check_column_names(name, [column.name for column in made.columns])
    made.primary_key = tuple(column for _, column in sorted(keys))
    _number_by_itself(made)
    for _, index, unique, origin, partial in con.execute(f"PRAGMA index_list({_name(name)})"):
        if unique and origin in {"u", "c"} and not partial:
            parts = [row[2] for row in con.execute(f"PRAGMA index_info({_name(index)})")]
            if all(parts):
                made.unique_keys.append(tuple(parts))
    made.references = _references(con, name)
    found = con.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    made.checks = checks_of(found[0] or "" if found else "", Dialect.SQLITE)
    return made


def _number_by_itself(table: DeclaredTable) -> None:
    """Mark a lone INTEGER PRIMARY KEY: it is the row's own number, given by SQLite."""
    for column in table.columns:
        if table.primary_key == (column.name,) and column.native.upper() == "INTEGER":
            column.identity = True


def _references(con: sqlite3.Connection, name: str) -> list[ForeignKey]:
    links: dict[int, list[Any]] = {}
    for number, _, parent, child, target, *_ in con.execute(
        f"PRAGMA foreign_key_list({_name(name)})"
    ):
        links.setdefault(number, []).append((parent, child, target))
    return [
        ForeignKey(
            child_table=name,
            child_columns=tuple(child for _, child, _ in parts),
            parent_table=parts[0][0],
            parent_columns=tuple(target for _, _, target in parts if target is not None),
        )
        for _, parts in sorted(links.items())
    ]


def _fill(con: sqlite3.Connection, table: DeclaredTable, stage: Stage, view_of: int | None) -> None:
    """Stage all rows; bytes are not fetched where they are declared.

    `view_of` is the file's size if it is a view, whose rows need not end.
    """
    watch = _Watch(table.name, view_of)
    if view_of is not None:
        con.set_progress_handler(watch.looked, _LOOK_STEPS)
    try:
        _stage_rows(con, table, stage, watch)
    except sqlite3.OperationalError as error:
        if watch.looks > _IDLE_LOOKS:
            raise watch.fault("the view computes on and on without giving a row") from error
        raise
    finally:
        con.set_progress_handler(None, 0)


class _Watch:
    """What a view has cost since its last rows, and in all."""

    def __init__(self, name: str, size: int | None) -> None:
        self.looks = 0
        self._name = name
        self._left = None if size is None else max(_VIEW_FREE, _VIEW_RATIO * size)

    def looked(self) -> int:
        """Count a million steps; not 0 ends the query."""
        self.looks += 1
        return int(self.looks > _IDLE_LOOKS)

    def gave(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Count rows that came."""
        self.looks = 0
        if self._left is not None:
            self._left -= sum(len(v) if isinstance(v, str) else 8 for row in rows for v in row)
            if self._left < 0:
                raise self.fault("the view gives rows out of all proportion to the file")

    def fault(self, rule: str) -> Exception:
        """Return the error for a view without end."""
        return bad_file(self._name, f"{rule}; make it a table", reason="FILE_TOO_LARGE")


def _stage_rows(con: sqlite3.Connection, table: DeclaredTable, stage: Stage, watch: _Watch) -> None:
    for place, column in enumerate(table.columns):
        stage.column(column.name, place)
    listed = ", ".join("NULL" if is_binary(c.native) else _name(c.name) for c in table.columns)
    cursor = con.execute(f"SELECT {listed} FROM {_name(table.name)}")
    while rows := cursor.fetchmany(_FETCH):
        watch.gave(rows)
        stage.extend([_texts(values, families)
                      for values, families in zip(zip(*rows, strict=True),
                                                  (c.families for c in stage.columns),
                                                  strict=True)])  # fmt: skip


def _texts(values: tuple[Any, ...], families: set[str]) -> list[str | None]:
    made: list[str | None] = []
    for value in values:
        if value is None:
            made.append(None)
        elif isinstance(value, str):
            families.add("text")
            made.append(value)
        elif isinstance(value, bytes):
            families.add(BINARY)
            made.append(None)
        else:
            families.add("number")
            made.append(repr(value))
    return made


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
