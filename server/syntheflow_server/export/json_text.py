"""JSON: one array of objects, or one object a line.

Each object has all columns in order; a missing value is null. Numbers are numbers
(int64 and decimals with all their digits, beyond what doubles hold), NaN and
infinities are null, dates, times and durations are text as `value_text` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.base import Encoder, Piece, blocks, cut_lines
from syntheflow_server.export.string_bytes import replaced
from syntheflow_server.export.value_text import plain_text

_ESCAPES = {b"\\": b"\\\\", b'"': b'\\"', b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_ESCAPES |= {
    bytes([code]): f"\\u{code:04x}".encode() for code in range(32) if code not in {9, 10, 13}
}
# Text of one block stays below the 2 GiB of Arrow's string offsets, even if all is escaped.
_BLOCK = 1 << 27


class JsonLinesEncoder(Encoder):
    """One object a line."""

    ending: ClassVar[str] = ".jsonl"

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the rows as lines."""
        del first
        yield from self._objects(batch, before="", after="\n")

    def _objects(self, batch: pa.RecordBatch, *, before: str, after: str) -> Iterator[Piece]:
        self._expect(batch)
        for block in blocks(batch, _BLOCK):
            parts: list[str | pa.Array] = []
            for name, values in zip(self.schema.names, block.columns, strict=True):
                lead = "," if parts else before + "{"
                parts += [f"{lead}{json.dumps(name, ensure_ascii=False)}:", _values(values)]
            lines = pc.binary_join_element_wise(
                *parts, "}" + after, "", null_handling="replace", null_replacement="null"
            )
            yield from cut_lines(lines)


class JsonEncoder(JsonLinesEncoder):
    """One array of objects, a row a line."""

    ending: ClassVar[str] = ".json"

    def begin(self) -> bytes:
        """Return the opening bracket."""
        return b"["

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the rows; each but the table's first begins with its comma."""
        for piece in self._objects(batch, before=",\n", after=""):
            yield Piece(piece.data[1:], piece.rows) if first else piece
            first = False

    def end(self) -> bytes:
        """Return the closing bracket."""
        return b"\n]\n"


def _values(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    text = plain_text(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return text
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return text
    if pa.types.is_string(kind):
        text = replaced(text, _ESCAPES)
    return pc.binary_join_element_wise('"', text, '"', "")
