"""Numbers as people write them: decimal point or comma, thousands grouped by any sign."""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa

from syntheflow_server.ingest.kinds import Kind, seen

INTEGER_PATTERN = r"-?(?:0|[1-9][0-9]*)"
INTEGER = Kind(pa.int64(), INTEGER_PATTERN, "try_cast({v} AS BIGINT)")
# Data frames write whole numbers with gaps as 1.0, 2.0: they were integers.
WHOLE = Kind(
    pa.int64(),
    r"-?(?:0|[1-9][0-9]*)\.0",
    "try_cast(split_part({v}, '.', 1) AS BIGINT)",
    note="whole numbers with .0 and gaps read as integers",
    needs_missing=True,
    reads=(("decimal", "."),),
)
FLOAT = Kind(
    pa.float64(),
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity)",
    "try_cast({v} AS DOUBLE)",
    # 1.234 alone might be a grouped thousand: it tells nothing of other columns.
    evidence=seen(r"-?[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})|-?0\.[0-9]+|-?[0-9]{4,}\.[0-9]+"),
    family="decimal point",
    required=False,
    reads=(("decimal", "."),),
)
COMMA = Kind(
    pa.float64(),
    r"-?(?:0|[1-9][0-9]*)(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?",
    "try_cast(replace({v}, ',', '.') AS DOUBLE)",
    note="decimal comma",
    # 1,234 alone might be a grouped thousand.
    evidence=seen(r"-?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|-?0,[0-9]+|-?[0-9]{4,},[0-9]+"),
    family="decimal comma",
    reads=(("decimal", ","),),
)
# Money has no three decimals, so a sign before three digits groups thousands.
_MONEY = r"-?(?:0|[1-9][0-9]*)(?:{d}(?:[0-9]{{1,2}}|[0-9]{{4,}}))?"

_SIGNS = {
    ",": ("comma", ","),
    ".": ("point", "."),
    " ": ("blank", " "),
    "\u00a0": ("narrow blank", "\u00a0\u202f\u2009"),
    "'": ("apostrophe", "'\u2019"),
}
_FAMILIES = {".": "decimal point", ",": "decimal comma"}


def group_signs(group: str) -> str:
    """Return all signs that a setting of `thousands` stands for."""
    return _SIGNS.get(group, ("", group))[1]


def _grouped(group: str, decimal: str, *, sure: bool) -> list[Kind]:
    """Return the kinds of integers and floats whose thousands are grouped by a sign."""
    word, signs = _SIGNS.get(group, (repr(group), group))
    g, d = f"[{re.escape(signs)}]", re.escape(decimal)
    whole = rf"-?[1-9][0-9]{{0,2}}(?:{g}[0-9]{{3}})*|-?0"
    floats = rf"-?(?:[1-9][0-9]{{0,2}}(?:{g}[0-9]{{3}})*|0)(?:{d}[0-9]+)?"
    evident = rf"-?[0-9]{{1,3}}(?:{g}[0-9]{{3}}){{2,}}|-?[0-9]{{1,3}}(?:{g}[0-9]{{3}})+{d}[0-9]+"
    ungrouped = "{v}"
    for sign in signs:
        ungrouped = f"replace({ungrouped}, '{sign.replace(chr(39), chr(39) * 2)}', '')"
    pointed = f"replace({ungrouped}, '{decimal}', '.')" if decimal != "." else ungrouped
    note = f"thousands grouped by {word}"
    if group not in {",", ".", " "}:
        # Other signs than these stand in no other number: to see one is enough.
        evident = rf"-?[0-9]{{1,3}}(?:{g}[0-9]{{3}})+(?:{d}[0-9]+)?"
    evidence = seen(evident)
    family = _FAMILIES.get(decimal, "") if group in {",", "."} else ""
    thousands = ("thousands", group)
    return [
        Kind(
            pa.int64(), whole, f"try_cast({ungrouped} AS BIGINT)", note,
            evidence=evidence, family=family, required=not sure, reads=(thousands,),
        ),
        Kind(
            pa.float64(), floats, f"try_cast({pointed} AS DOUBLE)",
            note + (", decimal comma" if decimal == "," else ""),
            evidence=evidence, family=family, required=not sure,
            reads=(thousands, ("decimal", decimal)),
        ),
    ]  # fmt: skip


def _plain(decimal: str) -> list[Kind]:
    """Return the kinds of floats with a decimal sign that is said."""
    if decimal == ".":
        return [WHOLE, FLOAT]
    sign = re.escape(decimal)
    return [
        Kind(
            pa.float64(),
            rf"-?(?:0|[1-9][0-9]*)(?:{sign}[0-9]+)?(?:[eE][+-]?[0-9]+)?",
            f"try_cast(replace({{v}}, '{decimal.replace(chr(39), chr(39) * 2)}', '.') AS DOUBLE)",
            note="decimal comma" if decimal == "," else f"decimal sign {decimal!r}",
            reads=(("decimal", decimal),),
        )
    ]


def number_kinds(decimal: str | None = None, thousands: str | None = None) -> list[Kind]:
    """Return the kinds of numbers; signs that are said need no evidence.

    `thousands` "" means that nothing is grouped.
    """
    plain = [WHOLE, FLOAT, COMMA] if decimal is None else _plain(decimal)
    if decimal is None and thousands in {".", ","}:
        plain = _plain("," if thousands == "." else ".")
    groups = [thousands] if thousands is not None else list(_SIGNS)
    points = [decimal] if decimal is not None else [".", ","]
    sure = decimal is not None or thousands is not None
    kinds = [
        kind
        for group in groups
        for point in points
        if group and group != point
        for kind in _grouped(group, point, sure=sure)
    ]
    return [INTEGER, *plain, *kinds]


def money_kinds(kinds: list[Kind]) -> list[Kind]:
    """Return number kinds as they are read beside a currency sign."""
    made = []
    for kind in kinds:
        signs = dict(kind.reads)
        if "thousands" not in signs and "decimal" in signs and kind is not WHOLE:
            pattern = _MONEY.format(d=re.escape(signs["decimal"]))
            made.append(replace(kind, pattern=pattern, required=False))
        else:
            made.append(replace(kind, required=False))
    return made


NUMBERS = number_kinds()
