"""CSV after RFC 4180: UTF-8, comma, CRLF, header in line 1, quotes only where needed.

A missing value is empty, an empty string is `""`, so that both come back.

Spreadsheets run texts that begin like a formula. With `escape_formulas` such texts get an
apostrophe in front: those that begin with `=`, `@`, a tab or a carriage return, and those
that begin with `+` or `-` unless the rest is a number or like one (digits, blanks and
`.,()/-`, as in phone numbers). Texts that have apostrophes before such a sign get one more,
so that nothing is lost: it is undone by taking one apostrophe from each text that begins
with some and then one of these signs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.base import Encoder, Piece, blocks, cut_lines
from syntheflow_server.export.string_bytes import StringBytes, flags, one_of, replaced
from syntheflow_server.export.value_text import plain_text

_FIRST_OF_FORMULA = one_of(b"=@\t\r+-'")
_FORMULA = r"^(?:'*[=@\t\r]|'+[+-])"
_SIGNED = r"^[+-]"
_LIKE_A_NUMBER = r"^[+-][0-9 .,()/-]*(?:[eE][+-]?[0-9]+)?$"
# Blanks at either end are quoted too: many readers trim what is not quoted.
_BLANKS = one_of(b" \t")
# Text of one block stays below the 2 GiB of Arrow's string offsets, even if all is quotes.
_BLOCK = 1 << 28


class CsvEncoder(Encoder):
    """Lines of text, whole rows a piece."""

    ending: ClassVar[str] = ".csv"

    def begin(self) -> bytes:
        """Return the header line."""
        names = self.schema.names
        if self.target.options.escape_formulas:
            names = [f"'{name}" if _is_formula(name) else name for name in names]
        line = io.StringIO()
        csv.writer(line).writerow(names)
        return line.getvalue().encode()

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the rows as lines."""
        del first
        self._expect(batch)
        for block in blocks(batch, _BLOCK):
            cells = [self._cells(column) for column in block.columns]
            cells[-1] = pc.binary_join_element_wise(
                cells[-1], "\r\n", "", null_handling="replace", null_replacement=""
            )
            lines = pc.binary_join_element_wise(
                *cells, ",", null_handling="replace", null_replacement=""
            )
            yield from cut_lines(lines)

    def _cells(self, values: pa.Array) -> pa.Array:
        if not pa.types.is_string(values.type):
            return plain_text(values)
        if self.target.options.escape_formulas:
            values = _without_formulas(values)
        return _quoted(values)


def _quoted(text: pa.Array) -> pa.Array:
    """Return texts with quotes where they need them."""
    source = StringBytes(text)
    first, last = source.ends()
    needed: npt.NDArray[np.bool_] = source.rows_with(b",", b'"', b"\n", b"\r")
    needed |= (first == 0) & (np.diff(source.offsets) == 0)
    needed |= _BLANKS[first] | _BLANKS[last]
    if text.null_count:
        needed &= np.asarray(text.is_valid())
    if not needed.any():
        return text
    marks = flags(needed, '"')
    return pc.binary_join_element_wise(marks, replaced(source, {b'"': b'""'}), marks, "")


def _without_formulas(text: pa.Array) -> pa.Array:
    """Return texts with an apostrophe before what a spreadsheet would run."""
    first, _ = StringBytes(text).ends()
    suspect = np.flatnonzero(_FIRST_OF_FORMULA[first])
    if not len(suspect):
        return text
    some = text.take(pa.array(suspect))
    signed = pc.match_substring_regex(some, _SIGNED)
    number = pc.match_substring_regex(some, _LIKE_A_NUMBER)
    formula = pc.or_(pc.match_substring_regex(some, _FORMULA), pc.and_not(signed, number))
    rows = np.zeros(len(text), np.bool_)
    rows[suspect[np.asarray(pc.fill_null(formula, fill_value=False))]] = True
    return pc.binary_join_element_wise(flags(rows, "'"), text, "") if rows.any() else text


def _is_formula(name: str) -> bool:
    signed = re.match(_SIGNED, name) and not re.match(_LIKE_A_NUMBER, name)
    return bool(re.match(_FORMULA, name) or signed)
