"""Columns as text, for the formats that are text: vectorised, one string a value.

Dates and moments follow ISO 8601 (moments with a zone are written in UTC, ending in Z);
fractions of a second stand only where they are not zero. Durations are
[-]HH:MM:SS[.ffffff] with as many hours as it takes. Decimals keep all their digits;
floats are the shortest text that reads back as the same number and always look like
floats (`1.0`, `1e+20`).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_SECOND = 1_000_000


def plain_text(values: pa.Array) -> pa.Array:
    """Return `values`, of any stored type, as strings; nulls stay null."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_floating(kind):
        return _float_text(values)
    if pa.types.is_timestamp(kind):
        return moment_text(values)
    if pa.types.is_time64(kind):
        return _without_zero_fraction(values, pa.time32("s"))
    if pa.types.is_duration(kind):
        return _duration_text(values)
    return pc.cast(values, pa.string())


def _float_text(values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    # Arrow writes 1.0 as 1; from 1e10 on it writes whole numbers with an exponent.
    whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 1e10))
    if not pc.any(whole).as_py():
        return text
    return pc.if_else(whole, pc.binary_join_element_wise(text, ".0", ""), text)


def _without_zero_fraction(values: pa.Array, seconds: pa.DataType) -> pa.Array:
    fine = pc.cast(values, pa.string())
    whole = pc.equal(_fraction(values), 0)
    if not pc.any(whole).as_py():
        return fine
    return pc.if_else(whole, pc.cast(pc.cast(values, seconds, safe=False), pa.string()), fine)


def _fraction(values: pa.Array) -> pa.Array:
    """Return the microseconds within the second, 0 <= x < 10^6, also before 1970."""
    ticks = values.view(pa.int64())
    rest = pc.subtract(ticks, pc.multiply(pc.divide(ticks, _SECOND), _SECOND))
    return pc.if_else(pc.less(rest, 0), pc.add(rest, _SECOND), rest)


def moment_text(values: pa.Array, joint: str = "T", zone: str = "Z") -> pa.Array:
    """Return moments as text: `joint` before the time, `zone` behind those with a zone."""
    zoned = values.type.tz is not None
    plain = values.view(pa.int64()).view(pa.timestamp("us"))
    text = _without_zero_fraction(plain, pa.timestamp("s"))
    if joint != " ":
        text = pc.replace_substring(text, " ", joint, max_replacements=1)
    return pc.binary_join_element_wise(text, zone, "") if zoned and zone else text


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
