"""An Excel workbook for the whole dataset: one sheet a table, more where rows are too many.

Rows are turned into XML column by column and packed at once, each sheet on its own, since
tables alternate; memory stays flat. The header is bold and stays in view. See
`excel_cells` for how each type is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import OutOfRangeError, Violation
from syntheflow_server.export.base import Book, FilePart, Target, blocks, file_stem
from syntheflow_server.export.excel_cells import (
    MOST_COLUMNS,
    Cells,
    cells_of,
    check_lengths,
    column_letters,
    width_of,
)
from syntheflow_server.export.excel_package import (
    SheetNames,
    package_parts,
    sheet_head,
    sheet_path,
    sheet_tail,
)
from syntheflow_server.export.excel_zip import Member, archive

MOST_ROWS = 1_048_576
"""Rows of a sheet, its header among them."""
_BLOCK_CELLS = 1 << 18
_BLOCK_BYTES = 1 << 24
_WIDTH_ROWS = 256


class ExcelBook(Book):
    """One workbook; its bytes go out at the end."""

    ending: ClassVar[str] = ".xlsx"
    most_rows: ClassVar[int] = MOST_ROWS

    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        self._file = file_stem(target.name) + self.ending
        self._names = SheetNames()
        # All tables' first sheets get their names before any table's second.
        first = [self._names.name(table) for table in target.tables]
        self._sheets: dict[str, list[_Sheet]] = {}
        for table, name in zip(target.tables, first, strict=True):
            schema = target.table(table).arrow
            _check_columns(table, schema)
            self._sheets[table] = [self._sheet(table, name, schema)]

    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield their number alone."""
        sheets, rest = self._sheets[table], batch
        while rest.num_rows:
            sheet = sheets[-1]
            if not (room := self.most_rows - sheet.rows):
                name = self._names.name(table, len(sheets) + 1)
                sheet.close()
                sheets.append(self._sheet(table, name, batch.schema, sheet.done))
                continue
            sheet.write(rest.slice(0, room))
            rest = rest.slice(min(room, rest.num_rows))
        yield FilePart(self._file, table, b"", batch.num_rows)

    def end(self) -> Iterator[FilePart]:
        """Yield the workbook."""
        sheets = [sheet for group in self._sheets.values() for sheet in group]
        members: list[Member] = []
        for name, data in package_parts([sheet.name for sheet in sheets]):
            members.append(Member(name, self.work / f"part{len(members)}"))
            members[-1].write(data)
            members[-1].close()
        for number, sheet in enumerate(sheets, start=1):
            sheet.close()
            sheet.member.name = sheet_path(number)
            members.append(sheet.member)
        for data in archive(members):
            yield FilePart(self._file, "", data)

    def _sheet(self, table: str, name: str, schema: pa.Schema, done: int = 0) -> _Sheet:
        known = sum(map(len, self._sheets.values()))
        return _Sheet(table, name, schema, Member("", self.work / f"sheet{known}"), done)


class _Sheet:
    """One sheet; `done` counts the table's rows up to and with this sheet's."""

    def __init__(self, table: str, name: str, schema: pa.Schema, member: Member, done: int) -> None:
        self.name, self.member, self.done, self.rows = name, member, done, 0
        self._table, self._schema = table, schema
        self._letters = [column_letters(at) for at in range(len(schema))]
        self._closed = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows below those there are."""
        self._begin(batch)
        step = max(1, _BLOCK_CELLS // max(1, batch.num_columns))
        for start in range(0, batch.num_rows, step):
            for block in blocks(batch.slice(start, step), _BLOCK_BYTES):
                self._write(block)

    def close(self) -> None:
        """Write what stands after the rows."""
        if not self._closed:
            self._begin(pa.RecordBatch.from_pylist([], schema=self._schema))
            self.member.write(sheet_tail(len(self._letters), self.rows))
            self.member.close()
            self._closed = True

    def _begin(self, batch: pa.RecordBatch) -> None:
        if self.rows == 0:
            names, few = self._schema.names, batch.slice(0, _WIDTH_ROWS)
            widths = [width_of(name, few.column(at)) for at, name in enumerate(names)]
            self.member.write(sheet_head(names, widths))
            self.rows = 1

    def _write(self, block: pa.RecordBatch) -> None:
        numbers = pc.cast(
            pa.array(np.arange(self.rows + 1, self.rows + 1 + block.num_rows)), pa.string()
        )
        parts: list[str | pa.Array] = ['<row r="', numbers, '">']
        for at, letters in enumerate(self._letters):
            values = block.column(at)
            check_lengths(values, self._table, self._schema.names[at], self.done)
            for cells in cells_of(values):
                parts += _elements(f'<c r="{letters}', numbers, cells)
        parts.append("</row>")
        lines = pc.binary_join_element_wise(
            *parts, "", null_handling="replace", null_replacement=""
        )
        offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
        self.member.write(memoryview(lines.buffers()[2])[: int(offsets[len(lines)])])
        self.rows += block.num_rows
        self.done += block.num_rows


def _elements(lead: str, numbers: pa.Array, cells: Cells) -> list[str | pa.Array]:
    """Return the pieces of one element a row; a missing value takes all its element along."""
    pieces: list[str | pa.Array] = [lead, numbers, cells.before, cells.text, cells.after]
    if not cells.text.null_count:
        return pieces
    return [pc.binary_join_element_wise(*pieces, "")]


def _check_columns(table: str, schema: pa.Schema) -> None:
    if len(schema) > MOST_COLUMNS:
        rule = f"an Excel sheet holds at most {MOST_COLUMNS} columns"
        raise OutOfRangeError(
            f"table {table!r} has {len(schema)} columns: {rule}; write it in another format",
            reason="TOO_MANY_COLUMNS",
            violations=(Violation(field="format", rule=rule, table=table),),
        )
