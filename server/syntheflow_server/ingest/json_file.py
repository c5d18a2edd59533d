"""JSON: an array of objects, one object a line, or an object around them.

Flat objects are read by DuckDB (`json_flat`), nested ones are spread over related tables
(`shred`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest.json_flat import JsonSource, read_flat, rules_for
from syntheflow_server.ingest.json_stream import VALUE_LIMIT, JsonStream, records
from syntheflow_server.ingest.plain_text import plain_text
from syntheflow_server.ingest.rejects import Rejects
from syntheflow_server.ingest.shred import Shredder
from syntheflow_server.ingest.tables import IngestedTable, bad_file
from syntheflow_server.ingest.workshop import workshop

_SAMPLE = 100


def read_json(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a JSON file: an array of objects, lines of objects, or an object around them.

    Nested objects and arrays make related tables.
    """
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work).path
        source = JsonSource(text, "array", table, file_name, out, work, options)
        head = _first_character(text)
        if options.records:
            return _read_path(source, options.records)
        if head == "{" and not _is_lines(text):
            return _read_object(source)
        if head not in {"[", "{"}:
            raise bad_file(table, "an array of objects is expected; the file begins otherwise")
        if head == "{":
            return _read_lines(source)
        return _read(replace(source, findings=("JSON, an array of objects",)))


def read_json_lines(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a file of one JSON object a line; nested ones make related tables."""
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work).path
        return _read_lines(JsonSource(text, "array", table, file_name, out, work, options))


def _first_character(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(4096).lstrip()[:1]


def _is_lines(path: Path) -> bool:
    """Tell lines of objects from one object: the first line is whole and another follows."""
    with path.open(encoding="utf-8-sig") as file:
        lines = list(islice((line for line in _lines(file) if line.strip()), 2))
    try:
        return isinstance(json.loads(lines[0]), dict) and len(lines) > 1
    except (ValueError, IndexError, RecursionError):
        return False


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(VALUE_LIMIT):
        yield line


def _read_lines(source: JsonSource) -> tuple[IngestedTable, ...]:
    findings = ["JSON, one object a line"]
    rejected = 0
    path = source.path
    if source.options.on_bad_row is not OnBadRow.FAIL:
        path = source.work / "good.jsonl"
        rejects = _sift(source, path)
        findings += rejects.findings()
        rejected = rejects.count
    return _read(
        replace(
            source,
            path=path,
            form="newline_delimited",
            findings=tuple(findings),
            rejected=rejected,
        )
    )


def _sift(source: JsonSource, target: Path) -> Rejects:
    """Copy the lines that are objects."""
    rejects = Rejects(source.options.on_bad_row)
    with source.path.open(encoding="utf-8-sig") as file, target.open("w", encoding="utf-8") as good:
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            try:
                fine = isinstance(json.loads(line), dict)
            except (ValueError, RecursionError):
                fine = False
            if fine:
                good.write(line if line.endswith("\n") else line + "\n")
            else:
                rejects.add(number, "the line is not one JSON object")
    return rejects


def _read(source: JsonSource) -> tuple[IngestedTable, ...]:
    """Read records of an array or of lines: flat ones fast, nested ones into related tables."""
    if not _nested_at_once(source):
        made = read_flat(source)
        if made is not None:
            return (made,)
    with JsonStream(source.path, source.table) as stream:
        found = records(stream, ()) if source.form == "array" else stream.series()
        return _shred(source, ((source.table, record) for record in found), source.findings)


def _nested_at_once(source: JsonSource) -> bool:
    """Look at the first records; what is wrong with them is said by the reading itself."""
    with JsonStream(source.path, source.table) as stream:
        try:
            found = records(stream, ()) if source.form == "array" else stream.series()
            for record in islice(found, _SAMPLE):
                if isinstance(record, dict) and any(
                    isinstance(value, (dict, list)) for value in record.values()
                ):
                    return True
        except ValueError:
            return False
        except Exception as error:
            if getattr(error, "reason", "") == "FILE_INVALID":
                return False
            raise
    return False


def _read_path(source: JsonSource, path: str) -> tuple[IngestedTable, ...]:
    parts = tuple(part for part in path.replace("/", ".").split(".") if part)
    with JsonStream(source.path, source.table) as stream:
        found = ((source.table, record) for record in records(stream, parts))
        made = _shred(source, found, (f"JSON, records at {path!r}",))
    return tuple(replace(table, read_as={**table.read_as, "records": path}) for table in made)


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of the document's object: how many objects its array has; -1 if it is none."""

    name: str
    objects: int = -1
    others: int = 0


def _read_object(source: JsonSource) -> tuple[IngestedTable, ...]:
    """Read one object: a table for each array, the records in an envelope, or one row."""
    with JsonStream(source.path, source.table) as stream:
        members = [_member(stream, name) for name in stream.members()]
        if stream.peek():
            raise stream.fault("text follows the end of the object")
    arrays = [m for m in members if m.objects >= 0]
    filled = [m for m in arrays if m.objects > 0 and not m.others]
    if arrays and len(arrays) == len(members):
        return _read_members(source, {m.name: m.name for m in arrays}, ["JSON, named arrays"])
    if len(filled) == 1 and len(arrays) == 1:
        name = filled[0].name
        left = ", ".join(repr(m.name) for m in members if m.name != name)
        note = f"JSON, records at {name!r}; left out beside them: {left}"
        made = _read_members(source, {name: source.table}, [note])
        return tuple(replace(t, read_as={**t.read_as, "records": name}) for t in made)
    with JsonStream(source.path, source.table) as stream:
        return _shred(source, iter([(source.table, stream.value())]), ("JSON, one object",))


def _member(stream: JsonStream, name: str) -> _Member:
    if stream.peek() != "[":
        stream.skip()
        return _Member(name)
    objects = others = 0
    for _ in stream.items():
        if stream.peek() == "{":
            objects += 1
        else:
            others += 1
        stream.skip()
    return _Member(name, objects, others)


def _read_members(
    source: JsonSource, tables: dict[str, str], findings: list[str]
) -> tuple[IngestedTable, ...]:
    def found(stream: JsonStream) -> Iterator[tuple[str, Any]]:
        for name in stream.members():
            if name not in tables:
                stream.skip()
                continue
            for _ in stream.items():
                yield tables[name], stream.value()

    with JsonStream(source.path, source.table) as stream:
        return _shred(source, found(stream), tuple(findings), tuple(tables.values()))


def _shred(
    source: JsonSource,
    found: Iterator[tuple[str, Any]],
    findings: tuple[str, ...],
    tables: tuple[str, ...] = (),
) -> tuple[IngestedTable, ...]:
    with closing(Shredder(source.work, source.options.null_values or ())) as shredder:
        for table in tables:
            shredder.open(table)
        empty = True
        for table, record in found:
            shredder.add(table, record)
            empty = False
        if empty:
            raise bad_file(source.table, "the file has no objects", reason="TABLE_EMPTY")
        made = shredder.settle(source.file_name, source.out, list(findings), rules_for)
    return (replace(made[0], rejected=source.rejected), *made[1:])
