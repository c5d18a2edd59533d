"""JSON: an array of flat objects, one object a line, or one object of named arrays.

Numbers, truth values and texts are told apart by JSON itself; a field that mixes them
becomes text. Texts that all are dates become dates.
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import duckdb

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.duck import connection, file_literal, quoted, run_bounded
from syntheflow_server.ingest.guess import Rules, plan_columns
from syntheflow_server.ingest.plain_text import plain_text
from syntheflow_server.ingest.tables import (
    IngestedTable,
    bad_file,
    check_column_names,
    checked_table_name,
)
from syntheflow_server.ingest.text_kinds import BOOLEAN, DATES, FLOAT, INTEGER
from syntheflow_server.ingest.workshop import workshop

_OBJECT_LIMIT = 1 << 24
_WHOLE_LIMIT = 1 << 28
_SHAPES_LIMIT = 10_000
_NUMBER_RULES = Rules((INTEGER, FLOAT), ())
_BOOLEAN_RULES = Rules((BOOLEAN,), ())
_DATE_RULES = Rules(tuple(DATES), ())
_TEXT_RULES = Rules((), ())


def read_json(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a JSON file: an array of objects, lines of objects, or an object of arrays."""
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work).path
        head = _first_character(text)
        if head == "{" and not _is_lines(text):
            return _read_object(text, file_name, table, out, work)
        if head not in {"[", "{"}:
            raise bad_file(table, "an array of objects is expected; the file begins otherwise")
        form = "array" if head == "[" else "newline_delimited"
        return (_read(text, form, file_name, table, out, work),)


def read_json_lines(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a file of one JSON object a line."""
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work).path
        return (_read(text, "newline_delimited", file_name, table, out, work),)


def _first_character(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(4096).lstrip()[:1]


def _is_lines(path: Path) -> bool:
    """Tell lines of objects from one object: the first line is whole and another follows."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [line for line in islice(file, 1000) if line.strip()][:2]
    try:
        return isinstance(json.loads(lines[0]), dict) and len(lines) > 1
    except ValueError:
        return False


def _read_object(
    path: Path, file_name: str, table: str, out: Path, work: Path
) -> tuple[IngestedTable, ...]:
    """Read one object: a table for each array of objects, or a table of one row."""
    if path.stat().st_size > _WHOLE_LIMIT:
        rule = f"one JSON object of more than {_WHOLE_LIMIT >> 20} MiB; send lines of objects"
        raise bad_file(table, rule)
    try:
        whole = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise _malformed(table, error) from error
    named = {name: rows for name, rows in whole.items() if isinstance(rows, list)}
    if not named or len(named) < len(whole):
        named = {table: [whole]}
    for name in named:
        checked_table_name(name)
    made: list[IngestedTable] = []
    try:
        for name, rows in named.items():
            lines = work / "lines.jsonl"
            lines.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
            made.append(_read(lines, "newline_delimited", file_name, name, out, work))
    except Exception:
        for done in made:
            done.path.unlink()
        raise
    return tuple(made)


def _read(
    path: Path, form: str, file_name: str, table: str, out: Path, work: Path
) -> IngestedTable:
    objects = (
        f"read_json_objects({file_literal(path)}, format = {quoted(form)}, "
        f"maximum_object_size = {_OBJECT_LIMIT})"
    )
    staged = work / "fields.parquet"
    with connection(work) as con:
        try:
            names = _field_names(con, objects, table)
            check_column_names(table, names)
            _stage(con, objects, names, staged)
        except duckdb.Error as error:
            raise _refusal(error, path, form, table) from error
        source = f"read_parquet({file_literal(staged)})"
        rules = [_rules(con, source, i, name, table) for i, name in enumerate(names)]
        plans = plan_columns(con, source, names, rules)
        described = "JSON, an array of objects" if form == "array" else "JSON, one object a line"
        findings = [described, *(note for plan in plans for note in plan.findings)]
        findings += [
            f"column {name!r}: numbers and texts mixed, kept as text"
            for name, allowed in zip(names, rules, strict=True)
            if allowed is _TEXT_RULES
        ]
        columns = list(zip(names, plans, strict=True))
        return write_planned(con, staged, columns, table, file_name, out, findings)


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
    return list(dict.fromkeys(name for _, names, _ in shapes for name in names))


def _stage(con: duckdb.DuckDBPyConnection, objects: str, names: list[str], staged: Path) -> None:
    """Write each field as text c0, c1, ... and its JSON's first character as k0, k1, ..."""
    pointers = ", ".join(quoted("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    columns = ", ".join(
        f"v[{i + 1}] ->> '$' AS c{i}, left(CAST(v[{i + 1}] AS VARCHAR), 1) AS k{i}"
        for i in range(len(names))
    )
    query = f"SELECT {columns} FROM (SELECT json_extract(json, [{pointers}]) AS v FROM {objects})"
    target = quoted(str(staged))
    run_bounded(con, f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION snappy)")


def _rules(
    con: duckdb.DuckDBPyConnection, source: str, position: int, name: str, table: str
) -> Rules:
    """Return what the field may be; raises InvalidArgumentError if it holds nested values."""
    rows = con.execute(
        f"SELECT k{position}, min(place) FROM "
        f"(SELECT k{position}, row_number() OVER () AS place FROM {source}) "
        f"WHERE k{position} IS NOT NULL AND k{position} <> 'n' GROUP BY ALL"
    ).fetchall()
    nested = [place for kind, place in rows if kind in "{["]
    if nested:
        rule = "nested objects and arrays are not supported; spread them over columns"
        raise bad_file(table, rule, column=name, row=min(nested), reason="TYPE_UNSUPPORTED")
    families = {_family(kind) for kind, _ in rows}
    if len(families) != 1:
        return _TEXT_RULES if families else _DATE_RULES
    return {"text": _DATE_RULES, "truth": _BOOLEAN_RULES, "number": _NUMBER_RULES}[families.pop()]


def _family(first: str) -> str:
    if first == '"':
        return "text"
    return "truth" if first in "tf" else "number"


def _refusal(error: duckdb.Error, path: Path, form: str, table: str) -> Exception:
    """Turn DuckDB's message, which may quote values, into one that names the place."""
    if "maximum_object_size" in str(error):
        return bad_file(table, f"an object is larger than {_OBJECT_LIMIT >> 20} MiB")
    if form == "newline_delimited":
        return bad_file(table, "the line is not one JSON object", row=_first_bad_line(path))
    if path.stat().st_size <= _WHOLE_LIMIT:
        try:
            json.loads(path.read_text("utf-8-sig"))
        except ValueError as fault:
            return _malformed(table, fault)
    return bad_file(table, "the file is not well-formed JSON")


def _first_bad_line(path: Path) -> int | None:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    json.loads(line)
            except ValueError:
                return number
    return None


def _malformed(table: str, error: ValueError) -> Exception:
    row = getattr(error, "lineno", None)
    return bad_file(table, "the file is not well-formed JSON from this line on", row=row)
