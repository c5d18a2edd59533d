"""Splits delimited text into records exactly, one line at a time, and says what is wrong.

DuckDB reads most files faster; this reader takes those that it refuses or cannot describe
(long separators, comments, mixed line ends, rows to be skipped), and finds the place and
rule of what is wrong in them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

LINE_LIMIT = 1 << 24
"""Characters of the longest record that is read."""
QUOTED_EMPTY = "\0"
"""Stands for a quoted empty value, which is no missing one; a zero byte is never a value."""
# Text that may be read twice because a quote before it was not closed.
_REREAD_LIMIT = 1 << 30
# What keeping a short line takes besides its characters.
_LINE_COST = 64


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs of a delimited text: an empty `quote`, `escape` or `comment` is not used."""

    separator: str
    quote: str = '"'
    escape: str = '"'
    comment: str = ""
    line_end: str = "\n"
    """CR for the files of old systems; else LF, a CR before it is no part of the line."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `fault` is the rule it breaks; `line` counts from 1, where it begins.

    An empty value without quotes is "", one with quotes QUOTED_EMPTY.
    """

    line: int
    values: list[str]
    fault: str = ""
    last_line: int = 0


class RecordReader:
    """Reads the records of `file`, opened with `newline=marks.line_end`, from `line` on.

    Blank lines are no records where `single` (one column) is False. A record with a fault
    costs one line: reading goes on with the next.
    """

    def __init__(self, file: TextIO, marks: Marks, *, line: int = 1, single: bool = False) -> None:
        self.comments = 0
        self._file = file
        self._marks = marks
        self._line = line - 1
        self._single = single
        self._pending: deque[str] = deque()
        self._reread = 0
        self._size = 0
        self._closing = _closing(marks)

    def __iter__(self) -> Iterator[Record]:
        marks = self._marks
        separator, quote, comment = marks.separator, marks.quote, marks.comment
        plain_escape = "" if quote else marks.escape
        while (raw := self._next_line()) is not None:
            start = self._line
            line = self._bare(raw)
            if len(line) > LINE_LIMIT:
                self._swallow(raw)
                yield Record(start, [], LONG, start)
            elif comment and line.startswith(comment):
                self.comments += 1
            elif not self._single and separator not in line and not line.strip():
                continue
            elif "\0" in line:
                yield Record(start, [], ZERO, start)
            elif quote and quote in line:
                yield self._quoted_record(line, raw, start)
            elif plain_escape and plain_escape in line:
                yield Record(start, _escaped(line, separator, plain_escape), "", start)
            else:
                yield Record(start, line.split(separator), "", start)

    def _next_line(self) -> str | None:
        raw = self._pending.popleft() if self._pending else self._file.readline(LINE_LIMIT + 2)
        if not raw:
            return None
        self._line += 1
        return raw

    def _bare(self, raw: str) -> str:
        if raw.endswith("\n"):
            return raw[:-2] if raw.endswith("\r\n") else raw[:-1]
        # The last line of a file may lack its LF and still have the CR before it.
        return raw.removesuffix("\r")

    def _swallow(self, raw: str) -> None:
        """Read on to the end of a line that is too long to keep."""
        while raw and not raw.endswith(self._marks.line_end):
            raw = self._file.readline(LINE_LIMIT)

    def _quoted_record(self, line: str, raw: str, start: int) -> Record:
        """Return the record that begins with `line`; its quoted values may go on below."""
        separator, quote = self._marks.separator, self._marks.quote
        values: list[str] = []
        taken: list[str] = []
        self._size = len(line)
        at = 0
        while True:
            opening = _skip_blanks(line, at, separator)
            if not line.startswith(quote, opening):
                end = line.find(separator, at)
                values.append(line[at:] if end < 0 else line[at:end])
                if end < 0:
                    return Record(start, values, "", self._line)
                at = end + len(separator)
                continue
            found = self._quoted_value(line, raw, opening + len(quote), taken)
            if found is None:
                return self._refused(start, taken, UNCLOSED)
            value, line, raw, after = found
            if "\0" in value:
                return self._refused(start, taken, ZERO)
            values.append(value or QUOTED_EMPTY)
            after = _skip_blanks(line, after, separator)
            if after >= len(line):
                return Record(start, values, "", self._line)
            if not line.startswith(separator, after):
                return self._refused(start, taken, AFTER_QUOTE)
            at = after + len(separator)

    def _quoted_value(
        self, line: str, raw: str, at: int, taken: list[str]
    ) -> tuple[str, str, str, int] | None:
        """Return the value from `at` on, the line it ends in (bare, raw) and where; None: never.

        Lines read on the way are added to `taken`.
        """
        parts: list[str] = []
        while True:
            match = self._closing.match(line, at)
            if match is not None:
                parts.append(match[1])
                return self._unescaped("".join(parts)), line, raw, match.end()
            parts.append(raw[at:])
            following = self._next_line() if self._size <= LINE_LIMIT else None
            if following is None:
                return None
            taken.append(following)
            self._size += len(following) + _LINE_COST
            raw, line, at = following, self._bare(following), 0

    def _refused(self, start: int, taken: list[str], fault: str) -> Record:
        """Give the lines after the first one back, so that they are read by themselves."""
        self._reread += sum(map(len, taken))
        if self._reread > _REREAD_LIMIT:
            raise RereadError
        self._pending.extendleft(reversed(taken))
        self._line = start
        return Record(start, [], fault, start)

    def _unescaped(self, text: str) -> str:
        quote, escape = self._marks.quote, self._marks.escape
        if not escape or escape not in text:
            return text
        if escape == quote:
            return text.replace(quote + quote, quote)
        return re.sub(f"{re.escape(escape)}([{re.escape(escape + quote)}])", r"\1", text)


UNCLOSED = "a quoted value is not closed"
AFTER_QUOTE = "text follows the closing quote of a value"
LONG = f"a line is longer than {LINE_LIMIT >> 20} Mi characters; is the separator or a quote wrong?"
ZERO = "a value holds a zero byte, or a byte that does not fit the encoding"


class RereadError(Exception):
    """So many quotes are not closed that reading past them would take too long."""


def _closing(marks: Marks) -> re.Pattern[str]:
    """Return the pattern of a quoted value's rest, its closing quote included."""
    quote, escape = re.escape(marks.quote), re.escape(marks.escape)
    if not quote:
        return re.compile("(?!)")
    if not escape:
        return re.compile(f"([^{quote}]*+){quote}")
    if escape == quote:
        return re.compile(f"((?:[^{quote}]++|{quote}{quote})*+){quote}")
    return re.compile(f"((?:[^{quote}{escape}]++|{escape}(?:.|$))*+){quote}", re.DOTALL)


_BLANKS = re.compile(" *")


def _skip_blanks(line: str, at: int, separator: str) -> int:
    """Return where the blanks from `at` on end; none are skipped where a blank separates."""
    if not line.startswith(" ", at) or separator.startswith(" "):
        return at
    blanks = _BLANKS.match(line, at)
    return blanks.end() if blanks else at


def _escaped(line: str, separator: str, escape: str) -> list[str]:
    """Split a line without quotes in which `escape` makes a separator part of the value.

    Before other characters it is itself a value's text, as in PostgreSQL's sign for NULL.
    """
    values: list[str] = []
    parts: list[str] = []
    for part in line.split(separator):
        parts.append(part)
        if (len(part) - len(part.rstrip(escape))) % 2 == 0:
            values.append(separator.join(parts))
            parts = []
    if parts:
        values.append(separator.join(parts))
    sign, mark = re.escape(escape), re.escape(separator)
    return [re.sub(f"{sign}({sign}|{mark})", r"\1", value) for value in values]
