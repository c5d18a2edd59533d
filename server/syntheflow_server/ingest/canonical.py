"""The few Arrow types that are stored, and how every other type becomes one of them."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.ingest.tables import bad_file

_WIDE_UNSIGNED = pa.decimal128(20, 0)
_INT64_MAX = (1 << 63) - 1
_MOST_DIGITS = 38

_SAME: list[tuple[Callable[[pa.DataType], bool], pa.DataType]] = [
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float64()),
    (pa.types.is_boolean, pa.bool_()),
    (pa.types.is_string, pa.string()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_time, pa.time64("us")),
    (pa.types.is_duration, pa.duration("us")),
    (pa.types.is_null, pa.string()),
]


def stored_type(kind: pa.DataType, *, table: str, column: str) -> pa.DataType:
    """Return the stored type for values of `kind`.

    Raises InvalidArgumentError for types that hold no single plain value.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return stored_type(kind.storage_type, table=table, column=column)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored_type(kind.value_type, table=table, column=column)
    for fits, stored in _SAME:
        if fits(kind):
            return stored
    if pa.types.is_timestamp(kind):
        return _checked_zone(pa.timestamp("us", tz=kind.tz), table=table, column=column)
    if pa.types.is_decimal(kind):
        # Digits before the point that are always zero (a negative scale), or none before it.
        scale = max(kind.scale, 0)
        digits = max(kind.precision - min(kind.scale, 0), scale)
        if digits <= _MOST_DIGITS:
            return pa.decimal128(digits, scale)
        problem = "decimals of more than 38 digits are not supported; store fewer digits or text"
    elif pa.types.is_nested(kind):
        problem = f"nested values ({_family(kind)}) are not supported; spread them over columns"
    else:
        problem = f"values of type {_family(kind)} are not supported; store text or numbers"
    raise bad_file(table, problem, column=column, reason="TYPE_UNSUPPORTED")


def to_stored(values: pa.Array, stored: pa.DataType, *, table: str, column: str) -> pa.Array:
    """Return `values` cast to `stored`; sub-microseconds are cut off.

    Raises InvalidArgumentError if a value does not fit (a moment beyond the range of
    microseconds, text that is not UTF-8).
    """
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    try:
        values.validate(full=True)
        return pc.cast(values, stored, safe=not _is_nano(values.type))
    except pa.ArrowInvalid as error:
        problem = f"a value is damaged or does not fit the stored type {stored}"
        raise bad_file(table, problem, column=column, reason="VALUE_INVALID") from error


def finding(kind: pa.DataType, stored: pa.DataType, column: str) -> str | None:
    """Say in plain words that the type changed meaning, or None if nothing is lost."""
    if _is_nano(kind):
        return f"column {column!r}: nanoseconds cut to microseconds"
    if pa.types.is_unsigned_integer(kind) and stored == _WIDE_UNSIGNED:
        return f"column {column!r}: integers beyond 64 bits with sign, stored as decimals"
    return None


def unsigned_type(largest: int | None) -> pa.DataType:
    """Return the stored type for unsigned 64-bit integers up to `largest`."""
    return _WIDE_UNSIGNED if largest is not None and largest > _INT64_MAX else pa.int64()


def _is_nano(kind: pa.DataType) -> bool:
    timed = pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind)
    return bool(timed and kind.unit == "ns")


def _checked_zone(kind: pa.DataType, *, table: str, column: str) -> pa.DataType:
    try:
        return arrow_type(str(kind))
    except ValueError as error:
        problem = "the time zone's name is not understood"
        raise bad_file(table, problem, column=column, reason="TYPE_UNSUPPORTED") from error


def _family(kind: pa.DataType) -> str:
    return str(kind).split("<", maxsplit=1)[0].split("[", maxsplit=1)[0]
