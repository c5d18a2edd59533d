"""PostgreSQL's catalogue as tables with keys, read in a handful of queries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from syntheflow_server.ingest.databases.catalogue import (
    SourceColumn,
    SourceReference,
    SourceTable,
)

Rows = list[dict[str, Any]]

_USERS_OWN = r"n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
# Partitions are read through their parent, what belongs to extensions is not the user's.
_TABLES = rf"""
SELECT c.oid::int8 AS id, n.nspname::text AS namespace, c.relname::text AS name,
       c.relkind::text AS kind, c.reltuples::float8 AS estimate, c.relrowsecurity AS guarded
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND {_USERS_OWN}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.oid"""
_COLUMNS = """
SELECT a.attrelid::int8 AS id, a.attnum::int4 AS number, a.attname::text AS name,
       a.atttypid::int8 AS type, a.atttypmod::int4 AS modifier,
       format_type(a.atttypid, a.atttypmod) AS native, a.attnotnull AS filled,
       a.attidentity::text <> '' AS identity, a.attgenerated::text <> '' AS computed,
       coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS fallback
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum"""
_TYPES = """
SELECT t.oid::int8 AS id, t.typname::text AS name, t.typtype::text AS sort,
       t.typcategory::text AS category, t.typbasetype::int8 AS base, t.typtypmod::int4 AS modifier,
       t.typnotnull AS filled, n.nspname::text AS namespace,
       (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
          FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"""
_INDEXES = """
SELECT i.indrelid::int8 AS id, i.indisprimary AS is_primary, i.indnkeyatts::int4 AS width,
       i.indkey::int2[]::int8[] AS columns
  FROM pg_index i
 WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
 ORDER BY i.indexrelid"""
# A CHECK that calls a user's function or names a user's type means nothing elsewhere.
_RULES = """
SELECT k.conrelid::int8 AS id, k.contypid::int8 AS domain, k.contype::text AS sort,
       k.confrelid::int8 AS parent, k.conkey::int8[] AS columns,
       k.confkey::int8[] AS parent_columns,
       coalesce(pg_get_expr(k.conbin, k.conrelid), '') AS condition,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_constraint'::regclass
                  AND d.objid = k.oid
                  AND (d.refclassid = 'pg_proc'::regclass
                       OR d.refclassid = 'pg_type'::regclass AND d.refobjid <> k.contypid))
         AS foreign_words
  FROM pg_constraint k
 WHERE k.contype IN ('f', 'c') AND k.conparentid = 0
 ORDER BY k.oid"""


@dataclass(frozen=True, slots=True)
class _Type:
    kind: str
    modifier: int
    filled: bool = False
    domains: tuple[int, ...] = ()
    labels: str | None = None


def namespaces(query: Callable[[str], Rows]) -> list[str]:
    """Return the names of all schemas of users."""
    found = query(f"SELECT n.nspname::text AS name FROM pg_namespace n WHERE {_USERS_OWN}")
    return [row["name"] for row in found]


def read_tables(query: Callable[[str], Rows], wanted: Sequence[str]) -> list[SourceTable]:
    """Return the tables of the namespaces in the order in which they were made."""
    types = {row["id"]: row for row in query(_TYPES)}
    columns, keys, rules = (_by_id(query(text)) for text in (_COLUMNS, _INDEXES, _RULES))
    tables = query(_TABLES)
    names = {row["id"]: (row["namespace"], row["name"]) for row in tables}
    numbers = {
        table: {column["number"]: column["name"] for column in rows}
        for table, rows in columns.items()
    }
    of_domains = defaultdict(list)
    for rule in rules.get(0, []):
        of_domains[rule["domain"]].append(rule)
    made = []
    for row in tables:
        if row["namespace"] not in wanted:
            continue
        of_table = columns[row["id"]]
        checks, told = _checks(of_table, rules[row["id"]], numbers[row["id"]], types, of_domains)
        primary, unique = _keys(keys[row["id"]], numbers[row["id"]])
        made.append(
            SourceTable(
                namespace=row["namespace"],
                name=row["name"],
                columns=tuple(_column(c, _resolve(c, types)) for c in of_table),
                primary_key=primary,
                unique_keys=unique,
                checks=checks,
                references=_references(rules[row["id"]], row["id"], numbers, names),
                rows=int(row["estimate"]),
                only=row["kind"] == "r",
                findings=told,
            )
        )
    return made


def _by_id(rows: Rows) -> dict[int, Rows]:
    found: dict[int, Rows] = defaultdict(list)
    for row in rows:
        found[row["id"]].append(row)
    return found


def _resolve(column: dict[str, Any], types: dict[int, dict[str, Any]]) -> _Type:
    """Return what a column's type is below all domains."""
    known, modifier = types[column["type"]], column["modifier"]
    filled, domains = False, []
    while known["sort"] == "d":
        domains.append(known["id"])
        filled |= known["filled"]
        modifier = known["modifier"]
        known = types[known["base"]]
    sorts = {"e": "enum", "c": "composite", "r": "range", "m": "range"}
    kind = sorts.get(known["sort"]) or ("array" if known["category"] == "A" else known["name"])
    return _Type(kind, modifier, filled, tuple(domains), known["labels"])


def _column(row: dict[str, Any], kind: _Type) -> SourceColumn:
    digits = None
    if kind.kind == "numeric" and kind.modifier >= 4:
        bare = kind.modifier - 4
        scale = ((bare & 0x7FF) ^ 0x400) - 0x400
        digits = ((bare >> 16) & 0xFFFF, scale)
    return SourceColumn(
        name=row["name"],
        native_type=f"{row['native']} enum({kind.labels})" if kind.labels else row["native"],
        kind=kind.kind,
        nullable=not (row["filled"] or kind.filled),
        identity=row["identity"] or row["fallback"].startswith("nextval("),
        computed=row["computed"],
        digits=digits,
    )


def _keys(rows: Rows, numbers: dict[int, str]) -> tuple[tuple[str, ...], Any]:
    primary: tuple[str, ...] = ()
    unique = []
    for row in rows:
        key = tuple(numbers[number] for number in row["columns"][: row["width"]])
        if row["is_primary"]:
            primary = key
        elif key not in unique:
            unique.append(key)
    return primary, tuple(unique)


def _checks(
    columns: Rows,
    rules: Rows,
    numbers: dict[int, str],
    types: dict[int, dict[str, Any]],
    of_domains: dict[int, Rows],
) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], tuple[str, ...]]:
    """Return the CHECKs of the table and of its columns' domains, and what could not be kept."""
    found: list[tuple[str, tuple[str, ...]]] = []
    told: list[str] = []
    for rule in rules:
        if rule["sort"] != "c":
            continue
        names = tuple(numbers[number] for number in rule["columns"] or () if number > 0)
        if rule["foreign_words"]:
            told.append(
                f"a CHECK of {', '.join(names)} left out: it needs a user's type or function"
            )
        else:
            found.append((rule["condition"], names))
    for column in columns:
        for domain in _resolve(column, types).domains:
            for rule in of_domains[domain]:
                if rule["foreign_words"]:
                    told.append(
                        f"column {column['name']!r}: a CHECK of its domain left out: "
                        "it needs a user's type or function"
                    )
                    continue
                name = '"' + column["name"].replace('"', '""') + '"'
                found.append((_in_place_of_value(rule["condition"], name), (column["name"],)))
    return tuple(found), tuple(told)


def _in_place_of_value(condition: str, name: str) -> str:
    """Put a column where a domain's condition says VALUE, outside of texts."""
    parts = re.split(r"('(?:[^']|'')*')", condition)
    return "".join(
        part if number % 2 else re.sub(r"\bVALUE\b", lambda _: name, part)
        for number, part in enumerate(parts)
    )


def _references(
    rules: Rows,
    table: int,
    numbers: dict[int, dict[int, str]],
    names: dict[int, tuple[str, str]],
) -> tuple[SourceReference, ...]:
    return tuple(
        SourceReference(
            tuple(numbers[table][number] for number in rule["columns"]),
            names[rule["parent"]],
            tuple(numbers[rule["parent"]][number] for number in rule["parent_columns"]),
        )
        for rule in rules
        if rule["sort"] == "f" and rule["parent"] in names
    )
