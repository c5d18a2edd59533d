"""Excel workbooks: each sheet that is not empty is a table, its first filled row the header."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.tables import (
    IngestedTable,
    TableWriter,
    bad_file,
    check_column_names,
    checked_table_name,
)

_BATCH_ROWS = 16_384
# A workbook is unpacked in memory; a small file may be made to unpack to anything.
_UNPACKED_LIMIT = 1 << 31
_ERRORS = frozenset(
    {"#N/A", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA"}
)
_BIG = 1 << 63


def read_excel(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read each sheet that is not empty as a table.

    A single one gets the name `table`, several get the sheets' names.
    """
    _check_size(path, table)
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = [book.get_sheet_by_name(name) for name in book.sheet_names]
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        locked = isinstance(error, python_calamine.PasswordError)
        rule = "the workbook is protected by a password" if locked else "the workbook is damaged"
        raise bad_file(table, f"{rule}; save it again and send that") from error
    filled = [sheet for sheet in sheets if _rows(sheet, 0)]
    if not filled:
        raise bad_file(table, "the workbook has no filled sheet", reason="TABLE_EMPTY")
    names = [table] if len(filled) == 1 else [checked_table_name(s.name) for s in filled]
    made: list[IngestedTable] = []
    try:
        for name, sheet in zip(names, filled, strict=True):
            made.append(_read_sheet(sheet, name, file_name, out))
    except Exception:
        for done in made:
            done.path.unlink()
        raise
    return tuple(made)


def _check_size(path: Path, table: str) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _UNPACKED_LIMIT:
            rule = f"the workbook unpacks to more than {_UNPACKED_LIMIT >> 30} GiB; send CSV"
            raise bad_file(table, rule)


def _rows(sheet: Any, position: int) -> list[Any]:
    """Return the first filled row after `position` others, or an empty list."""
    for row in sheet.iter_rows():
        if any(cell != "" for cell in row):
            if position == 0:
                return list(row)
            position -= 1
    return []


def _body(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """Yield the filled rows below the header with their numbers in the sheet."""
    below = False
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if any(cell != "" for cell in row):
            if below:
                yield number, row
            below = True


def _read_sheet(sheet: Any, table: str, file_name: str, out: Path) -> IngestedTable:
    header = [_as_text(cell).strip() for cell in _rows(sheet, 0)]
    seen: list[set[str]] = [set() for _ in header]
    for _, row in _body(sheet):
        for kinds, cell in zip(seen, row, strict=False):
            if (kind := _kind(cell)) is not None:
                kinds.add(kind)
    kept = [i for i, name in enumerate(header) if name or seen[i]]
    names = [header[i] or f"c{i + 1}" for i in kept]
    check_column_names(table, names)
    types = [_type(seen[i]) for i in kept]
    schema = pa.schema([pa.field(n, t) for n, t in zip(names, types, strict=True)])
    findings = [f"Excel, sheet {sheet.name!r}, header in the first filled row"]
    findings += [
        f"column {name!r}: values of several kinds, kept as text"
        for i, name in zip(kept, names, strict=True)
        if _type(seen[i]) == pa.string() and len(seen[i]) > 1
    ]
    findings += [
        f"column {i + 1} has no name and is called c{i + 1}" for i in kept if not header[i]
    ]
    with TableWriter(out, table, schema) as writer:
        for batch in _batches(sheet, kept, schema):
            writer.write(batch)
    return writer.done(file_name, findings)


def _batches(sheet: Any, kept: list[int], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    columns: list[list[Any]] = [[] for _ in kept]
    for _, row in _body(sheet):
        for values, position, field in zip(columns, kept, schema, strict=True):
            values.append(_value(row[position] if position < len(row) else "", field.type))
        if len(columns[0]) == _BATCH_ROWS:
            yield pa.RecordBatch.from_arrays(_arrays(columns, schema), schema=schema)
            columns = [[] for _ in kept]
    if columns[0]:
        yield pa.RecordBatch.from_arrays(_arrays(columns, schema), schema=schema)


def _arrays(columns: list[list[Any]], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]


def _kind(cell: Any) -> str | None:
    """Return the kind of a cell; None for cells without a value."""
    if isinstance(cell, bool):
        return "truth"
    if isinstance(cell, (int, float)):
        return "integer" if float(cell).is_integer() and abs(cell) < _BIG else "number"
    if isinstance(cell, str):
        return None if cell == "" or cell in _ERRORS else "text"
    kinds = {dt.datetime: "moment", dt.date: "day", dt.time: "time", dt.timedelta: "duration"}
    return kinds.get(type(cell), "text")


def _type(kinds: set[str]) -> pa.DataType:
    """Return the one type that holds all kinds seen in a column."""
    if kinds == {"integer"}:
        return pa.int64()
    if kinds <= {"integer", "number"} and kinds:
        return pa.float64()
    if kinds == {"moment", "day"}:
        return pa.timestamp("us")
    single = {
        "truth": pa.bool_(),
        "day": pa.date32(),
        "moment": pa.timestamp("us"),
        "time": pa.time64("us"),
        "duration": pa.duration("us"),
    }
    return single.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def _value(cell: Any, stored: pa.DataType) -> Any:
    if _kind(cell) is None:
        return None
    if pa.types.is_string(stored):
        return _as_text(cell)
    if pa.types.is_timestamp(stored) and type(cell) is dt.date:
        return dt.datetime.combine(cell, dt.time())
    return int(cell) if pa.types.is_integer(stored) else cell


def _as_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _BIG:
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, (dt.date, dt.time)) else str(cell)
