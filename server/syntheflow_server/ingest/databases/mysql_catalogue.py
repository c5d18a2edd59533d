"""The catalogue of MySQL and MariaDB as tables with keys."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from syntheflow_server.ingest.databases.catalogue import (
    SourceColumn,
    SourceReference,
    SourceTable,
)

Query = Callable[[str], list[tuple[Any, ...]]]
Place = tuple[str, str]

_OWN = "('mysql', 'sys', 'performance_schema', 'information_schema')"
_NAMESPACES = f"SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN {_OWN}"
_TABLES = """
SELECT table_schema, table_name, table_rows, engine FROM information_schema.tables
 WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema IN ({})
 ORDER BY table_schema, create_time, table_name"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable, extra,
       numeric_precision, numeric_scale
  FROM information_schema.columns WHERE table_schema IN ({})
 ORDER BY table_schema, table_name, ordinal_position"""
_KEYS = """
SELECT table_schema, table_name, index_name, column_name, sub_part
  FROM information_schema.statistics WHERE non_unique = 0 AND table_schema IN ({})
 ORDER BY table_schema, table_name, index_name, seq_in_index"""
_REFERENCES = """
SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,
       referenced_table_name, referenced_column_name
  FROM information_schema.key_column_usage
 WHERE referenced_table_name IS NOT NULL AND table_schema IN ({})
 ORDER BY table_schema, table_name, constraint_name, ordinal_position"""
_HAS_CHECKS = """
SELECT count(*) FROM information_schema.tables
 WHERE table_schema = 'information_schema' AND table_name = 'CHECK_CONSTRAINTS'"""
# In MariaDB names of CHECKs are unique in a table only, and the table stands beside them.
_CHECKS_MARIADB = """
SELECT constraint_schema, table_name, check_clause FROM information_schema.check_constraints
 WHERE constraint_schema IN ({})"""
_CHECKS_MYSQL = """
SELECT t.table_schema, t.table_name, c.check_clause
  FROM information_schema.table_constraints t
  JOIN information_schema.check_constraints c
    ON c.constraint_schema = t.constraint_schema AND c.constraint_name = t.constraint_name
 WHERE t.constraint_type = 'CHECK' AND t.table_schema IN ({})"""
_COMPUTED = re.compile(r"\b(VIRTUAL|STORED|PERSISTENT) GENERATED\b", re.IGNORECASE)
_IS_JSON = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)", re.IGNORECASE)


def namespaces(query: Query) -> list[str]:
    """Return the names of all databases of users."""
    return [name for (name,) in query(_NAMESPACES)]


def read_tables(query: Query, wanted: Sequence[str], *, mariadb: bool) -> list[SourceTable]:
    """Return the tables of the databases `wanted`."""
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in wanted)
    columns, keys, references = (
        _by_place(query(text.format(listed))) for text in (_COLUMNS, _KEYS, _REFERENCES)
    )
    checks: dict[Place, list[tuple[Any, ...]]] = defaultdict(list)
    if int(query(_HAS_CHECKS)[0][0]):
        text = _CHECKS_MARIADB if mariadb else _CHECKS_MYSQL
        checks = _by_place(query(text.format(listed)))
    made = []
    for namespace, name, rows, engine in query(_TABLES.format(listed)):
        place = (namespace, name)
        conditions = [_plain(text) for (text,) in checks[place]]
        json = {m[1] for text in conditions if (m := _IS_JSON.fullmatch(text))}
        primary, unique = _keys(keys[place])
        told = f"engine {engine} knows no transactions: rows may be of different moments"
        made.append(
            SourceTable(
                namespace=namespace,
                name=name,
                columns=tuple(_column(row, json) for row in columns[place]),
                primary_key=primary,
                unique_keys=unique,
                # MariaDB's JSON is a text with this CHECK: the type brings it along.
                checks=tuple((text, ()) for text in conditions if not _IS_JSON.fullmatch(text)),
                references=_references(references[place]),
                rows=-1 if rows is None else int(rows),
                findings=() if engine in {"InnoDB", None} else (told,),
            )
        )
    return made


def _by_place(rows: list[tuple[Any, ...]]) -> dict[Place, list[tuple[Any, ...]]]:
    found: dict[Place, list[tuple[Any, ...]]] = defaultdict(list)
    for namespace, table, *rest in rows:
        found[namespace, table].append(tuple(rest))
    return found


def _column(row: tuple[Any, ...], json: set[str]) -> SourceColumn:
    name, kind, native, nullable, extra, precision, scale = row
    is_json = kind.lower() == "longtext" and name in json
    digits = (int(precision), int(scale or 0)) if kind.lower() == "decimal" else None
    return SourceColumn(
        name=name,
        native_type="json" if is_json else native,
        kind="json" if is_json else kind.lower(),
        nullable=nullable == "YES",
        identity="auto_increment" in extra.lower(),
        computed=_COMPUTED.search(extra) is not None,
        digits=digits,
    )


def _keys(rows: list[tuple[Any, ...]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    indexes: dict[str, list[str]] = {}
    partial = set()
    for index, column, part in rows:
        indexes.setdefault(index, []).append(column)
        # A key of the beginnings of texts, or of an expression, is none of columns.
        if column is None or part is not None:
            partial.add(index)
    whole = {name: tuple(key) for name, key in indexes.items() if name not in partial}
    primary = whole.pop("PRIMARY", ())
    return primary, tuple(dict.fromkeys(whole.values()))


def _references(rows: list[tuple[Any, ...]]) -> tuple[SourceReference, ...]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for name, *rest in rows:
        found.setdefault(name, []).append(tuple(rest))
    return tuple(
        SourceReference(
            tuple(row[0] for row in parts),
            (parts[0][1], parts[0][2]),
            tuple(row[3] for row in parts),
        )
        for parts in found.values()
    )


def _plain(clause: str) -> str:
    r"""Return a condition without MySQL's own marks: _utf8mb4\'x\' is 'x'."""
    return re.sub(r"\b_utf8(?:mb[34])?(?=\\?')", "", clause).replace("\\'", "'")
