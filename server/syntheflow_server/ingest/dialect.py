"""How a text file separates its values: found on a sample of its beginning."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.headers import has_header, header_height, merged_names, preface
from syntheflow_server.ingest.records import QUOTED_EMPTY, UNCLOSED, Marks, Record, RecordReader

_RECORDS = 500
# In order of preference where several fit alike.
SEPARATORS = ["\t", ",", ";", "|+|", "||", "~|~", "^|^", "|~|", "|;|", "::", "|", "\x1f", "\x01",
              "^", "~", ":", " "]  # fmt: skip
_VALUE = re.compile(r"[+-]?[\d.,]*\d%?|\d[\d:./ T-]*|")
_COMMENT = "#"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The marks of a delimited text file and where its rows begin.

    Lines count from 1 from the file's beginning; `header_line` is 0 without a header,
    `header` then None. `shortest` says that rows may lack the last, empty value.
    """

    marks: Marks
    header: tuple[str, ...] | None
    header_line: int
    header_rows: int
    data_line: int
    columns: int
    blank_after: bool


def find_dialect(text: str, options: ReadOptions, *, line: int = 1) -> Dialect:
    """Return the dialect that explains the sample best; a text without records has no columns.

    `text` begins with line `line` of the file; what `options` say is not guessed.
    """
    marks = _marks(text, options)
    records = records_of(text, marks, line=line)
    first = 0
    if options.header is None and options.skip_rows is None:
        first = preface([record.values for record in records])
    records = records[first:]
    if not records:
        return Dialect(marks, None, 0, 0, line, 0, blank_after=False)
    values = [[_plain(value) for value in record.values] for record in records]
    columns = _columns(values)
    named = options.header > 0 if options.header is not None else has_header(values)
    rows = header_height(values) if named else 0
    if named and options.header_rows is not None:
        rows = min(options.header_rows, len(records))
    trailing = _ends_empty(values[rows:], columns)
    named_rows = [_fitted(row, columns, trailing=trailing) for row in values[:rows]]
    # A row of another width is what the caller refuses.
    odd = next((row for row in named_rows if len(row) != columns), None)
    header = (odd or merged_names(named_rows)) if rows else None
    after = records[rows].line if rows < len(records) else records[-1].last_line + 1
    start = records[0].line
    return Dialect(
        marks,
        tuple(header) if header is not None else None,
        start if rows else 0,
        rows,
        # Blank lines between header and rows may be rows of a single column.
        after if not rows else records[rows - 1].last_line + 1,
        columns,
        _blank_after(values),
    )


def records_of(text: str, marks: Marks, *, line: int = 1) -> list[Record]:
    """Return up to 500 records of `text` that have no fault; blank lines are none."""
    if marks.line_end == "\r":
        text = text.translate({10: 13, 13: 10})  # how many lines there are is all that counts
    records: list[Record] = []
    for record in islice(RecordReader(io.StringIO(text), marks, line=line), _RECORDS):
        if record.fault == UNCLOSED and len(records) > 1:
            break  # what follows may all be part of that value
        if not record.fault:
            records.append(record)
    return records


def _plain(value: str) -> str:
    return "" if value == QUOTED_EMPTY else value


def _marks(text: str, options: ReadOptions) -> Marks:
    """Return the marks, each as said or as explains the sample best."""
    line_end = _line_end(text, options)
    comment = options.comment if options.comment is not None else ""
    separator = options.separator
    if separator is None:
        # Lines of remarks are no rows: they must not decide.
        rows = text if comment else _without(text, _COMMENT)
        fitness = {s: _fitness(rows, s, line_end, options) for s in SEPARATORS}
        separator = max(SEPARATORS, key=lambda s: fitness[s])
        separator = separator if fitness[separator][0] else ","
    quote = options.quote
    if quote is None:
        seen = _quote(text, separator)
        # Quotes may turn up beyond the sample; only where the sample refutes them are they text.
        quote = seen or ("" if '"' in text and separator != "," else '"')
    escape = options.escape if options.escape is not None else quote
    marks = Marks(separator, quote, escape, comment, line_end)
    if options.escape is None and quote and "\\" + quote in text:
        slashed = Marks(separator, quote, "\\", comment, line_end)
        marks = max(marks, slashed, key=lambda m: _agreement(records_of(text, m)))
    if options.comment is None and _has_comments(text, marks):
        marks = Marks(marks.separator, marks.quote, marks.escape, _COMMENT, line_end)
    return marks


def _line_end(text: str, options: ReadOptions) -> str:
    """Return CR for the files of old systems, where most lines outside quotes end so."""
    if "\r" not in text:
        return "\n"
    quote = re.escape('"' if options.quote is None else options.quote)
    bare = re.sub(f"{quote}[^{quote}]*{quote}", "", text) if quote else text
    lone = len(re.findall(r"\r(?!\n)", bare))
    return "\r" if lone > bare.count("\n") else "\n"


def _without(text: str, comment: str) -> str:
    if not text.startswith(comment) and f"\n{comment}" not in text and f"\r{comment}" not in text:
        return text
    kept = [line for line in re.split(r"(?<=[\r\n])", text) if not line.startswith(comment)]
    # A file whose every line begins so has no remarks.
    return "".join(kept) if len(kept) > 1 else text


def _has_comments(text: str, marks: Marks) -> bool:
    """Tell remarks from rows whose first value begins with #: they do not split as rows do."""
    records = records_of(text, marks)
    signed = [r for r in records if r.values[0].startswith(_COMMENT)]
    if not signed or len(signed) == len(records):
        return False
    counts = Counter(len(r.values) for r in records if not r.values[0].startswith(_COMMENT))
    columns = counts.most_common(1)[0][0]
    return columns > 1 and all(
        len(r.values) != columns or r.values[0].startswith(f"{_COMMENT} ") for r in signed
    )


def _agreement(records: Sequence[Record]) -> int:
    """Return how many records have as many values as most of them."""
    counts = Counter(len(record.values) for record in records)
    return counts.most_common(1)[0][1] if counts else 0


def _fitness(
    text: str, separator: str, line_end: str, options: ReadOptions
) -> tuple[float, float, float, int]:
    """Return how well a separator explains the sample; compares as a tuple."""
    nothing = (0.0, 0.0, 0.0, 0)
    if separator not in text:
        return nothing
    quote = options.quote if options.quote is not None else _quote(text, separator)
    escape = options.escape if options.escape is not None else quote
    marks = Marks(separator, quote, escape, options.comment or "", line_end)
    records = [record.values for record in records_of(text, marks)[:200]]
    if not records:
        return nothing
    counts = Counter(len(record) for record in records)
    columns, agreeing = counts.most_common(1)[0]
    if columns < 2 and len(records[0]) > 1:
        columns, agreeing = len(records[0]), counts[len(records[0])]
    share = agreeing / len(records)
    if columns < 2 or share < 0.5:
        return nothing
    others = [s for s in (",", ";", "\t", "|") if s not in separator]
    cells = [cell.strip() for record in records for cell in record]
    mixed = sum(any(o in cell for o in others) and not _VALUE.fullmatch(cell) for cell in cells)
    # Blanks, colons and the like also stand inside values: they must explain all or nothing.
    weak = separator in {" ", ":", "^", "~"}
    if weak and share < 1:
        return nothing
    rank = 0 if weak else 1
    return (
        rank + (share >= 0.98) + 1,
        -mixed / len(records),
        share,
        len(separator) * 100 + columns,
    )


def _quote(text: str, separator: str) -> str:
    """Return the quote that stands where values begin, and end; "" if there is none."""
    mark = re.escape(separator)
    if re.search(rf'(?:^|[\r\n]|{mark} ?)"', text):
        return '"'
    begun = len(re.findall(rf"(?:^|[\r\n]|{mark})'", text))
    closed = len(re.findall(rf"(?:^|[\r\n]|{mark})'(?:[^'\r\n]|'')*'(?=[\r\n]|{mark}|$)", text))
    return "'" if begun >= 2 and closed == begun else ""


def _blank_after(records: list[list[str]]) -> bool:
    cells = [cell for record in records for cell in record[1:] if cell]
    return bool(cells) and sum(cell.startswith(" ") for cell in cells) > 0.9 * len(cells)


def _columns(records: list[list[str]]) -> int:
    counts = Counter(len(record) for record in records)
    first = len(records[0])
    usual = counts.most_common(1)[0][0]
    if abs(usual - first) == 1 and _ends_empty(records, max(first, usual)):
        return usual
    return first if counts[first] >= len(records) / 2 else usual


def _ends_empty(records: list[list[str]], columns: int) -> bool:
    """Tell a separator at the end of lines from a value: nothing ever follows it."""
    ends = [record[-1] for record in records if len(record) == columns]
    return bool(ends) and not any(end.strip() for end in ends)


def _fitted(names: list[str], columns: int, *, trailing: bool) -> list[str]:
    """Return header names with the nameless last column that trailing separators make."""
    if len(names) == columns + 1 and not names[-1].strip():
        return names[:-1]
    return [*names, ""] if trailing and len(names) == columns - 1 else names
