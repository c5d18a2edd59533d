"""CSV after RFC 4180: UTF-8, comma, CRLF, header in line 1, quotes only where needed.

A missing value is empty, an empty string is `""`, so that both come back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.base import Encoder, Piece, blocks, cut_lines
from syntheflow_server.export.value_text import plain_text

# Blanks at either end are quoted too: many readers trim what is not quoted.
_NEEDS_QUOTES = r'[",\r\n]|^$|^[ \t]|[ \t]$'
# Text of one block stays below the 2 GiB of Arrow's string offsets, even if all is quotes.
_BLOCK = 1 << 28


class CsvEncoder(Encoder):
    """Lines of text, whole rows a piece."""

    ending: ClassVar[str] = ".csv"

    def begin(self) -> bytes:
        """Return the header line."""
        line = io.StringIO()
        csv.writer(line).writerow(self.schema.names)
        return line.getvalue().encode()

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the rows as lines."""
        del first
        self._expect(batch)
        for block in blocks(batch, _BLOCK):
            cells = [_cells(column) for column in block.columns]
            cells[-1] = pc.binary_join_element_wise(
                cells[-1], "\r\n", "", null_handling="replace", null_replacement=""
            )
            lines = pc.binary_join_element_wise(
                *cells, ",", null_handling="replace", null_replacement=""
            )
            yield from cut_lines(lines)


def _cells(values: pa.Array) -> pa.Array:
    text = plain_text(values)
    if not pa.types.is_string(values.type):
        return text
    quoted = pc.match_substring_regex(text, _NEEDS_QUOTES)
    if not pc.any(quoted).as_py():
        return text
    inner = pc.replace_substring(text, '"', '""')
    return pc.if_else(quoted, pc.binary_join_element_wise('"', inner, '"', ""), text)
