"""Columns as cells: the text of each value in so many bytes as the longest takes.

What a text leaves of its cell is zero bytes, in front or behind; `lines` puts the cells of
a row side by side and takes the zeros out of all rows in one go. Numbers, days and times
come from tables of ready texts, so a cell costs about as much as a copy of it.

The texts are those of `value_text`, to the byte. What does not fit a table is cast there.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.string_bytes import StringBytes, raw
from syntheflow_server.export.value_text import plain_text

Field: TypeAlias = npt.NDArray[Any]
"""A part of each row's text: a fixed number of bytes a row, zeros among them left out."""
Part: TypeAlias = bytes | Field | pa.Array
"""A text for all rows, a field, or (texts too uneven for a field) a string array."""

_GROUP = 10_000
_SECOND, _DAY_SECONDS = 1_000_000, 86_400
# Days that are in the table: 1900-01-01 to 2100-01-01.
_FIRST_DAY, _LAST_DAY = -25_567, 47_482
_DIGITS = 4
_SAMPLE = 256
# Below, the shortest text of a float has no exponent, and 15 digits are enough for it.
_PLAIN_FLOAT = 1e10
# A cell may be this wide whatever the texts are, beyond that only if most of it is used.
_NARROW, _WIDEST = 48, 2048


def cells(values: pa.Array) -> list[Part]:
    """Return the texts of a column as parts of its rows, nothing where a value is missing."""
    there = np.asarray(values.is_valid()) if values.null_count else None
    kind = values.type
    if pa.types.is_boolean(kind):
        return [_truths(values)]
    for test, made in _KINDS:
        if test(kind) and (found := made(values, there)) is not None:
            return found
    return [text_cells(plain_text(values))]


def text_cells(text: pa.Array) -> Field | pa.Array:
    """Return texts as cells; as they are if they hold zero bytes or their lengths differ much."""
    source = StringBytes(text)
    lengths = np.diff(source.offsets)
    if text.null_count:
        lengths = np.where(np.asarray(text.is_valid()), lengths, 0)
    width = -(-int(lengths.max(initial=0)) // 8) * 8
    if width > _NARROW and (width > _WIDEST or width * len(text) > 2 * len(source.data)):
        return text
    if not width:
        return np.zeros(len(text), "V1")
    if b"\0" in source.data:
        return text
    windows: Field = np.ndarray(
        (len(source.data) + 1,), f"V{width}", source.data + bytes(width), strides=(1,)
    )
    found = windows[source.offsets[:-1]]
    bits = found.view(np.uint64)
    bits &= _kept(width)[lengths].view(np.uint64)
    return found


def marks(rows: npt.NDArray[np.bool_], mark: bytes) -> Field:
    """Return the field that holds `mark` where `rows` is true, else nothing."""
    return np.array([bytes(len(mark)), mark], f"S{len(mark)}").take(rows.view(np.int8))


@cache
def _kept(width: int) -> Field:
    """Return for each length of a text in a cell of `width` bytes the mask that keeps it."""
    table = np.tri(width + 1, width, -1, dtype=np.uint8) * np.uint8(255)
    return table.view(f"V{width}").ravel()


def _truths(values: pa.Array) -> Field:
    codes = np.asarray(pc.cast(values, pa.int8()).fill_null(2))
    return np.array([b"false", b"true", b""], "S5").take(codes)


def _blank(field: Field, there: npt.NDArray[np.bool_] | None) -> Field:
    """Return the field with nothing where values are missing."""
    if there is not None:
        field[~there] = np.zeros(1, field.dtype)[0]
    return field


@cache
def _groups(last: bool) -> npt.NDArray[np.uint32]:  # noqa: FBT001 - a key of the cache
    """Return the texts of 0..9999 without leading zeros, then of 10000..19999 with them.

    0 is nothing in the first half, unless the group is a number's last.
    """
    texts = pc.cast(pa.array(np.arange(_GROUP, 2 * _GROUP)), pa.string())
    digits = np.frombuffer(StringBytes(texts).data, np.uint8).reshape(_GROUP, 5)[:, 1:]
    leading = np.logical_and.accumulate(digits == ord("0"), axis=1)
    short = np.where(leading, np.uint8(0), digits)
    if last:
        short[0, -1] = ord("0")
    return np.concatenate([short, digits]).view(np.uint32).ravel()


def _digits(sizes: npt.NDArray[np.uint64]) -> list[Field]:
    """Return the digits of whole numbers, four a field."""
    fields: list[Field] = []
    most = int(sizes.max(initial=0))
    rest = sizes.astype(np.uint32) if most < 2**32 else sizes
    while True:
        higher = rest // rest.dtype.type(_GROUP)
        at = rest - (higher - (higher > 0)) * rest.dtype.type(_GROUP)
        fields.append(_groups(last=not fields).take(at, mode="clip"))
        most //= _GROUP
        if not most:
            return fields[::-1]
        rest = higher


def _whole(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part]:
    return _signed(raw(values, np.int64), there)


def _signed(numbers: npt.NDArray[np.int64], there: npt.NDArray[np.bool_] | None) -> list[Part]:
    if there is not None:
        numbers = np.where(there, numbers, 0)
    parts: list[Part] = []
    if numbers.min(initial=0) < 0:
        parts.append(marks(numbers < 0, b"-"))
    parts += [_blank(field, there) for field in _digits(np.abs(numbers).view(np.uint64))]
    return parts


@cache
def _fractions(digits: int, short: bool) -> Field:  # noqa: FBT001 - a key of the cache
    """Return the texts of all fractions of so many digits, their point in front.

    If `short`, without zeros at the end but for the one behind the point.
    """
    texts = [f".{n:0{digits}d}" for n in range(10**digits)]
    if short:
        texts = [text[:2] + text[2:].rstrip("0") for text in texts]
    return np.array([text.encode() for text in texts], f"S{digits + 1}")


def _floats(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part] | None:
    """Return the texts of floats that have few digits behind the point, None of others."""
    numbers = raw(values, np.float64)
    if there is not None:
        numbers = np.where(there, numbers, 0.0)
    if not (np.abs(numbers) < _PLAIN_FLOAT).all():
        return None
    some = numbers[:: max(1, len(numbers) // _SAMPLE)]
    for digits in range(1, _DIGITS + 1):
        scale = 10.0**digits
        if not (np.rint(some * scale) / scale == some).all():
            continue
        scaled = np.rint(numbers * scale)
        if (scaled / scale == numbers).all():
            sizes = np.abs(scaled).astype(np.int64)
            return _pointed(np.signbit(numbers), sizes, digits, there, short=True)
    return None


def _decimals(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part] | None:
    """Return the texts of decimals that fit eight bytes, None of others."""
    digits = values.type.scale
    if values.type.precision > 18 or not 0 <= digits <= _DIGITS:
        return None
    buffer = values.buffers()[1]
    halves = np.frombuffer(buffer, np.int64)[2 * values.offset : 2 * (values.offset + len(values))]
    numbers = halves[::2]
    if there is not None:
        numbers = np.where(there, numbers, 0)
    if not digits:
        return _signed(numbers, there)
    return _pointed(numbers < 0, np.abs(numbers), digits, there, short=False)


def _pointed(
    negative: npt.NDArray[np.bool_],
    sizes: npt.NDArray[np.int64],
    digits: int,
    there: npt.NDArray[np.bool_] | None,
    *,
    short: bool,
) -> list[Part]:
    scale = 10**digits
    whole = sizes // scale
    fractions = _fractions(digits, short).take(sizes - whole * scale, mode="clip")
    parts: list[Part] = [marks(negative, b"-")] if negative.any() else []
    parts += [_blank(field, there) for field in _digits(whole.view(np.uint64))]
    return [*parts, _blank(fractions, there)]


@cache
def _day_texts() -> Field:
    days = pa.array(np.arange(_FIRST_DAY, _LAST_DAY, dtype=np.int32)).view(pa.date32())
    return _table(pc.cast(days, pa.string()), 10)


@cache
def _clock_texts() -> Field:
    seconds = pa.array(np.arange(_DAY_SECONDS, dtype=np.int32)).view(pa.time32("s"))
    return _table(pc.cast(seconds, pa.string()), 8)


def _table(texts: pa.Array, width: int) -> Field:
    return np.frombuffer(StringBytes(texts).data, f"S{width}")


def _day_field(days: npt.NDArray[Any], there: npt.NDArray[np.bool_] | None) -> Field | None:
    if there is not None:
        days = np.where(there, days, 0)
    if not len(days) or days.min() < _FIRST_DAY or days.max() >= _LAST_DAY:
        return None
    return _blank(_day_texts().take(days - _FIRST_DAY, mode="clip"), there)


def _days(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part] | None:
    days = np.frombuffer(values.buffers()[1], np.int32)
    field = _day_field(days[values.offset : values.offset + len(values)], there)
    return None if field is None else [field]


def _moments(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part] | None:
    ticks = raw(values, np.int64)
    days = ticks // (_SECOND * _DAY_SECONDS)
    field = _day_field(days, there)
    if field is None:
        return None
    zone: list[Part] = [_constant(b"Z", there)] if values.type.tz is not None else []
    rest = ticks - days * (_SECOND * _DAY_SECONDS)
    return [field, _constant(b"T", there), *_clock(rest, there), *zone]


def _times(values: pa.Array, there: npt.NDArray[np.bool_] | None) -> list[Part]:
    return _clock(raw(values, np.int64), there)


def _clock(ticks: npt.NDArray[np.int64], there: npt.NDArray[np.bool_] | None) -> list[Part]:
    """Return microseconds of the day as hours, minutes, seconds and the fraction that is there."""
    if there is not None:
        ticks = np.where(there, ticks, 0)
    seconds = ticks // _SECOND
    parts: list[Part] = [_blank(_clock_texts().take(seconds, mode="clip"), there)]
    fine = ticks - seconds * _SECOND
    if fine.any():
        high, none = fine // 1000, fine == 0
        first, second = _fractions(3, short=False), _fractions(3, short=False).view("V1")
        parts.append(_blank(first.take(high), ~none))
        rest = second.reshape(-1, 4)[:, 1:].copy().view("V3").ravel().take(fine - high * 1000)
        parts.append(_blank(rest, ~none))
    return parts


def _constant(text: bytes, there: npt.NDArray[np.bool_] | None) -> Part:
    return text if there is None else marks(there, text)


_KINDS = (
    (pa.types.is_integer, _whole),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_date, _days),
    (pa.types.is_timestamp, _moments),
    (pa.types.is_time, _times),
)
