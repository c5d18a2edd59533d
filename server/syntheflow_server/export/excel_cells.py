"""Columns of a batch as cells of a worksheet: vectorised, one XML element a value.

What a spreadsheet cannot hold as a number is text: whole numbers and decimals of more
than 15 digits, dates before 1900 or after 9999, negative durations. NaN and infinities
are the error values #NUM! and #DIV/0!. Moments with a zone are UTC, shown with a Z.
Text is only ever text, never a formula; a missing value is no cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import OutOfRangeError, Violation
from syntheflow_server.export.value_text import plain_text

LONGEST_TEXT = 32_767
"""Characters (UTF-16 code units) that a cell holds."""
MOST_COLUMNS = 16_384

GENERAL, HEADER, TEXT, DATE, MOMENT, FINE_MOMENT, ZONED, FINE_ZONED = range(8)
TIME, FINE_TIME, DURATION, FINE_DURATION = range(8, 12)
"""Numbers of the styles, in the order of FORMATS."""
FORMATS: tuple[str, ...] = (
    "General",
    "General",
    "@",
    "yyyy-mm-dd",
    "yyyy-mm-dd hh:mm:ss",
    "yyyy-mm-dd hh:mm:ss.000",
    'yyyy-mm-dd hh:mm:ss"Z"',
    'yyyy-mm-dd hh:mm:ss.000"Z"',
    "hh:mm:ss",
    "hh:mm:ss.000",
    "[hh]:mm:ss",
    "[hh]:mm:ss.000",
)
_WIDTHS = {DATE: 11, MOMENT: 20, ZONED: 21, TIME: 10, DURATION: 12, TEXT: 0, GENERAL: 0}
_WIDEST = 60

_MARKUP = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_NEEDS_CARE = "[\x00-\x08\x0b-\x1f\\x{FFFE}\\x{FFFF}]|_x[0-9A-Fa-f]{4}_"
# Excel writes a character that XML cannot hold as _xHHHH_, and the underscore of what
# looks like such an escape as _x005F_; a bare \r would be read as \n.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_EDGES = r"^[\s]|[\s]$|\n"

_EXACT = 10**15
_DAY = 86_400_000_000
_SECOND = 1_000_000
# Days from 1899-12-30 to 1970-01-01. Excel counts a 29th of February 1900 that never was,
# so that days before the 1st of March 1900 have a number less than this base gives.
_EPOCH = 25_569
_FIRST, _LEAP, _LAST = 2, 61, 2_958_465


@dataclass(frozen=True, slots=True)
class Cells:
    """Some texts of a column and how they stand in XML: before and after each value."""

    before: str
    text: pa.Array
    after: str


def column_letters(index: int) -> str:
    """Return the letters of the column at `index` (0: A, 26: AA)."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def width_of(name: str, values: pa.Array) -> int:
    """Return a width, in characters, that shows the header and these values."""
    kind = values.type
    fixed = _WIDTHS.get(_style(kind), 0)
    if not fixed and len(values):
        fixed = pc.max(pc.utf8_length(plain_text(values))).as_py() or 0
    return int(min(max(fixed + 1, len(name) + 2, 8), _WIDEST))


def escaped(text: str) -> str:
    """Return a text as it stands in XML, with Excel's escapes of what XML cannot hold."""
    text = _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    for sign, word in _MARKUP:
        text = text.replace(sign, word)
    return text


def cells_of(values: pa.Array) -> list[Cells]:
    """Return the column's cells: each value that is not missing is in exactly one of them.

    Where there are several, each has the length of `values` and nulls for what others
    hold. Texts must have passed `check_lengths`.
    """
    kind = values.type
    if pa.types.is_string(kind):
        return [_texts(values)]
    if pa.types.is_boolean(kind):
        truth = pc.cast(pc.cast(values, pa.int8()), pa.string())
        return [Cells('" t="b"><v>', truth, "</v></c>")]
    if pa.types.is_floating(kind):
        return _floats(values)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _exact(values)
    return _moments(values)


def check_lengths(values: pa.Array, table: str, column: str, first_row: int) -> None:
    """Raise OutOfRangeError CELL_TOO_LARGE if a text is longer than a cell; rows count from 1."""
    if not pa.types.is_string(values.type):
        return
    long = pc.fill_null(pc.greater(pc.binary_length(values), LONGEST_TEXT), fill_value=False)
    if not pc.any(long).as_py():
        return
    for row in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
        if len(values[row].as_py().encode("utf-16-le")) // 2 > LONGEST_TEXT:
            where = first_row + row + 1
            rule = f"an Excel cell holds at most {LONGEST_TEXT} characters"
            fault = Violation(field="format", rule=rule, table=table, column=column, row=where)
            raise OutOfRangeError(
                f"table {table!r}, column {column!r}, row {where}: {rule}; "
                "write this dataset in another format",
                reason="CELL_TOO_LARGE",
                violations=(fault,),
            )


def _style(kind: pa.DataType) -> int:
    if pa.types.is_timestamp(kind):
        return MOMENT if kind.tz is None else ZONED
    words = {pa.string(): TEXT, pa.date32(): DATE, pa.time64("us"): TIME}
    return DURATION if pa.types.is_duration(kind) else words.get(kind, GENERAL)


def _numbers(text: pa.Array, style: int = GENERAL) -> Cells:
    lead = f'" s="{style}"><v>' if style else '"><v>'
    return Cells(lead, text, "</v></c>")


def _texts(values: pa.Array) -> Cells:
    text = values
    if _any(pc.match_substring_regex(text, _NEEDS_CARE)):
        mask = pc.fill_null(pc.match_substring_regex(text, _NEEDS_CARE), fill_value=False)
        changed = [
            _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", value)
            for value in text.filter(mask).to_pylist()
        ]
        text = pc.replace_with_mask(text, mask, pa.array(changed, pa.string()))
    if _any(pc.match_substring_regex(text, "[&<>]")):
        for sign, word in _MARKUP:
            text = pc.replace_substring(text, sign, word)
    kept = ' xml:space="preserve"' if _any(pc.match_substring_regex(text, _EDGES)) else ""
    return Cells(f'" s="{TEXT}" t="inlineStr"><is><t{kept}>', text, "</t></is></c>")


def _floats(values: pa.Array) -> list[Cells]:
    finite = pc.is_finite(values)
    text = pc.cast(values, pa.string())
    if not _any(pc.invert(finite)):
        return [_numbers(text)]
    error = pc.if_else(pc.is_nan(values), "#NUM!", "#DIV/0!")
    return [
        _numbers(_where(finite, text)),
        Cells('" t="e"><v>', _where(pc.invert(finite), error), "</v></c>"),
    ]


def _exact(values: pa.Array) -> list[Cells]:
    kind = values.type
    text = pc.cast(values, pa.string())
    if pa.types.is_decimal(kind):
        if kind.precision <= 15:
            return [_numbers(text)]
        digits = pc.utf8_length(pc.replace_substring_regex(text, r"^-?0\.0*|[.-]|E.*$", ""))
        fits = pc.less_equal(digits, 15)
    else:
        fits = pc.and_(pc.less(values, _EXACT), pc.greater(values, -_EXACT))
    return _split(text, fits, text, GENERAL)


def _split(text: pa.Array, fits: pa.Array, other: pa.Array, style: int) -> list[Cells]:
    """Return numbers where they fit, `other` as text where not."""
    if not _any(pc.invert(fits)):
        return [_numbers(text, style)]
    return [_numbers(_where(fits, text), style), _texts(_where(pc.invert(fits), other))]


def _moments(values: pa.Array) -> list[Cells]:
    """Cells of dates, moments, times and durations: days, and parts of a day."""
    style = _style(values.type)
    if style == DATE:
        days = pc.add(pc.cast(values.view(pa.int32()), pa.int64()), _EPOCH)
        serial = pc.if_else(pc.less(days, _LEAP), pc.subtract(days, 1), days)
        fits = pc.and_(pc.greater_equal(days, _FIRST), pc.less_equal(days, _LAST))
        text = pc.cast(serial, pa.string())
        return _split(text, fits, _iso(values, fits), style)
    ticks = values.view(pa.int64())
    if style in {MOMENT, ZONED}:
        shifted = pc.add(ticks, _EPOCH * _DAY)
        early = pc.less(shifted, _LEAP * _DAY)
        inside = pc.less(shifted, (_LAST + 1) * _DAY)
        fits = pc.and_(pc.greater_equal(shifted, _FIRST * _DAY), inside)
        ticks = pc.if_else(early, pc.subtract(shifted, _DAY), shifted)
    else:
        fits = pc.greater_equal(ticks, 0)
    text = pc.cast(pc.divide(pc.cast(ticks, pa.float64(), safe=False), float(_DAY)), pa.string())
    parts = _split(text, fits, _iso(values, fits), style)
    fine = pc.not_equal(ticks, pc.multiply(pc.divide(ticks, _SECOND), _SECOND))
    if not _any(fine):
        return parts
    numbers = parts[0].text
    return [
        _numbers(_where(pc.invert(fine), numbers), style),
        _numbers(_where(fine, numbers), style + 1),
        *parts[1:],
    ]


def _iso(values: pa.Array, fits: pa.Array) -> pa.Array:
    """Return the text of what does not fit; nothing is worked out where all fits."""
    if not _any(pc.invert(fits)):
        return pa.nulls(len(values), pa.string())
    return plain_text(_where(pc.invert(fits), values))


def _where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask).as_py())
