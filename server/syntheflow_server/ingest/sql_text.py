"""SQL scripts as a stream: statements and rows of values, never more than a piece at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Self

from syntheflow_server.ingest.tables import bad_file

ROW_LIMIT = 1 << 24
"""Characters of one row, or of a statement that is no row."""
_CHUNK = 1 << 20
_HEAD = 1 << 14
_STANDARD = r"'[^']*+(?:''[^']*+)*+'"
_ESCAPED = r"'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'"
_DOUBLE = r'"[^"\\]*+(?:(?:\\.|"")[^"\\]*+)*+"'
_BARE = r"[^\s,()'\"`;][^,()'\"`;]*+"
_FAST_COLUMNS = 300
_BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|\#[^\n]*(?:\n|\Z)|/\*.*?\*/)*+", re.DOTALL)
NAME = r"(?:\"(?:[^\"]|\"\")+\"|`(?:[^`]|``)+`|\[(?:[^\]]|\]\])+\]|[^\W\d][\w$]*)"
"""A name, quoted in any dialect's way or not at all."""
QUALIFIED = rf"{NAME}(?:\s*\.\s*{NAME}){{0,3}}"
_NAME = re.compile(NAME)
_LINE_BEFORE = re.compile(r"(?:\n|\A)[^\S\n]*\Z")
_LINE_AFTER = re.compile(r"[^\S\n]*(?:\n|\Z)")
_END_OF_COPY = re.compile(r"^\\\.\r?\n", re.MULTILINE)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of `a.b` or `a, b` without quotes; lengths in brackets are left out."""
    plain = re.sub(r"\([^)]*\)", "", text)
    found = []
    for part in _NAME.findall(plain):
        if part[0] in '"`[':
            quote = part[-1]
            found.append(part[1:-1].replace(quote * 2, quote))
        elif part.upper() not in {"ASC", "DESC"}:
            found.append(part)
    return tuple(found)


class SqlText:
    """A cursor in a script.

    `backslash` says that texts have escapes, as in MySQL; `batches` that a line of GO ends
    statements, as in SQL Server.
    """

    def __init__(
        self, path: Path, table: str, *, backslash: bool = False, batches: bool = False
    ) -> None:
        self._file = path.open(encoding="utf-8-sig", newline="")
        self._table = table
        self._batches = batches
        self._text = ""
        self._at = 0
        self._lines = 1
        self._ended = False
        self._string = rf"(?:{_ESCAPED}|{_DOUBLE})" if backslash else _STANDARD
        prefixed = rf"(?:[nNbBxX]?{self._string}|[eE]{_ESCAPED}|_\w+ {self._string})"
        self._value = rf"(?:{prefixed}|{_BARE})"
        other = r"\"[^\"]*\"|`[^`]*`|\[(?:[^\]\n]|\]\])*\]"
        self._piece = re.compile(
            rf"(?P<end>;)|(?P<open>\()|(?P<close>\))|(?P<comma>,)|{prefixed}|{other}"
            r"|(?P<tag>\$\w*\$)|--[^\n]*\n|/\*.*?\*/|\w+|\s+|[^\w\s'\"`]",
            re.DOTALL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def line(self) -> int:
        """Line of the script where the cursor stands."""
        return self._lines + self._text.count("\n", 0, self._at)

    def head(self) -> str:
        """Pass blanks and comments; return what comes then, some thousands of characters."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            assert blank is not None
            if len(self._text) - blank.end() >= _HEAD or not self._more():
                blank = _BLANK.match(self._text, self._at)
                assert blank is not None
                self._at = blank.end()
                return self._text[self._at : self._at + _HEAD]

    def move(self, count: int) -> None:
        """Go on by so many characters of what `head` showed."""
        self._at += count

    def rest(self) -> str:
        """Go behind the end of the statement; return what was before it."""
        found: list[str] = []
        size = 0
        while True:
            match = self._piece.match(self._text, self._at)
            if match is None or match.end() == len(self._text):
                if self._more():
                    continue
                if match is None:
                    if self._at < len(self._text):
                        raise self.fault("a text or comment is not closed")
                    return "".join(found)
            self._at = match.end()
            if match["end"] or (self._batches and self._is_go(match)):
                return "".join(found)
            if match["tag"]:
                self.pass_over(re.compile(re.escape(match[0])))
                continue
            size += match.end() - match.start()
            if size <= _CHUNK:
                found.append(match[0])

    def _is_go(self, match: re.Match[str]) -> bool:
        """Tell whether this is the line that ends a batch of SQL Server."""
        return bool(
            match[0].upper() == "GO"
            and _LINE_BEFORE.search(self._text, max(0, match.start() - 64), match.start())
            and _LINE_AFTER.match(self._text, match.end())
        )

    def pass_over(self, mark: re.Pattern[str]) -> None:
        """Go behind the next place where `mark` fits, or to the end of the script."""
        while True:
            match = mark.search(self._text, self._at)
            if match is not None:
                self._at = match.end()
                return
            self._at = max(self._at, len(self._text) - 256)
            if not self._more():
                self._at = len(self._text)
                return

    def rows(self, again: str = "") -> Iterator[list[tuple[str, ...]]]:
        """Yield bundles of rows of values as they are written, to the end of VALUES.

        `again` is how the statement begins: where the next ones begin so too, their rows
        follow, as dumps have an INSERT a row.
        """
        width = 0
        while (first := self._next_row()) is not None:
            yield [first]
            if len(first) != width:
                width = len(first)
                if width > _FAST_COLUMNS:
                    width = 0
                    continue
            match = _row_pattern(self._value, width, again).match
            bundle: list[tuple[str, ...]] = []
            while found := match(self._text, self._at):
                bundle.append(found.groups())
                self._at = found.end()
            if bundle:
                yield bundle

    def _next_row(self) -> tuple[str, ...] | None:
        """Read one row piece by piece; None where no row follows."""
        start = re.compile(r"\s*+,?+\s*+(.)", re.DOTALL)
        while True:
            match = start.match(self._text, self._at)
            if match is None or match.end() == len(self._text):
                if self._more():
                    continue
                if match is None:
                    return None
            if match[1] != "(":
                return None
            found = self._pieces(match.end())
            if found is not None:
                return found
            if not self._more():
                raise self.fault("a row is not closed")

    def _pieces(self, at: int) -> tuple[str, ...] | None:
        """Return the values up to the row's closing bracket; None if it is not there yet."""
        values: list[str] = []
        begin, depth = at, 0
        while match := self._piece.match(self._text, at):
            at = match.end()
            if match["open"]:
                depth += 1
            elif match["comma"] and depth == 0:
                values.append(self._text[begin : match.start()].strip())
                begin = at
            elif match["close"]:
                if depth == 0:
                    values.append(self._text[begin : match.start()].strip())
                    self._at = at
                    return tuple(values)
                depth -= 1
        return None

    def copied(self) -> Iterator[list[str]]:
        """Yield bundles of lines of a COPY block, and go behind its end."""
        self.pass_over(re.compile(r"\n"))
        while True:
            last = self._text.rfind("\n", self._at)
            if last < 0:
                if self._more():
                    continue
                raise self.fault("the block of rows has no end; the script is cut off")
            lines = self._text[self._at : last].split("\n")
            if lines[0].endswith("\r"):
                lines = [line.removesuffix("\r") for line in lines]
            if "\\." in lines:
                end = lines.index("\\.")
                self.pass_over(_END_OF_COPY)
                yield lines[:end]
                return
            self._at = last + 1
            yield lines

    def fault(self, rule: str) -> Exception:
        """Return the error for a broken rule at this place."""
        return bad_file(self._table, rule, row=self.line)

    def _more(self) -> bool:
        if self._ended:
            return False
        rest = len(self._text) - self._at
        if rest > ROW_LIMIT:
            raise self.fault(f"a row or statement is larger than {ROW_LIMIT >> 20} MiB")
        part = self._file.read(max(_CHUNK, rest))
        self._ended = not part
        self._lines += self._text.count("\n", 0, self._at)
        self._text = self._text[self._at :] + part
        self._at = 0
        return bool(part)


@lru_cache(maxsize=64)
def _row_pattern(value: str, width: int, again: str) -> re.Pattern[str]:
    values = r"\s*+,\s*+".join([f"({value})"] * width)
    between = rf"(?:,|;\s*+{re.escape(again)})?+" if again else ",?+"
    return re.compile(rf"\s*+{between}\s*+\(\s*+{values}\s*+\)(?=\s*+[,;])", re.DOTALL)
