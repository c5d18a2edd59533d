"""Questions to PostgreSQL's catalogue, as SQL. `places` are `'...'::regclass`, with commas."""

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from __future__ import annotations

from typing import Any

from syntheflow_server.export.databases.slots import Slot


def tables(schema: str) -> str:
    """Return a query for names of tables in a schema; partitioned and foreign ones count."""
    return (
        "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND nspname = {schema}"
    )


def columns(place: str) -> str:
    """Return a query for the columns of a table, in the order of `slot_of`."""
    return f"""
WITH RECURSIVE bases (oid, base, mod, filled) AS (
  SELECT oid, oid, -1, false FROM pg_type WHERE typtype <> 'd'
  UNION ALL
  SELECT t.oid, b.base, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE b.mod END,
         b.filled OR t.typdefault IS NOT NULL
  FROM pg_type t JOIN bases b ON t.typbasetype = b.oid WHERE t.typtype = 'd')
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text, t.typname::text,
       t.typtype::text, NOT (a.attnotnull OR d.typnotnull),
       a.atthasdef OR a.attidentity <> '' OR b.filled, a.attgenerated <> '',
       CASE WHEN a.atttypmod <> -1 THEN a.atttypmod ELSE b.mod END
FROM pg_attribute a
JOIN bases b ON b.oid = a.atttypid JOIN pg_type t ON t.oid = b.base
JOIN pg_type d ON d.oid = a.atttypid
WHERE a.attrelid = {place} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""


def slot_of(row: tuple[Any, ...]) -> Slot:
    """Return the slot that a row of `columns` tells of."""
    name, text, base, sort, nullable, filled, computed, mod = row
    longest = mod - 4 if base in {"varchar", "bpchar"} and mod > 4 else None
    digits = None
    if base == "numeric" and mod > 4:
        # The scale may be negative: eleven bits with sign.
        digits = ((mod - 4) >> 16, (((mod - 4) & 0x7FF) ^ 1024) - 1024)
    base = "enum" if sort == "e" else base
    return Slot(
        name, text, base, nullable=nullable, filled=filled, computed=computed,
        longest=longest, digits=digits,
    )  # fmt: skip


def constraints(places: str, kinds: str, *, plain: bool) -> str:
    """Return a query for table, name, definition and comment of constraints of these kinds.

    With `plain`, without those that could not be put back just as they are: with a
    comment, a tablespace or a role of their own, inherited or pointed at from elsewhere.
    """
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    query = (
        "SELECT c.conrelid::regclass::text, quote_ident(c.conname), "
        "pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint') "
        "FROM pg_constraint c LEFT JOIN pg_index i "
        "ON i.indexrelid = c.conindid AND c.contype <> 'f' "
        "LEFT JOIN pg_class k ON k.oid = i.indexrelid "
        f"WHERE c.conrelid IN ({places}) AND c.contype IN ({listed}) AND c.conparentid = 0"
    )
    if plain:
        query += (
            " AND c.conislocal AND obj_description(c.oid, 'pg_constraint') IS NULL"
            " AND k.reltablespace = 0 AND NOT i.indisclustered AND NOT i.indisreplident"
            " AND i.indisvalid"
        )
    return query + " ORDER BY c.contype, 1, 2"


def indexes(places: str) -> str:
    """Return a query for name and definition of plain indexes that no constraint has."""
    return (
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i "
        f"JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid IN ({places}) "
        "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid) "
        "AND obj_description(k.oid, 'pg_class') IS NULL AND k.reltablespace = 0 "
        "AND NOT i.indisclustered AND NOT i.indisreplident AND i.indisvalid AND k.relkind = 'i' "
        "AND NOT k.relispartition"
    )


def unique_columns(place: str) -> str:
    """Return a query for the columns of each unique index, a name a line."""
    return (
        "SELECT (SELECT string_agg(a.attname, E'\\n') FROM pg_attribute a "
        "WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)) FROM pg_index i "
        f"WHERE i.indrelid = {place} AND i.indisunique AND i.indpred IS NULL "
        "AND i.indexprs IS NULL"
    )


def joined_columns(place: str) -> str:
    """Return a query for the columns of a table that foreign keys join to others."""
    return (
        "SELECT a.attname::text FROM pg_attribute a JOIN pg_constraint c ON c.contype = 'f' "
        "AND (c.conrelid = a.attrelid AND a.attnum = ANY (c.conkey) "
        "OR c.confrelid = a.attrelid AND a.attnum = ANY (c.confkey)) "
        f"WHERE a.attrelid = {place}"
    )


def sequences(places: str) -> str:
    """Return a query for table, column and sequence where a column is numbered by one."""
    return f"""
SELECT DISTINCT a.attrelid::regclass::text, quote_ident(a.attname), s.oid::regclass::text
FROM pg_attribute a
JOIN pg_class s ON s.relkind = 'S'
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
 AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
WHERE a.attrelid IN ({places})
UNION
SELECT a.attrelid::regclass::text, quote_ident(a.attname), s.oid::regclass::text
FROM pg_attribute a
JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
 AND d.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
WHERE a.attrelid IN ({places})"""


def set_behind(table: str, column: str, sequence: str) -> str:
    """Return a query that moves a sequence behind the largest number, never back."""
    name = sequence[1:-1].replace("''", "'")
    return f"""
SELECT setval({sequence}::regclass, CASE WHEN s.seqincrement > 0
              THEN greatest(t.most, l.last_value) ELSE least(t.least, l.last_value) END)
FROM (SELECT max({column})::bigint AS most, min({column})::bigint AS least FROM {table}) t,
     (SELECT last_value, is_called FROM {name}) l, pg_sequence s
WHERE s.seqrelid = {sequence}::regclass AND t.most IS NOT NULL
 AND CASE WHEN s.seqincrement > 0 THEN t.most >= l.last_value ELSE t.least <= l.last_value END"""
