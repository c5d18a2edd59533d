"""Flat objects of JSON, read by DuckDB: an array of them, or one a line.

Numbers, truth values and texts are told apart by JSON itself; a field that mixes them
becomes text. Texts that all are dates become dates.
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.duck import connection, file_literal, quoted, run_bounded
from syntheflow_server.ingest.guess import Rules, plan_columns
from syntheflow_server.ingest.json_stream import JsonStream, records
from syntheflow_server.ingest.shred import COLUMN_LIMIT
from syntheflow_server.ingest.tables import (
    IngestedTable,
    bad_file,
    check_column_names,
)
from syntheflow_server.ingest.text_kinds import BOOLEAN, DATES, FLOAT, INTEGER

_OBJECT_LIMIT = 1 << 24
_SHAPES_LIMIT = 10_000
_NUMBER_RULES = Rules((INTEGER, FLOAT), ())
_BOOLEAN_RULES = Rules((BOOLEAN,), ())
_DATE_RULES = Rules(tuple(DATES), ())
_TEXT_RULES = Rules((), ())


@dataclass(frozen=True, slots=True)
class JsonSource:
    """A file of records and where its tables go; `form` is array or newline_delimited."""

    path: Path
    form: str
    table: str
    file_name: str
    out: Path
    work: Path
    options: ReadOptions
    findings: tuple[str, ...] = ()
    rejected: int = 0


class _NestedError(Exception):
    """A field holds objects or arrays."""


def read_flat(source: JsonSource) -> IngestedTable | None:
    """Read records whose fields hold no objects or arrays; None if any does."""
    objects = (
        f"read_json_objects({file_literal(source.path)}, format = {quoted(source.form)}, "
        f"maximum_object_size = {_OBJECT_LIMIT})"
    )
    staged = source.work / "fields.parquet"
    with connection(source.work) as con:
        try:
            names = _field_names(con, objects, source.table)
            check_column_names(source.table, names)
            _stage(con, objects, names, staged, source.options.null_values or ())
        except duckdb.Error as error:
            raise _refusal(error, source) from error
        relation = f"read_parquet({file_literal(staged)})"
        try:
            seen = [_families(con, relation, i) for i in range(len(names))]
        except _NestedError:
            return None
        plans = plan_columns(con, relation, names, [rules_for(families) for families in seen])
        findings = [*source.findings, *(note for plan in plans for note in plan.findings)]
        findings += [
            f"column {name!r}: {'s and '.join(sorted(families))}s mixed, kept as text"
            for name, families in zip(names, seen, strict=True)
            if len(families) > 1
        ]
        columns = list(zip(names, plans, strict=True))
        made = write_planned(
            con, staged, columns, source.table, source.file_name, source.out, findings
        )
    return replace(made, rejected=source.rejected)


def rules_for(families: set[str]) -> Rules:
    """Return what a field may be whose values are of these kinds (text, number, truth)."""
    if len(families) != 1:
        return _TEXT_RULES if families else _DATE_RULES
    return {"text": _DATE_RULES, "truth": _BOOLEAN_RULES, "number": _NUMBER_RULES}[
        next(iter(families))
    ]


def _field_names(con: duckdb.DuckDBPyConnection, objects: str, table: str) -> list[str]:
    """Return the fields of all objects in the order they first appear."""
    numbered = f"SELECT json, row_number() OVER () AS place FROM {objects}"
    shapes = con.execute(
        "SELECT json_type(json) = 'OBJECT' AS fine, json_keys(json) AS names, min(place) AS place "
        f"FROM ({numbered}) GROUP BY fine, names ORDER BY place LIMIT {_SHAPES_LIMIT + 1}"
    ).fetchall()
    wrong = [place for fine, _, place in shapes if not fine]
    if wrong:
        raise bad_file(table, "an object is expected in each place", row=min(wrong))
    if len(shapes) > _SHAPES_LIMIT:
        raise bad_file(
            table, f"the objects have more than {_SHAPES_LIMIT:,} different sets of fields"
        )
    if not shapes:
        raise bad_file(table, "the file has no objects", reason="TABLE_EMPTY")
    found = list(dict.fromkeys(name for _, names, _ in shapes for name in names))
    if len(found) > COLUMN_LIMIT:
        rule = f"the objects have more than {COLUMN_LIMIT:,} different fields; are keys data?"
        raise bad_file(table, rule, reason="TOO_MANY_COLUMNS")
    return found


def _stage(
    con: duckdb.DuckDBPyConnection,
    objects: str,
    names: list[str],
    staged: Path,
    nulls: tuple[str, ...],
) -> None:
    """Write each field as text c0, c1, ... and its JSON's first character as k0, k1, ..."""
    pointers = ", ".join(quoted("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    listed = ", ".join(quoted(text) for text in nulls)
    value = f"CASE WHEN {{0}} IN ({listed}) THEN NULL ELSE {{0}} END" if nulls else "{0}"
    columns = ", ".join(_text_and_kind(i, value) for i in range(len(names)))
    query = f"SELECT {columns} FROM (SELECT json_extract(json, [{pointers}]) AS v FROM {objects})"
    target = quoted(str(staged))
    run_bounded(con, f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION snappy)")


def _text_and_kind(position: int, value: str) -> str:
    field = f"v[{position + 1}]"
    text = value.format(f"({field} ->> '$')")
    return f"{text} AS c{position}, left(CAST({field} AS VARCHAR), 1) AS k{position}"


def _families(con: duckdb.DuckDBPyConnection, source: str, position: int) -> set[str]:
    """Return the kinds of a field's values; raises _NestedError if one is nested."""
    rows = con.execute(
        f"SELECT DISTINCT k{position} FROM {source} "
        f"WHERE k{position} IS NOT NULL AND k{position} <> 'n'"
    ).fetchall()
    if any(kind in "{[" for (kind,) in rows):
        raise _NestedError
    return {_family(kind) for (kind,) in rows}


def _family(first: str) -> str:
    if first == '"':
        return "text"
    return "truth" if first in "tf" else "number"


def _refusal(error: duckdb.Error, source: JsonSource) -> Exception:
    """Turn DuckDB's message, which may quote values, into one that names the place."""
    path, form, table = source.path, source.form, source.table
    if "maximum_object_size" in str(error):
        return bad_file(table, f"an object is larger than {_OBJECT_LIMIT >> 20} MiB")
    if form == "newline_delimited":
        return bad_file(table, "the line is not one JSON object", row=_first_bad_line(path))
    with JsonStream(path, table) as stream:
        try:
            for _ in records(stream, ()):
                pass
        except InvalidArgumentError as fault:
            return fault
    return bad_file(table, "the file is not well-formed JSON")


def _first_bad_line(path: Path) -> int | None:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    json.loads(line)
            except (ValueError, RecursionError):
                return number
    return None
