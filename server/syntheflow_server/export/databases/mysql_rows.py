"""Rows as MySQL takes them: lines for LOAD DATA, lists of literals for INSERT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import TARGET_PIECE, blocks
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.sql_values import literals
from syntheflow_server.export.string_bytes import StringBytes, replaced
from syntheflow_server.export.value_text import moment_text, plain_text

_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\0": b"\\0"}
_ROWS = 8_192
_STATEMENT = 1 << 20
"""Bytes of the rows of one statement: a server's max_allowed_packet is 16 MiB or more."""


def load_lines(rows: pa.Table, slots: Sequence[Slot]) -> Iterator[bytes]:
    r"""Yield lines with tabs between cells, \N for no value, backslash before what needs it."""
    for batch in rows.to_batches(_ROWS):
        cells = [_cell(batch.column(slot.source)) for slot in slots]
        cells[-1] = pc.binary_join_element_wise(
            cells[-1], "\n", "", null_handling="replace", null_replacement="\\N"
        )
        lines = pc.binary_join_element_wise(
            *cells, "\t", null_handling="replace", null_replacement="\\N"
        )
        # A stream of bytes: pieces need not end with rows.
        for start in range(0, len(data := StringBytes(lines).data), TARGET_PIECE):
            yield data[start : start + TARGET_PIECE]


def _cell(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind):
        return replaced(values, _ESCAPES)
    if pa.types.is_boolean(kind):
        return pc.if_else(values, "1", "0")
    if pa.types.is_timestamp(kind):
        return moment_text(values, " ", "")
    return plain_text(values)


def insert_values(rows: pa.Table, slots: Sequence[Slot]) -> Iterator[str]:
    """Yield `(...), (...)` with literals, for statements of about a MiB each."""
    for batch in (b for some in rows.to_batches(_ROWS) for b in blocks(some, _STATEMENT)):
        cells = [
            literals(batch.column(slot.source), Dialect.MYSQL, table="", column=slot.source)
            for slot in slots
        ]
        cells[0] = _around("(", cells[0], "")
        cells[-1] = _around("", cells[-1], "),")
        lines = pc.binary_join_element_wise(
            *cells, ",", null_handling="replace", null_replacement="NULL"
        )
        yield StringBytes(lines).data.decode().removesuffix(",")


def _around(before: str, values: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(
        before, values, after, "", null_handling="replace", null_replacement="NULL"
    )
