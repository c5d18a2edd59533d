"""Where the table begins in a sheet, and what its columns are called."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from syntheflow_server.domain.reading import ReadOptions

_LOOK = 60
_SHARE = 0.6
Range = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Header:
    """Names of columns; `first` and `last` are the header's rows from 1, 0 if there is none."""

    names: list[str]
    first: int
    last: int

    @property
    def body(self) -> int:
        """First row below the header."""
        return self.last + 1


def find_header(sheet: Any, options: ReadOptions) -> Header | None:
    """Return the sheet's header; None if no row is filled.

    Rows of a title or notes, which fill far fewer cells than the table below, are passed.
    Merged cells give each column below them their text; names of several header rows are
    joined by dots.
    """
    rows = _first_rows(sheet, options.skip_rows or 0, options.header or 0)
    if not rows:
        return None
    width = max(len(row) for row in rows.values())
    if options.header == 0:
        first = min(rows)
        return Header([f"c{i + 1}" for i in range(width)], 0, first - 1)
    merged = _merged(sheet)
    first = _guessed(rows, merged, width) if options.header is None else options.header
    last = max(first, _last(rows, merged, first, width))
    parts = [_expanded(rows.get(n, []), merged, n, width) for n in range(first, last + 1)]
    names = []
    for column in zip(*parts, strict=True):
        texts = [as_text(cell).strip() for cell in column]
        names.append(".".join(dict.fromkeys(text for text in texts if text)))
    return Header(names, first, last)


def _first_rows(sheet: Any, skipped: int, header: int) -> dict[int, list[Any]]:
    """Return the first filled rows by number, to the one below the header at least."""
    found: dict[int, list[Any]] = {}
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if number > skipped and any(cell != "" for cell in row):
            found[number] = row
            if len(found) >= _LOOK and number > header + 1:
                break
            if len(found) > _LOOK:
                del found[next(iter(found))]
    return found


def _guessed(rows: dict[int, list[Any]], merged: list[Range], width: int) -> int:
    """Return the first row that fills most of the columns, with more than one cell."""
    most = max(sum(cell != "" for cell in row) for row in rows.values())
    for number, row in rows.items():
        cells = [cell for cell in _expanded(row, merged, number, width) if cell != ""]
        filled = sum(cell != "" for cell in row)
        if len(cells) >= _SHARE * most and (filled > 1 or most == 1):
            return number
    return min(rows)


def _last(rows: dict[int, list[Any]], merged: list[Range], first: int, width: int) -> int:
    """Return the last row of a header whose first row has merged cells."""
    last = first
    for (top, left), (bottom, right) in merged:
        if top != first or right - left + 1 >= width > 1:
            continue
        last = max(last, bottom)
        below = rows.get(first + 1, [])
        part = [cell for cell in below[left : right + 1] if cell != ""]
        if right > left and part and all(isinstance(cell, str) for cell in part):
            last = max(last, first + 1)
    return last


def _merged(sheet: Any) -> list[Range]:
    """Return merged cells: rows from 1 as in the sheet, columns from 0 as in its rows."""
    start = sheet.start
    shift = start[1] if start else 0
    return [
        ((top + 1, left - shift), (bottom + 1, right - shift))
        for (top, left), (bottom, right) in (sheet.merged_cell_ranges or [])
        if top < 1_000_000
    ]


def _expanded(row: list[Any], merged: list[Range], number: int, width: int) -> list[Any]:
    """Return the row with the text of merged cells in each of their columns."""
    cells = [*row, *[""] * (width - len(row))]
    for (top, left), (_, right) in merged:
        if top == number and 0 <= left < width:
            for i in range(left + 1, min(right, width - 1) + 1):
                cells[i] = cells[left]
    return cells


def as_text(cell: Any) -> str:
    """Return a cell as the text that a person would write."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1 << 63:
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, (dt.date, dt.time)) else str(cell)
