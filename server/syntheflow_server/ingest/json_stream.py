"""Reads JSON piece by piece: memory holds one value, however large the document is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, Self

from syntheflow_server.ingest.shred import Number
from syntheflow_server.ingest.tables import bad_file

VALUE_LIMIT = 1 << 24
"""Characters of one record."""
_CHUNK = 1 << 20
# Longer than a cut literal or escape may be, shorter than what would hide a fault.
_LITERAL = 16
_BLANK = " \t\r\n"
_DEPTH = 64


def _no_constant(_text: str) -> NoReturn:
    raise ValueError("JSON knows no such number")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_no_constant)


class JsonStream:
    """A cursor in a JSON document."""

    def __init__(self, path: Path, table: str) -> None:
        self._file = path.open(encoding="utf-8-sig")
        self._table = table
        self._text = ""
        self._at = 0
        self._lines = 1
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def peek(self) -> str:
        """Return the next character that is not blank; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def value(self) -> Any:
        """Read a value; numbers are `Number`, as they are written."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise self.fault("values are nested too deeply") from error
            except ValueError as error:
                if self._ended or not _may_go_on(error, len(self._text)):
                    raise self.fault(self._wrong(), error) from error
                self._more()
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._at = end
            return value

    def items(self) -> Iterator[None]:
        """Stand before each item of an array in turn; the caller reads it."""
        yield from self._series("[", "]", names=False)

    def series(self) -> Iterator[Any]:
        """Yield value after value, with nothing but blanks between them."""
        while self.peek():
            yield self.value()

    def members(self) -> Iterator[str]:
        """Yield each name of an object, standing before its value; the caller reads it."""
        yield from self._series("{", "}", names=True)

    def skip(self) -> None:
        """Pass over a value."""
        if self.peek() == "[":
            for _ in self.items():
                self.skip()
        else:
            self.value()

    def _series(self, first: str, last: str, *, names: bool) -> Iterator[Any]:
        self._take(first)
        if self.peek() == last:
            self._at += 1
            return
        while True:
            name = None
            if names:
                if self.peek() != '"':
                    raise self.fault(self._wrong())
                name = self.value()
                self._take(":")
            yield name
            if self.peek() == last:
                self._at += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self.fault(self._wrong())
        self._at += 1

    def _more(self) -> bool:
        """Read on, letting go of what lies behind; False at the end."""
        if self._ended:
            return False
        rest = len(self._text) - self._at
        if rest > VALUE_LIMIT:
            raise self.fault(f"a value is larger than {VALUE_LIMIT >> 20} MiB")
        part = self._file.read(max(_CHUNK, rest))
        self._ended = not part
        self._lines += self._text.count("\n", 0, self._at)
        self._text = self._text[self._at :] + part
        self._at = 0
        return bool(part)

    def _wrong(self) -> str:
        return "the file is not well-formed JSON from this line on"

    def fault(self, rule: str, error: ValueError | None = None) -> Exception:
        """Return the error for a broken rule at this place."""
        at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
        line = self._lines + self._text.count("\n", 0, at)
        return bad_file(self._table, rule, row=line)


def _may_go_on(error: ValueError, length: int) -> bool:
    """Tell whether the text so far may be the beginning of a value."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= length - _LITERAL


def records(stream: JsonStream, path: tuple[str, ...], depth: int = 0) -> Iterator[Any]:
    """Yield the values at `path`: items of the array there, or the value itself.

    Arrays on the way are entered, each of their items in turn, so deep.
    """
    if depth > _DEPTH:
        raise stream.fault("values are nested too deeply")
    head = stream.peek()
    if head == "[":
        for _ in stream.items():
            if path:
                yield from records(stream, path, depth + 1)
            else:
                yield stream.value()
    elif not path:
        yield stream.value()
    elif head == "{":
        for name in stream.members():
            if name == path[0]:
                yield from records(stream, path[1:], depth + 1)
            else:
                stream.skip()
    else:
        stream.skip()
