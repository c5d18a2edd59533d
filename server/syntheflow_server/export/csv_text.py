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
from syntheflow_server.export.cells import Part, cells, marks, text_cells
from syntheflow_server.export.lines import lines
from syntheflow_server.export.string_bytes import StringBytes, one_of, replaced

_FIRST_OF_FORMULA = one_of(b"=@\t\r+-'")
_FORMULA = r"^(?:'*[=@\t\r]|'+[+-])"
_SIGNED = r"^[+-]"
_LIKE_A_NUMBER = r"^[+-][0-9 .,()/-]*(?:[eE][+-]?[0-9]+)?$"
# Text of one block stays below the 2 GiB of Arrow's string offsets, even if all is quotes,
# and its cells, which may be twice as large and wider than a number, take not too much.
_BLOCK = 1 << 25


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
            parts: list[Part] = []
            for column in block.columns:
                parts += [b",", *self._cell(column)] if parts else self._cell(column)
            yield from cut_lines(lines([*parts, b"\r\n"], block.num_rows))

    def _cell(self, values: pa.Array) -> list[Part]:
        if pa.types.is_string(values.type):
            return _texts(values, escape_formulas=self.target.options.escape_formulas)
        return cells(values)


def _texts(text: pa.Array, *, escape_formulas: bool) -> list[Part]:
    """Return texts with quotes and apostrophes where they need them."""
    source = StringBytes(text)
    first, last = source.ends()
    empty = source.offsets[1:] == source.offsets[:-1]
    formula = _formulas(text, first) if escape_formulas else None
    blank = _is_blank(first)
    if formula is not None:
        blank &= ~formula
    needed: npt.NDArray[np.bool_] = source.rows_with(b",", b'"', b"\n", b"\r")
    needed |= empty | blank | _is_blank(last)
    if text.null_count:
        needed &= np.asarray(text.is_valid())
    quote: list[Part] = [marks(needed, b'"')] if needed.any() else []
    apostrophe: list[Part] = [] if formula is None else [marks(formula, b"'")]
    return [*quote, *apostrophe, text_cells(replaced(source, {b'"': b'""'})), *quote]


def _is_blank(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell blanks, which are quoted at either end: many readers trim what is not quoted."""
    blank: npt.NDArray[np.bool_] = (codes == ord(" ")) | (codes == ord("\t"))
    return blank


def _formulas(text: pa.Array, first: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """Return which texts a spreadsheet would run, None for none; `first` are their first bytes."""
    suspect = np.flatnonzero(_FIRST_OF_FORMULA.take(first))
    if not len(suspect):
        return None
    some = text.take(pa.array(suspect))
    signed = pc.match_substring_regex(some, _SIGNED)
    number = pc.match_substring_regex(some, _LIKE_A_NUMBER)
    formula = pc.or_(pc.match_substring_regex(some, _FORMULA), pc.and_not(signed, number))
    rows = np.zeros(len(text), np.bool_)
    rows[suspect[np.asarray(pc.fill_null(formula, fill_value=False))]] = True
    return rows if rows.any() else None


def _is_formula(name: str) -> bool:
    signed = re.match(_SIGNED, name) and not re.match(_LIKE_A_NUMBER, name)
    return bool(re.match(_FORMULA, name) or signed)
