"""How values of a column leave the database and become one of the stored types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

Settle = Callable[[pa.Array], pa.Array]

_DAY = 86_400_000_000
# Databases' calendars begin in 4713 BC; what lies before stands for minus or plus infinity,
# and so does the largest number.
_FIRST_DAY = -2_451_545
_FIRST_MOMENT = _FIRST_DAY * _DAY
EXACT = 1 << 53
"""Up to here floats hold every integer."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """`expression` is read in SQL, arrives as `raw`, and `settle` makes it `stored`.

    Values that `settle` makes missing are counted and told as `lost`.
    """

    name: str
    expression: str
    raw: pa.DataType
    stored: pa.DataType
    settle: Settle
    lost: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that holds no plain value."""

    name: str
    why: str


def cast_to(stored: pa.DataType) -> Settle:
    """Return the plain cast."""
    return lambda values: values if values.type == stored else pc.cast(values, stored)


def text_plan(name: str, expression: str, findings: tuple[str, ...] = ()) -> ColumnPlan:
    """Plan a column whose values arrive as text and stay it."""
    text = pa.string()
    return ColumnPlan(name, expression, text, text, cast_to(text), findings=findings)


def plan_as(name: str, expression: str, raw: pa.DataType, stored: pa.DataType) -> ColumnPlan:
    """Plan a column that only needs a cast."""
    return ColumnPlan(name, expression, raw, stored, cast_to(stored))


def decimal_plan(name: str, expression: str, stored: pa.DataType) -> ColumnPlan:
    """Plan decimals that arrive as text; NaN and infinity are no decimals."""

    def settle(values: pa.Array) -> pa.Array:
        # A finite number ends in a digit, "NaN" and "Infinity" do not.
        texts = values.storage if isinstance(values.type, pa.BaseExtensionType) else values
        texts = texts.cast(pa.string())
        odd = pc.match_substring_regex(texts, "[a-zA-Z]$")
        if pc.any(odd).as_py():
            texts = pc.if_else(odd, pa.scalar(None, pa.string()), texts)
        return pc.cast(texts, stored)

    return ColumnPlan(name, expression, pa.string(), stored, settle, "values that are no number")


def decimal_type(whole: int, scale: int) -> pa.DataType | None:
    """Return the stored type for `whole` digits before and `scale` after the point.

    Integers that fit are integers; None if there are too many digits.
    """
    if scale <= 0 and whole <= 18:
        return pa.int64()
    digits = max(whole + max(scale, 0), 1)
    return pa.decimal128(digits, max(scale, 0)) if digits <= 38 else None


def number_plan(name: str, expression: str, whole: int, scale: int, as_float: str) -> ColumnPlan:
    """Plan decimals by their digits; `as_float` is the expression for those with too many."""
    stored = decimal_type(whole, scale)
    if stored is None:
        told = f"column {name!r}: more than 38 digits, stored as floating point numbers"
        kind = pa.float64()
        return ColumnPlan(name, as_float, kind, kind, cast_to(kind), findings=(told,))
    return decimal_plan(name, expression, stored)


def day_plan(name: str, expression: str) -> ColumnPlan:
    """Plan dates; infinite ones are read as missing."""
    kind = pa.date32()

    def settle(values: pa.Array) -> pa.Array:
        days = values.view(pa.int32())
        odd = pc.or_(pc.less(days, _FIRST_DAY), pc.equal(days, (1 << 31) - 1))
        return pc.if_else(odd, pa.scalar(None, kind), values)

    return ColumnPlan(name, expression, kind, kind, settle, "infinite dates")


def moment_plan(name: str, expression: str, zone: str | None = None) -> ColumnPlan:
    """Plan moments; infinite ones are read as missing."""
    kind = pa.timestamp("us", tz=zone)

    def settle(values: pa.Array) -> pa.Array:
        values = values.cast(kind)
        ticks = values.view(pa.int64())
        odd = pc.or_(pc.less(ticks, _FIRST_MOMENT), pc.equal(ticks, (1 << 63) - 1))
        return pc.if_else(odd, pa.scalar(None, kind), values)

    return ColumnPlan(name, expression, kind, kind, settle, "infinite moments")


def clock_plan(name: str, expression: str, findings: tuple[str, ...] = ()) -> ColumnPlan:
    """Plan times of day; 24:00 is none."""
    kind = pa.time64("us")

    def settle(values: pa.Array) -> pa.Array:
        values = values.cast(kind)
        late = pc.greater_equal(values.view(pa.int64()), _DAY)
        return pc.if_else(late, pa.scalar(None, kind), values)

    return ColumnPlan(name, expression, kind, kind, settle, "times of 24:00", findings)


def duration_plan(name: str, expression: str, findings: tuple[str, ...] = ()) -> ColumnPlan:
    """Plan durations that arrive as whole microseconds."""
    kind = pa.duration("us")
    return ColumnPlan(name, expression, pa.int64(), kind, cast_to(kind), findings=findings)


def left_out(kind: str) -> str:
    """Say why values of a type cannot be taken."""
    return f"values of type {kind} are no plain values"


def clock_of(values: pa.Array) -> pa.Array:
    """Read HH:MM:SS[.ffffff] as times of day."""
    return duration_of(values).view(pa.int64()).cast(pa.time64("us"))


def duration_of(values: pa.Array) -> pa.Array:
    """Read [-]HHH:MM:SS[.ffffff] as durations."""
    parts = pc.extract_regex(values, r"^(?P<sign>-?)(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)\.?(?P<f>\d*)$")

    def number(part: str) -> pa.Array:
        return pc.struct_field(parts, part).cast(pa.int64())

    digits = pc.utf8_rpad(pc.struct_field(parts, "f"), 6, "0").cast(pa.int64())
    seconds = pc.add(
        pc.add(pc.multiply(number("h"), 3_600), pc.multiply(number("m"), 60)), number("s")
    )
    ticks = pc.add(pc.multiply(seconds, 1_000_000), digits)
    negative = pc.equal(pc.struct_field(parts, "sign"), "-")
    return pc.if_else(negative, pc.negate(ticks), ticks).cast(pa.duration("us"))
