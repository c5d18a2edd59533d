"""Columns as text, for the formats that are text: vectorised, one string a value.

Dates and moments follow ISO 8601 (moments with a zone are written in UTC, ending in Z);
fractions of a second stand only where they are not zero. Durations are
[-]HH:MM:SS[.ffffff] with as many hours as it takes. Decimals keep all their digits;
floats are the shortest text that reads back as the same number and always look like
floats (`1.0`, `1e+20`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.string_bytes import StringBytes, raw, strings, with_mark

_SECOND = 1_000_000
_DAY = len("2024-02-29")
_USUAL = (0, len("2024-02-29 12:00:00"), len("2024-02-29 12:00:00.000001"))
"""Lengths of moments whose year has four digits, and of missing ones."""


def plain_text(values: pa.Array) -> pa.Array:
    """Return `values`, of any stored type, as strings; nulls stay null."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_boolean(kind):
        return pc.if_else(values, "true", "false")
    for test, written in _OWN_WORDS:
        if test(kind):
            return written(values)
    return pc.cast(values, pa.string())


def _float_text(values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    # Arrow writes 1.0 as 1; from 1e10 on it writes whole numbers with an exponent.
    numbers = raw(values, np.float64)
    whole = (np.abs(numbers) < 1e10) & (numbers == np.floor(numbers))
    return with_mark(text, whole, ".0")


def _without_zero_fraction(values: pa.Array, seconds: pa.DataType) -> pa.Array:
    """Return the text of microseconds of a day or an age; their fraction where it is not 0."""
    ticks = raw(values, np.int64)
    fine = ticks // _SECOND * _SECOND != ticks
    if values.null_count:
        fine &= np.asarray(values.is_valid())
    if fine.all():
        return pc.cast(values, pa.string())
    text = pc.cast(pc.cast(values, seconds, safe=False), pa.string())
    if not fine.any():
        return text
    there = pa.array(fine)
    return pc.replace_with_mask(text, there, pc.cast(values.filter(there), pa.string()))


def moment_text(values: pa.Array, joint: str = "T", zone: str = "Z") -> pa.Array:
    """Return moments as text: `joint` before the time, `zone` behind those with a zone."""
    zoned = values.type.tz is not None
    plain = values.view(pa.int64()).view(pa.timestamp("us"))
    text = _without_zero_fraction(plain, pa.timestamp("s"))
    if joint != " ":
        text = _joined_by(joint, text)
    return pc.binary_join_element_wise(text, zone, "") if zoned and zone else text


def _joined_by(joint: str, text: pa.Array) -> pa.Array:
    """Return moments with `joint` (one ASCII character) for the blank before the time."""
    source = StringBytes(text)
    starts, lengths = source.offsets[:-1], np.diff(source.offsets)
    if not np.logical_or.reduce([lengths == usual for usual in _USUAL]).all():
        return pc.replace_substring(text, " ", joint, max_replacements=1)
    data = np.frombuffer(source.data, np.uint8).copy()
    data[starts[lengths > 0] + _DAY] = ord(joint)
    return strings(source.offsets, data.tobytes(), text)


def _duration_text(values: pa.Array) -> pa.Array:
    ticks = values.view(pa.int64())
    size = pc.abs(ticks)
    seconds = pc.divide(size, _SECOND)
    fraction = pc.subtract(size, pc.multiply(seconds, _SECOND))
    minutes = pc.divide(seconds, 60)
    hours = pc.divide(minutes, 60)
    parts = [
        pc.if_else(pc.less(ticks, 0), "-", ""),
        _padded(hours, 2),
        ":",
        _padded(pc.subtract(minutes, pc.multiply(hours, 60)), 2),
        ":",
        _padded(pc.subtract(seconds, pc.multiply(minutes, 60)), 2),
    ]
    whole = pc.binary_join_element_wise(*parts, "")
    fine = pc.binary_join_element_wise(whole, ".", _padded(fraction, 6), "")
    return pc.if_else(pc.equal(fraction, 0), whole, fine)


def _padded(values: pa.Array, width: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(values, pa.string()), width, "0")


def _clock_text(values: pa.Array) -> pa.Array:
    return _without_zero_fraction(values, pa.time32("s"))


_OWN_WORDS = (
    (pa.types.is_floating, _float_text),
    (pa.types.is_timestamp, moment_text),
    (pa.types.is_time64, _clock_text),
    (pa.types.is_duration, _duration_text),
)
"""What Arrow's own text of a type is not enough for."""
