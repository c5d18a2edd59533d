"""Which of a file's first records are remarks, which name the columns, and how."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from syntheflow_server.ingest.missing import MARKERS
from syntheflow_server.ingest.units import is_unit

_NUMBER = re.compile(r"-?\d+([.,]\d+)*([eE][+-]?\d+)?|\d[\d:./-]*\d|\?|-|NA|NULL|\\N|NaN|nan")
_YEARLIKE = re.compile(r"\d{1,4}")
_PREFACE_LIMIT = 50
_DIGITS = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")


def preface(records: list[list[str]]) -> int:
    """Return how many of the first records are titles and remarks before the table.

    They hold a single value where the records after them agree on more.
    """
    counts = Counter(len(record) for record in records)
    columns = max(counts, key=lambda count: (counts[count] * (count > 1), count), default=0)
    if columns < 2:
        return 0
    start = next(
        (place for place, record in enumerate(records) if not _is_alone(record, columns)), 0
    )
    if start > _PREFACE_LIMIT:
        return 0
    rest = records[start:]
    full = rest and len(rest[0]) == columns and sum(bool(c.strip()) for c in rest[0]) > 1
    return start if full and counts[columns] >= 0.9 * len(rest) else 0


def _is_alone(record: list[str], columns: int) -> bool:
    return len(record) == 1 or (columns > 3 and not any(cell.strip() for cell in record[1:]))


def has_header(records: list[list[str]]) -> bool:
    """Decide whether the first record names the columns."""
    first = [cell.strip() for cell in records[0]]
    named = [cell for cell in first if cell]
    if not named or all(_NUMBER.fullmatch(cell) for cell in named):
        return False
    body = [[cell.strip() for cell in record] for record in records[1:]]
    odd = [cell for cell in named if _NUMBER.fullmatch(cell)]
    if odd and not _is_count_up(odd):
        return False
    if not body:
        return True
    for position, name in enumerate(first):
        below = [row[position] for row in body if position < len(row) and row[position]]
        numeric = [cell for cell in below if _NUMBER.fullmatch(cell)]
        if name and below and len(numeric) > 0.8 * len(below) and not _NUMBER.fullmatch(name):
            return True
    # All text: a name does not turn up as a value of its own column.
    repeated = sum(
        any(position < len(row) and row[position] == name for row in body)
        for position, name in enumerate(first)
        if name
    )
    return repeated == 0 and len(set(named)) == len(named)


def _is_count_up(cells: list[str]) -> bool:
    """Tell names such as 2001, 2002, 2003 from data: they count evenly."""
    if len(cells) < 3 or not all(_YEARLIKE.fullmatch(cell) for cell in cells):
        return False
    steps = {int(b) - int(a) for a, b in itertools.pairwise(cells)}
    return len(steps) == 1 and steps.pop() > 0


def header_height(records: list[list[str]]) -> int:
    """Return how many records make up the header: 1, or 2 where a second one is evident.

    The second names the parts of merged names above (which leave blanks), or the units of
    the columns; either way texts stand over columns of numbers.
    """
    if len(records) < 4:
        return 1
    first, second = records[0], records[1]
    if len(first) != len(second):
        return 1
    named = {i for i, cell in enumerate(second) if cell.strip()}
    blanks = {i for i, cell in enumerate(first) if not cell.strip()}
    if any(_DIGITS.fullmatch(cell.strip()) or cell.strip() in MARKERS[1:] for cell in second):
        return 1
    numeric = {i for i in range(len(first)) if _is_numeric(records[2:], i)}
    if blanks and blanks <= named and 0 not in blanks and named & numeric:
        return 2
    units = {i for i in named if is_unit(second[i].strip())}
    return 2 if not blanks and len(units) > 1 and named == units and named <= numeric else 1


def _is_numeric(body: list[list[str]], position: int) -> bool:
    cells = [row[position].strip() for row in body if position < len(row)]
    filled = [cell for cell in cells if cell and cell not in MARKERS]
    return bool(filled) and all(_DIGITS.fullmatch(cell) for cell in filled)


def merged_names(rows: list[list[str]]) -> list[str]:
    """Return one name a column; a name above blanks is that of all columns to the next one.

    Parts are joined by ": "; a part that repeats under names of one column each says
    nothing ("Response") and is left out.
    """
    names = [cell.strip() for cell in rows[0]]
    for row in rows[1:]:
        parts = [cell.strip() for cell in row]
        alone = [
            bool(name) and (i + 1 == len(names) or bool(names[i + 1]))
            for i, name in enumerate(names)
        ]
        counts = Counter(part for part, single in zip(parts, alone, strict=True) if single)
        above = ""
        joined: list[str] = []
        for name, part, single in zip(names, parts, alone, strict=True):
            above = name or above
            said = part and not (single and counts[part] > 1 and not is_unit(part))
            joined.append(": ".join(filter(None, (above, part if said else ""))))
        names = joined
    return names
