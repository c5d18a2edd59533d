"""Workbooks (xlsx, xls, ods): each sheet that is not empty is a table.

Old binary workbooks (.xls) are read by the same library as the others; no test writes one, as
no small program that makes them is at hand.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.choice import chosen
from syntheflow_server.ingest.excel_bounds import check_bounds
from syntheflow_server.ingest.excel_header import Header, as_text, find_header
from syntheflow_server.ingest.tables import (
    IngestedTable,
    TableWriter,
    bad_file,
    check_column_names,
    checked_table_name,
)

_BATCH_ROWS = 16_384
_ERRORS = frozenset(
    {"#N/A", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA"}
)
_BIG = 1 << 63


def read_excel(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read each sheet that is not empty as a table.

    A single one gets the name `table`, several get the sheets' names. Of `options` count
    sheets, tables, header, skip_rows and null_values; the others are of text, while cells
    have types of their own.
    """
    check_bounds(path, table)
    try:
        with python_calamine.CalamineWorkbook.from_path(str(path)) as book:
            return _read_book(book, file_name, table, out, options)
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        locked = isinstance(error, python_calamine.PasswordError)
        rule = "the workbook is protected by a password" if locked else "the workbook is damaged"
        raise bad_file(table, f"{rule}; save it again and send that") from error


def _read_book(
    book: Any, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read sheet by sheet; only one is in memory."""
    for name in options.sheets or ():
        if name not in book.sheet_names:
            rule = f"the workbook has no sheet {name!r}"
            raise bad_file(table, rule, reason="TABLE_UNKNOWN")
    asked = [n for n in book.sheet_names if options.sheets is None or n in options.sheets]
    filled = [name for name in asked if _is_filled(book.get_sheet_by_name(name))]
    if not filled:
        raise bad_file(table, "the workbook has no filled sheet", reason="TABLE_EMPTY")
    names = {filled[0]: table} if len(filled) == 1 else {n: checked_table_name(n) for n in filled}
    wanted = chosen(list(names.values()), options.tables, table=table)
    made: list[IngestedTable] = []
    for sheet_name, name in names.items():
        if name in wanted:
            sheet = book.get_sheet_by_name(sheet_name)
            made.append(_read_sheet(sheet, name, file_name, out, options))
    return tuple(made)


def _is_filled(sheet: Any) -> bool:
    return any(cell != "" for row in sheet.iter_rows() for cell in row)


def _body(sheet: Any, header: Header) -> Iterator[list[Any]]:
    """Yield the filled rows below the header."""
    for row in islice(sheet.iter_rows(), header.body - 1, None):
        if any(cell != "" for cell in row):
            yield row


def _read_sheet(
    sheet: Any, table: str, file_name: str, out: Path, options: ReadOptions
) -> IngestedTable:
    header = find_header(sheet, options)
    if header is None:
        rule = "the sheet has no filled row where the table is said to be"
        raise bad_file(table, rule, reason="TABLE_EMPTY")
    nulls = _ERRORS | frozenset(options.null_values or ())
    seen: list[set[str]] = [set() for _ in header.names]
    for row in _body(sheet, header):
        for kinds, cell in zip(seen, row, strict=False):
            if (kind := _kind(cell, nulls)) is not None:
                kinds.add(kind)
    kept = [i for i, name in enumerate(header.names) if name or seen[i]]
    names = [header.names[i] or f"c{i + 1}" for i in kept]
    check_column_names(table, names)
    types = [_type(seen[i]) for i in kept]
    schema = pa.schema([pa.field(n, t) for n, t in zip(names, types, strict=True)])
    findings = [f"Excel, sheet {sheet.name!r}, {_where(header)}"]
    findings += [
        f"column {name!r}: values of several kinds, kept as text"
        for i, name in zip(kept, names, strict=True)
        if _type(seen[i]) == pa.string() and len(seen[i]) > 1
    ]
    findings += [
        f"column {i + 1} has no name and is called c{i + 1}" for i in kept if not header.names[i]
    ]
    with TableWriter(out, table, schema) as writer:
        for batch in _batches(_body(sheet, header), kept, schema, nulls):
            writer.write(batch)
    read_as = {"sheets": json.dumps([sheet.name], ensure_ascii=False), "header": str(header.first)}
    return replace(writer.done(file_name, findings), read_as=read_as)


def _where(header: Header) -> str:
    if not header.first:
        return "no header"
    if header.last > header.first:
        return f"header in rows {header.first} to {header.last}, names joined by dots"
    return f"header in row {header.first}"


def _batches(
    rows: Iterator[list[Any]], kept: list[int], schema: pa.Schema, nulls: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    columns: list[list[Any]] = [[] for _ in kept]
    for row in rows:
        for values, position, field in zip(columns, kept, schema, strict=True):
            cell = row[position] if position < len(row) else ""
            values.append(_value(cell, field.type, nulls))
        if len(columns[0]) == _BATCH_ROWS:
            yield pa.RecordBatch.from_arrays(_arrays(columns, schema), schema=schema)
            columns = [[] for _ in kept]
    if columns[0]:
        yield pa.RecordBatch.from_arrays(_arrays(columns, schema), schema=schema)


def _arrays(columns: list[list[Any]], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]


def _kind(cell: Any, nulls: frozenset[str]) -> str | None:
    """Return the kind of a cell; None for cells without a value."""
    if isinstance(cell, bool):
        return "truth"
    if isinstance(cell, (int, float)):
        return "integer" if float(cell).is_integer() and abs(cell) < _BIG else "number"
    if isinstance(cell, str):
        return None if cell == "" or cell in nulls else "text"
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


def _value(cell: Any, stored: pa.DataType, nulls: frozenset[str]) -> Any:
    if _kind(cell, nulls) is None:
        return None
    if pa.types.is_string(stored):
        return as_text(cell)
    if pa.types.is_timestamp(stored) and type(cell) is dt.date:
        return dt.datetime.combine(cell, dt.time())
    return int(cell) if pa.types.is_integer(stored) else cell
