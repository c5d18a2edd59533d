"""SQLite's catalogue as tables with keys."""

from __future__ import annotations

import sqlite3

from syntheflow_server.ingest.databases.catalogue import (
    SourceColumn,
    SourceReference,
    SourceTable,
)
from syntheflow_server.ingest.databases.source import quoted


def read_tables(connection: sqlite3.Connection) -> list[SourceTable]:
    """Return the tables in the order in which they were made."""
    found = connection.execute(
        "SELECT m.name, coalesce(m.sql, '') FROM sqlite_master m "
        "JOIN pragma_table_list l ON l.name = m.name AND l.schema = 'main' "
        # 'shadow' tables belong to virtual ones.
        "WHERE m.type = 'table' AND l.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY m.rowid"
    ).fetchall()
    columns = {name: _columns(connection, name) for name, _ in found}
    keys = {name: _primary_key(connection, name) for name, _ in found}
    return [
        SourceTable(
            namespace="",
            name=name,
            columns=columns[name],
            primary_key=keys[name],
            unique_keys=_unique_keys(connection, name),
            checks=tuple((text, ()) for text in checks_of(sql)),
            references=_references(connection, name, keys, columns),
        )
        for name, sql in found
    ]


def _columns(connection: sqlite3.Connection, table: str) -> tuple[SourceColumn, ...]:
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    keys = sum(1 for row in rows if row[5])
    return tuple(
        SourceColumn(
            name=name,
            native_type=declared,
            kind=declared.lower(),
            nullable=not (filled or key),
            # The one INTEGER PRIMARY KEY is the number of the row.
            identity=bool(key) and keys == 1 and declared.upper() == "INTEGER",
            computed=hidden in {2, 3},
        )
        for _, name, declared, filled, _, key, hidden in rows
        if hidden != 1
    )


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5])


def _unique_keys(connection: sqlite3.Connection, table: str) -> tuple[tuple[str, ...], ...]:
    keys = []
    for _, index, unique, origin, partial in connection.execute(
        f"PRAGMA index_list({quoted(table)})"
    ).fetchall():
        if not unique or partial or origin == "pk":
            continue
        parts = connection.execute(f"PRAGMA index_info({quoted(index)})").fetchall()
        if all(name is not None for _, _, name in parts):
            keys.append(tuple(name for _, _, name in parts))
    return tuple(reversed(dict.fromkeys(keys)))


def _references(
    connection: sqlite3.Connection,
    table: str,
    keys: dict[str, tuple[str, ...]],
    columns: dict[str, tuple[SourceColumn, ...]],
) -> tuple[SourceReference, ...]:
    """Return references with names as the parent writes them: SQLite compares without case."""
    by_fold = {name.casefold(): name for name in keys}
    found: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _, parent, column, target, *_ in connection.execute(
        f"PRAGMA foreign_key_list({quoted(table)})"
    ).fetchall():
        found.setdefault(number, []).append((parent, column, target))
    made = []
    for _, parts in sorted(found.items(), reverse=True):
        parent = by_fold.get(parts[0][0].casefold(), parts[0][0])
        own = {c.name.casefold(): c.name for c in columns[table]}
        theirs = {c.name.casefold(): c.name for c in columns.get(parent, ())}
        named = tuple(part[2] for part in parts)
        # Without columns the parent's primary key is meant.
        target = keys.get(parent, ()) if None in named else tuple(n for n in named if n)
        if len(target) == len(parts):
            made.append(
                SourceReference(
                    tuple(own.get(part[1].casefold(), part[1]) for part in parts),
                    ("", parent),
                    tuple(theirs.get(name.casefold(), name) for name in target),
                )
            )
    return tuple(made)


def checks_of(sql: str) -> tuple[str, ...]:
    """Return the conditions of CHECKs in a CREATE TABLE; none if it cannot be understood."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if "check" not in sql.lower():
        return ()
    try:
        parsed = sqlglot.parse_one(sql, dialect="sqlite")
    except (SqlglotError, RecursionError):
        return ()
    found = [*parsed.find_all(exp.CheckColumnConstraint)]
    return tuple(node.this.sql(dialect="sqlite") for node in found)
