"""How a text file separates its values: found on a sample of its beginning."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_SAMPLE = 1 << 20
_RECORDS = 500
# In order of preference where several fit alike.
SEPARATORS = ["\t", ",", ";", "|+|", "||", "~|~", "^|^", "|~|", "|;|", "::", "|", "\x1f", "\x01",
              "^", "~", ":", " "]  # fmt: skip
_VALUE = re.compile(r"[+-]?[\d.,]*\d%?|\d[\d:./ T-]*|")
_NUMBER = re.compile(r"-?\d+([.,]\d+)*([eE][+-]?\d+)?|\d[\d:./-]*\d|\?|-|NA|NULL|\\N|NaN|nan")
_YEARLIKE = re.compile(r"\d{1,4}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The marks of a delimited text file, and its first records without the header."""

    separator: str
    quote: str
    escape: str
    header: tuple[str, ...] | None
    columns: int
    blank_after: bool
    records: tuple[tuple[str, ...], ...]


def sample_text(path: Path) -> str:
    """Return the beginning of a UTF-8 file, up to 1 MiB, ending with a whole line."""
    with path.open("rb") as file:
        data = file.read(_SAMPLE)
        if file.read(1):
            cut = max(data.rfind(b"\n"), data.rfind(b"\r"))
            data = data[: cut + 1] if cut > 0 else data
    return data.decode("utf-8-sig", errors="ignore")


def find_dialect(text: str) -> Dialect:
    """Return the dialect that explains the sample best; a text without records has no columns."""
    separator = max(SEPARATORS, key=lambda s: _fitness(text, s))
    if _fitness(text, separator)[0] == 0:
        separator = ","
    quote = '"' if _quotes(text, separator) else ""
    escape = "\\" if quote and '\\"' in text and '""' not in text.replace('\\""', "") else '"'
    records = records_of(text, separator, quote, escape)
    if not records:
        return Dialect(separator, '"', '"', None, 0, blank_after=False, records=())
    blank_after = _blank_after(records)
    columns = _columns(records)
    has_header = _has_header(records)
    header = tuple(cell.strip() for cell in records[0]) if has_header else None
    body = records[1:] if has_header else records
    # Quotes may turn up beyond the sample; only where the sample refutes them are they text.
    quote = quote or ("" if '"' in text and separator != "," else '"')
    cells = tuple(tuple(row) for row in body)
    return Dialect(separator, quote, escape or '"', header, columns, blank_after, cells)


def records_of(text: str, separator: str, quote: str, escape: str) -> list[list[str]]:
    """Return up to 500 records of `text`; blank lines are none."""
    records: list[list[str]] = []
    lines = re.split(r"\r\n|\n|\r", text)
    index = 0
    while index < len(lines) and len(records) < _RECORDS:
        line = lines[index]
        index += 1
        if not line.strip():
            continue
        while quote and _is_open(line, separator, quote, escape) and index < len(lines):
            line += "\n" + lines[index]
            index += 1
        records.append(_fields(line, separator, quote, escape))
    return records


def _is_open(line: str, separator: str, quote: str, escape: str) -> bool:
    if quote not in line:
        return False
    plain = line.replace(escape + quote, "") if escape != quote else line
    return plain.count(quote) % 2 == 1 and _starts_quoted(plain, separator, quote)


def _starts_quoted(line: str, separator: str, quote: str) -> bool:
    return line.lstrip().startswith(quote) or bool(
        re.search(re.escape(separator) + r"\s*" + re.escape(quote), line)
    )


def _fields(line: str, separator: str, quote: str, escape: str) -> list[str]:
    if not quote or quote not in line:
        return line.split(separator)
    fields: list[str] = []
    parts = line.split(separator)
    index = 0
    while index < len(parts):
        cell = parts[index]
        index += 1
        if cell.lstrip().startswith(quote):
            while not _is_closed(cell.strip(), quote, escape) and index < len(parts):
                cell += separator + parts[index]
                index += 1
            inner = cell.strip()
            inner = inner[1:-1] if len(inner) > 1 and inner.endswith(quote) else inner[1:]
            cell = inner.replace(escape + quote, quote)
        fields.append(cell)
    return fields


def _is_closed(cell: str, quote: str, escape: str) -> bool:
    if len(cell) < 2 or not cell.endswith(quote):
        return False
    inner = cell[1:-1].replace(escape + quote, "")
    return quote not in inner and not (escape != quote and inner.endswith(escape))


def _fitness(text: str, separator: str) -> tuple[float, float, float, int]:
    """Return how well a separator explains the sample; compares as a tuple."""
    if separator not in text:
        return (0.0, 0.0, 0.0, 0)
    records = records_of(text, separator, '"' if _quotes(text, separator) else "", '"')[:200]
    counts = Counter(len(record) for record in records)
    columns, agreeing = counts.most_common(1)[0]
    if columns < 2 and len(records[0]) > 1:
        columns, agreeing = len(records[0]), counts[len(records[0])]
    share = agreeing / len(records)
    if columns < 2 or share < 0.5:
        return (0.0, 0.0, 0.0, 0)
    others = [s for s in (",", ";", "\t", "|") if s not in separator]
    cells = [cell.strip() for record in records for cell in record]
    mixed = sum(any(o in cell for o in others) and not _VALUE.fullmatch(cell) for cell in cells)
    # Blanks, colons and the like also stand inside values: they must explain all or nothing.
    weak = separator in {" ", ":", "^", "~"}
    if weak and share < 1:
        return (0.0, 0.0, 0.0, 0)
    rank = 0 if weak else 1
    return (
        rank + (share >= 0.98) + 1,
        -mixed / len(records),
        share,
        len(separator) * 100 + columns,
    )


def _quotes(text: str, separator: str) -> bool:
    """Tell whether a quote stands where a value begins."""
    start = r"(?:^|[\r\n]|" + re.escape(separator) + r" ?)" + '"'
    return re.search(start, text) is not None


def _blank_after(records: list[list[str]]) -> bool:
    cells = [cell for record in records for cell in record[1:] if cell]
    return bool(cells) and sum(cell.startswith(" ") for cell in cells) > 0.9 * len(cells)


def _columns(records: list[list[str]]) -> int:
    counts = Counter(len(record) for record in records)
    first = len(records[0])
    return first if counts[first] >= len(records) / 2 else counts.most_common(1)[0][0]


def _has_header(records: list[list[str]]) -> bool:
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
