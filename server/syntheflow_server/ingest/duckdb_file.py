"""DuckDB files: every table with its declared keys and types, read only."""

# ruff: noqa: S608 - names are quoted by `_name`
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.choice import chosen
from syntheflow_server.ingest.declared import (
    DeclaredColumn,
    DeclaredTable,
    hint_of,
    is_binary,
    resolve,
)
from syntheflow_server.ingest.duck import quoted
from syntheflow_server.ingest.spread import store_tables
from syntheflow_server.ingest.tables import IngestedTable, bad_file, checked_table_name

_BATCH_ROWS = 32_768
_AS_TEXT = ("UUID", "BIT", "INTERVAL", "TIME WITH TIME ZONE", "UNION", "VARIANT", "BIGNUM")
_SETTINGS: dict[str, Any] = {
    "memory_limit": "1GiB",
    "threads": 1,
    "preserve_insertion_order": True,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_WIDE = {"HUGEINT": "DECIMAL(38, 0)", "UHUGEINT": "DECIMAL(38, 0)"}


def read_duckdb(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read the tables of a DuckDB file; views only where `options.tables` names them.

    Tables of a schema other than `main` are called `schema.table`.
    """
    with _open(path, table) as con:
        kinds = {
            (f"{space}.{name}" if space != "main" else name): (space, name, kind)
            for space, name, kind, _ in con.execute(
                "SELECT schema_name, table_name, 'table', table_oid AS place FROM duckdb_tables() "
                "WHERE database_name = current_database() AND NOT internal UNION ALL "
                "SELECT schema_name, view_name, 'view', view_oid FROM duckdb_views() "
                "WHERE database_name = current_database() AND NOT internal ORDER BY place"
            ).fetchall()
        }
        takable = [n for n in kinds if options.tables is not None or kinds[n][2] == "table"]
        names = chosen(takable, options.tables, table=table)
        if not names:
            raise bad_file(table, "the database has no table", reason="TABLE_EMPTY")
        declared = resolve([_declared(con, name, *kinds[name][:2]) for name in names])
        skipped = [name for name in kinds if name not in names]
        made: list[IngestedTable] = []
        for each in declared:
            findings = [f"DuckDB, {kinds[each.name][2]} {each.name!r}"]
            if skipped and not made:
                findings.append(f"not read: {', '.join(skipped)}")
            made += _read(con, each, kinds[each.name][:2], file_name, out, findings)
        return tuple(made)


@contextmanager
def _open(path: Path, table: str) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with duckdb.connect(":memory:", config=_SETTINGS) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(f"ATTACH {quoted(str(path))} AS given (READ_ONLY)")
            # Views of the file may name other files: nothing outside it is ever opened.
            con.execute("SET enable_external_access = false")
            con.execute("SET lock_configuration = true")
            con.execute("USE given")
            yield con
    except duckdb.Error as error:
        rule = "the file is damaged, of a newer DuckDB, or a view needs what is not here"
        raise bad_file(table, f"{rule}; write it again (EXPORT DATABASE)") from error


def _declared(con: duckdb.DuckDBPyConnection, table: str, space: str, name: str) -> DeclaredTable:
    made = DeclaredTable(checked_table_name(table))
    for column, kind, nullable in con.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = ? AND table_name = ? "
        "ORDER BY column_index",
        [space, name],
    ).fetchall():
        made.columns.append(DeclaredColumn(column, kind, nullable=bool(nullable)))
    for kind, columns, text, parent, targets in con.execute(
        "SELECT constraint_type, constraint_column_names, expression, referenced_table, "
        "referenced_column_names FROM duckdb_constraints() WHERE database_name = "
        "current_database() AND schema_name = ? AND table_name = ?",
        [space, name],
    ).fetchall():
        if kind == "PRIMARY KEY":
            made.primary_key = tuple(columns)
        elif kind == "UNIQUE":
            made.unique_keys.append(tuple(columns))
        elif kind == "CHECK" and text:
            made.checks.append(text)
        elif kind == "FOREIGN KEY":
            whole = f"{space}.{parent}" if space != "main" else parent
            made.references.append(
                ForeignKey(
                    child_table=table,
                    child_columns=tuple(columns),
                    parent_table=whole,
                    parent_columns=tuple(targets),
                )
            )
    return made


def _read(
    con: duckdb.DuckDBPyConnection,
    table: DeclaredTable,
    place: tuple[str, str],
    file_name: str,
    out: Path,
    findings: list[str],
) -> tuple[IngestedTable, ...]:
    kept = [column for column in table.columns if not is_binary(column.native)]
    findings += [
        f"column {column.name!r}: bytes, left out" for column in table.columns if column not in kept
    ]
    if not kept:
        raise bad_file(table.name, "all columns hold bytes", reason="TABLE_EMPTY")
    listed = ", ".join(f"{_expression(c)} AS {_name(c.name)}" for c in kept)
    query = f"SELECT {listed} FROM {_name(place[0])}.{_name(place[1])}"

    def batches() -> Iterator[pa.RecordBatch]:
        yield from con.sql(query).to_arrow_reader(_BATCH_ROWS)

    schema = con.sql(query).to_arrow_reader(1).schema
    made = store_tables(
        schema, batches, table=table.name, file_name=file_name, out=out, findings=findings
    )
    known = {column.name for column in kept} & set(schema.names)
    flat = {f.name for f in schema if not pa.types.is_nested(f.type)} & known
    hint = hint_of(table, flat)
    if made[0].hint:
        generated = made[0].hint.primary_key
        said = {"unique_keys": (*hint.unique_keys, generated)}
        hint = hint.model_copy(update=said if hint.primary_key else {"primary_key": generated})
    references = tuple(r for r in table.references if set(r.child_columns) <= flat)
    first = replace(made[0], hint=hint, references=references, dialect=Dialect.DUCKDB)
    return (first, *(replace(m, dialect=Dialect.DUCKDB) for m in made[1:]))


def _expression(column: DeclaredColumn) -> str:
    name = _name(column.name)
    kind = column.native.upper()
    if kind in _WIDE:
        return f"CAST({name} AS {_WIDE[kind]})"
    return f"CAST({name} AS VARCHAR)" if kind.startswith(_AS_TEXT) else name


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
