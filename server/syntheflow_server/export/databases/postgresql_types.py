"""Arrow columns as PostgreSQL's binary COPY wants them: of the column's exact type.

Types without a binary form here return None from `wire_of`: they travel as text.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.value_text import plain_text

_UUID, _JSONB = pa.binary(16), pa.binary()
_PLAIN: dict[str, pa.DataType] = {
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "uuid": _UUID,
    "jsonb": _JSONB,
} | dict.fromkeys(("text", "varchar", "bpchar", "name", "citext", "enum", "json"), pa.string())


_TURNED = re.compile(
    r"(?:(?:smallint|integer|bigint|boolean|real|double precision|text"
    r"|(?:numeric|character varying)(?:\(\d+(?:,\d+)?\))?)\[\]|bit(?: varying)?\(\d+\))"
)


def is_turned(native: str) -> bool:
    """Tell whether `text_as` turns any text that stands for such a type into its value."""
    return _TURNED.fullmatch(native) is not None


def wire_of(  # noqa: PLR0911 - one case a line
    slot: Slot, stored: pa.DataType
) -> pa.DataType | None:
    """Return the Arrow type whose binary form the column takes; None if it goes as text."""
    if slot.base == "numeric":
        return _numeric(slot, stored)
    if slot.base == "interval":
        return stored if pa.types.is_duration(stored) else None
    wire = _PLAIN.get(slot.base)
    if wire in {_UUID, _JSONB}:
        return wire if pa.types.is_string(stored) else None
    if wire is None or wire == pa.string() or stored == wire:
        return wire
    numbers = pa.types.is_integer(stored) or pa.types.is_floating(stored)
    numbers = numbers or pa.types.is_decimal(stored)
    if pa.types.is_integer(wire) or pa.types.is_floating(wire):
        return wire if numbers or pa.types.is_boolean(stored) else None
    if pa.types.is_boolean(wire):
        return wire if pa.types.is_integer(stored) else None
    if pa.types.is_timestamp(wire):
        return wire if pa.types.is_timestamp(stored) or pa.types.is_date(stored) else None
    return None


def _numeric(slot: Slot, stored: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(stored):
        return stored
    if pa.types.is_integer(stored):
        return pa.decimal128(19, 0)
    if pa.types.is_floating(stored) and slot.digits is not None:
        # Rounded by Arrow as the server would; beyond fifteen digits text says more.
        precision, scale = slot.digits
        return pa.decimal128(precision, scale) if precision <= 15 and scale >= 0 else None
    return None


def text_as(name: str, slot: Slot) -> str:
    """Return the SQL that turns a text of the staging column `name` into the slot's type.

    Arrays are JSON texts (`[1, null]`) or PostgreSQL's own (`{1,NULL}`).
    """
    if not slot.type.endswith("[]"):
        return f"{name}::{slot.type}"
    return (
        f"CASE WHEN {name} LIKE '[%' THEN "
        f"ARRAY(SELECT jsonb_array_elements_text({name}::jsonb))::{slot.type} "
        f"ELSE {name}::{slot.type} END"
    )


def fitted(
    values: pa.ChunkedArray, kind: pa.DataType | None, slot: Slot, table: str, first: int
) -> pa.ChunkedArray:
    """Return `values` as `kind`; InvalidArgumentError names the first row that does not fit."""
    if values.type == kind and kind != pa.string():
        return values
    chunks = []
    for chunk in values.chunks:
        try:
            chunks.append(_converted(chunk, kind))
        except pa.ArrowInvalid:
            row = first + _first_unfit(chunk, kind)
            rule = f"is of type {slot.type}, and the value does not fit it"
            raise faults.row_refused(table, slot.source, row, rule) from None
        first += len(chunk)
    return pa.chunked_array(chunks)


def _converted(  # noqa: PLR0911 - one case a line
    values: pa.Array, kind: pa.DataType | None
) -> pa.Array:
    if kind is None or kind == pa.string():
        text = plain_text(values)
        if pa.types.is_string(values.type) and _holds_nul(text):
            raise pa.ArrowInvalid("NUL")
        return text
    if kind == _UUID:
        return _uuids(values)
    if kind == _JSONB:
        # The binary form begins with the number of its version.
        return pc.binary_join_element_wise("\x01", values, "").cast(pa.binary())
    if pa.types.is_decimal(kind) and pa.types.is_floating(values.type):
        return pc.cast(values, kind)
    if pa.types.is_integer(kind) and pa.types.is_floating(values.type):
        return pc.cast(pc.round(values, round_mode="half_to_even"), kind)
    if pa.types.is_integer(kind) and pa.types.is_decimal(values.type):
        return pc.cast(pc.cast(pc.round(values), pa.float64()), kind)
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(values.type):
        return values.view(pa.int64()).view(kind)
    return pc.cast(values, kind, safe=not pa.types.is_float32(kind))


def _holds_nul(text: pa.Array) -> bool:
    """Say whether a text holds the one character that PostgreSQL does not take."""
    data = text.buffers()[2]
    if data is None or b"\0" not in memoryview(data).tobytes():
        return False
    return bool(pc.any(pc.match_substring(text, "\0")).as_py())


def _uuids(values: pa.Array) -> pa.Array:
    shape = r"^\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?$"
    if not pc.all(pc.match_substring_regex(values, shape), min_count=0).as_py():
        raise pa.ArrowInvalid("UUID")
    plain = pc.replace_substring_regex(pc.fill_null(values, "0" * 32), "[{}-]", "")
    signs = _bytes_of(plain)
    digits = np.where(signs >= 97, signs - 87, np.where(signs >= 65, signs - 55, signs - 48))
    halves = digits.astype(np.uint8).reshape(-1, 2)
    data = (halves[:, 0] << 4 | halves[:, 1]).tobytes()
    made = pa.Array.from_buffers(_UUID, len(values), [None, pa.py_buffer(data)])
    return pc.if_else(values.is_valid(), made, pa.scalar(None, _UUID))


def _bytes_of(texts: pa.Array) -> np.ndarray:
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    return np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]


def _first_unfit(values: pa.Array, kind: pa.DataType | None) -> int:
    """Return the index of the first value that cannot be converted, by halves."""
    start, stop = 0, len(values)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            _converted(values.slice(start, middle - start), kind)
        except pa.ArrowInvalid:
            stop = middle
        else:
            start = middle
    return start
