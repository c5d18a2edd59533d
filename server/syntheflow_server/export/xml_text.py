"""XML: a file of rows for each table, and a schema (XSD) that it is valid against.

The root is named after the table, each row is a `row`, each column an element named after
it (`element_name` of domain/escapes where the name is none of XML). A missing value is
`xsi:nil`, an empty text an empty element. Values are written as XML Schema's types, so NaN
and infinities have their words; durations are [-]HH:MM:SS[.ffffff]. Characters that XML
cannot have are `_xHHHH_` in texts, and the file says so in its second line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.escapes import ESCAPES_MARK, element_name, escape
from syntheflow_server.export.base import (
    Encoder,
    FilePart,
    Piece,
    Target,
    blocks,
    cut_lines,
    file_stem,
)
from syntheflow_server.export.string_bytes import StringBytes, replaced
from syntheflow_server.export.value_text import plain_text
from syntheflow_server.export.xml_schema import schema_of

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_MARKUP = {b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;", b"\r": b"&#13;"}
_CONTROLS = {
    bytes([code]): escape(chr(code)).encode() for code in range(32) if code not in {9, 10, 13}
}
_NO_CHARACTERS = ("\ufffe", "\uffff")
_NIL = ' xsi:nil="true"/>'
_BLOCK = 1 << 26


class XmlEncoder(Encoder):
    """Rows of one table, a line each."""

    ending: ClassVar[str] = ".xml"

    @classmethod
    def opening(cls, target: Target) -> Iterator[FilePart]:
        """Yield the schemas, and what stands before the first rows."""
        for table in target.tables:
            schema = schema_of(target.table(table))
            yield FilePart(_schema_file(table), table, schema.encode())
        yield from super().opening(target)

    def begin(self) -> bytes:
        """Return the head and the root's opening tag."""
        place = quote(_schema_file(self.table.name))
        root = element_name(self.table.name)
        text = (
            f"{_HEAD}{ESCAPES_MARK}\n"
            f'<{root} xmlns:xsi="{_INSTANCE}" xsi:noNamespaceSchemaLocation="{place}">\n'
        )
        return text.encode()

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the rows as lines."""
        del first
        self._expect(batch)
        for block in blocks(batch, _BLOCK):
            parts: list[str | pa.Array] = []
            between = "<row>"
            for name, values in zip(self.schema.names, block.columns, strict=True):
                tag, text = element_name(name), _text(values)
                if values.null_count:
                    # What is missing has no text, and so takes the end of a nil element.
                    whole = pc.binary_join_element_wise(">", text, f"</{tag}>", "")
                    parts += [f"{between}<{tag}", whole]
                    between = ""
                else:
                    parts += [f"{between}<{tag}>", text]
                    between = f"</{tag}>"
            lines = pc.binary_join_element_wise(
                *parts,
                f"{between}</row>\n",
                "",
                null_handling="replace",
                null_replacement=_NIL,
            )
            yield from cut_lines(lines)

    def end(self) -> bytes:
        """Return the root's closing tag."""
        return f"</{element_name(self.table.name)}>\n".encode()


def _schema_file(table: str) -> str:
    return file_stem(table) + ".xsd"


def _text(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        return _floats(values)
    return _escaped(values) if pa.types.is_string(values.type) else plain_text(values)


def _floats(values: pa.Array) -> pa.Array:
    text = plain_text(values)
    for number, word in ((np.inf, "INF"), (-np.inf, "-INF")):
        text = pc.if_else(pc.equal(values, number), word, text)
    return pc.if_else(pc.is_nan(values), "NaN", text)


def _escaped(text: pa.Array) -> pa.Array:
    source = StringBytes(text)
    if b"_x" in source.data:
        text = pc.replace_substring(text, "_x", escape("_") + "x")
    text = replaced(text, _MARKUP)
    text = replaced(text, _CONTROLS)
    for character in _NO_CHARACTERS:
        if character.encode() in source.data:
            text = pc.replace_substring(text, character, escape(character))
    return text
