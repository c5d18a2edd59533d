"""Values of cells as people write them: `30`, `2024-03-01`, `'New York'`, by a column's type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from syntheflow.errors import SyntheflowError
from syntheflow.values import Column, Scalar

MISSING = "<missing>"
"""How the missing value is written where a value can stand."""
_QUOTES = "'\""
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_DECIMAL = re.compile(r"decimal128\(\d+, ?(-?\d+)\)")
_MICROSECOND = timedelta(microseconds=1)


def unfit(message: str) -> SyntheflowError:
    """Return the error for a wish that cannot be understood."""
    return SyntheflowError(message, code="INVALID_ARGUMENT", reason="CONDITION_INVALID")


def split_list(text: str, what: str) -> list[str]:
    """Return the items of `A, 'B, C'`; quotes stay, so that a quoted item can be told."""
    items, start, quote = [], 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES and not text[start:at].strip():
            quote = char
        elif char == ",":
            items.append(text[start:at].strip())
            start = at + 1
    if quote:
        raise unfit(f"{what}: the quote {quote} is not closed")
    return [*items, text[start:].strip()]


def scalar(text: str, column: Column, what: str) -> Scalar:
    """Return the value that `text` writes, of the column's type; None for `<missing>`.

    Dates, times and decimals stay text, checked. SyntheflowError beginning with `what`.
    """
    if text == MISSING:
        return None
    quoted = len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]
    word = text[1:-1] if quoted else text
    if not word and not quoted:
        raise unfit(f"{what}: a value is needed; write '' for the empty text, {MISSING} for none")
    if column.type == "string":
        return word
    try:
        return _typed(word.strip(), column.type)
    except (ValueError, KeyError, InvalidOperation):
        raise unfit(f"{what}: {word!r} is no {column.type}, as column {column.name} has") from None


def _typed(word: str, kind: str) -> Scalar:
    if kind == "int64":
        return int(word)
    if kind == "float64":
        number = float(word)
        if not math.isfinite(number):
            raise ValueError(word)
        return number
    if kind == "bool":
        return _TRUTHS[word.lower()]
    if _DECIMAL.fullmatch(kind):
        if not Decimal(word).is_finite():
            raise ValueError(word)
        return word
    reader = _moment_reader(kind)
    return word if reader is None else reader(word).isoformat()


def _moment_reader(kind: str) -> Callable[[str], date | datetime | time] | None:
    if kind == "date32":
        return date.fromisoformat
    if kind.startswith("timestamp"):
        return datetime.fromisoformat
    return time.fromisoformat if kind.startswith("time64") else None


def neighbour(value: Scalar, column: Column, step: int, what: str) -> Scalar:
    """Return the next value above (`step` 1) or below (-1) of the column's type.

    Bounds of the contract are inclusive, so `> 30` of whole numbers is `>= 31`.
    """
    kind = column.type
    if kind == "int64" and isinstance(value, int):
        return value + step
    if kind == "float64" and isinstance(value, (int, float)):
        return math.nextafter(value, step * math.inf)
    try:
        if isinstance(value, str) and (found := _next_text(value, kind, step)):
            return found
    except OverflowError:
        raise unfit(f"{what}: there is no {kind} beyond {value}") from None
    raise unfit(f"{what}: > and < are not defined for {kind}; use >= or <=")


def _next_text(value: str, kind: str, step: int) -> str:
    if match := _DECIMAL.fullmatch(kind):
        return str(Decimal(value) + step * Decimal(1).scaleb(-int(match[1])))
    if kind == "date32":
        return (date.fromisoformat(value) + step * timedelta(days=1)).isoformat()
    if kind.startswith("timestamp"):
        return (datetime.fromisoformat(value) + step * _MICROSECOND).isoformat()
    if kind.startswith("time64"):
        day = datetime.combine(date(2000, 1, 1), time.fromisoformat(value))
        moved = day + step * _MICROSECOND
        if moved.date() != day.date():
            raise OverflowError
        return moved.time().isoformat()
    return ""
