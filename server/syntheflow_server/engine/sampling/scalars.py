"""Values of conditions as values of their column's type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.sampling.spec import Scalar

_HOURS = re.compile(r"(-?)(\d+):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
_ISO = re.compile(
    r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?", re.IGNORECASE
)
_MEANING = {
    "int64": "a whole number",
    "double": "a number",
    "bool": "true or false",
    "string": "text",
    "date32[day]": "a date such as 2024-05-31",
    "time64[us]": "a time such as 13:45:00",
    "duration[us]": "a duration such as 26:15:00 or PT26H15M, or a number of seconds",
}


def array_of(values: Sequence[Scalar], kind: pa.DataType) -> pa.Array:
    """Return `values` as an array of `kind`; ValueError says what they should be."""
    return pa.concat_arrays([_value(value, kind) for value in values])


def _value(value: Scalar, kind: pa.DataType) -> pa.Array:
    if value is None:
        return pa.nulls(1, kind)
    try:
        return pa.array([_parsed(value, kind)], kind)
    except (ValueError, TypeError, OverflowError, InvalidOperation, pa.ArrowException):
        meaning = _MEANING.get(str(kind), "")
        if pa.types.is_timestamp(kind):
            meaning = "a moment such as 2024-05-31T13:45:00"
        if pa.types.is_decimal(kind):
            meaning = f"a decimal number with at most {kind.scale} decimals"
        raise ValueError(f"a value must be {meaning}") from None


def _parsed(value: str | float | bool, kind: pa.DataType) -> object:  # noqa: FBT001 - a value
    text = str(value).strip()
    found: object
    if pa.types.is_boolean(kind):
        found = {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
    elif isinstance(value, bool):
        found = None
    elif pa.types.is_string(kind):
        found = str(value)
    elif pa.types.is_int64(kind):
        number = Decimal(text)
        found = int(number) if number == number.to_integral_value() else None
    elif pa.types.is_floating(kind):
        found = float(value) if abs(float(value)) < float("inf") else None
    elif pa.types.is_decimal(kind):
        found = pa.scalar(Decimal(text), kind).as_py()
    else:
        found = _temporal(text, kind)
    if found is None:
        raise ValueError
    return found


def _temporal(text: str, kind: pa.DataType) -> object:
    if pa.types.is_duration(kind):
        return _duration(text)
    if pa.types.is_timestamp(kind):
        return _moment(text, kind)
    return time.fromisoformat(text) if pa.types.is_time(kind) else date.fromisoformat(text)


def _moment(text: str, kind: pa.DataType) -> pa.Scalar:
    if kind.tz is not None:
        try:
            return pa.scalar(text).cast(kind)
        except pa.ArrowInvalid:
            # Without a zone of its own the text is read on the column's clock.
            naive = pa.scalar(text).cast(pa.timestamp("us"))
            return pc.assume_timezone(naive, kind.tz, ambiguous="earliest", nonexistent="latest")
    try:
        return pa.scalar(text).cast(kind)
    except pa.ArrowInvalid:
        return pa.scalar(text).cast(pa.timestamp("us", tz="UTC")).cast(kind)


def _duration(text: str) -> pa.Scalar:
    """Return a text, or a number of seconds, as a duration."""
    if found := _HOURS.fullmatch(text):
        sign, hours, minutes, seconds, fine = found.groups()
        days = "0"
    elif (found := _ISO.fullmatch(text)) and text.upper().rstrip("T") not in {"P", "-P"}:
        sign, days, hours, minutes, seconds, fine = found.groups()
    else:
        return pa.scalar(int(Decimal(text) * 1_000_000), pa.int64()).cast(pa.duration("us"))
    total = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60
    ticks = (total + int(seconds or 0)) * 1_000_000 + int((fine or "0").ljust(6, "0"))
    return pa.scalar(-ticks if sign else ticks, pa.int64()).cast(pa.duration("us"))
