"""What a text may mean: numbers, truth values, days, moments, times.

A `Kind` says which texts fit (a regular expression that Python and RE2 read alike), how
DuckDB turns a fitting text `{v}` into its value, and what makes the reading evident where
the same texts could mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to read a column of texts; `note` goes into the findings.

    `evidence` is an SQL aggregate over `{v}` that must be true for an ambiguous reading,
    unless another column of the file with the same `family` is evident.
    """

    arrow: pa.DataType
    pattern: str
    value: str
    note: str = ""
    evidence: str = ""
    family: str = ""
    needs_missing: bool = False


def matched(pattern: str) -> str:
    """Return SQL that is true where the whole of `{v}` matches."""
    return "regexp_full_match({v}, '" + pattern.replace("'", "''") + "')"


def _seen(pattern: str) -> str:
    return f"count(*) FILTER ({matched(pattern)}) > 0"


BOOLEAN = Kind(pa.bool_(), "(?i:true|false)", "lower({v}) = 'true'")
INTEGER_PATTERN = r"-?(?:0|[1-9][0-9]*)"
INTEGER = Kind(pa.int64(), INTEGER_PATTERN, "try_cast({v} AS BIGINT)")
# Data frames write whole numbers with gaps as 1.0, 2.0: they were integers.
WHOLE = Kind(
    pa.int64(),
    r"-?(?:0|[1-9][0-9]*)\.0",
    "try_cast(split_part({v}, '.', 1) AS BIGINT)",
    note="whole numbers with .0 and gaps read as integers",
    needs_missing=True,
)
FLOAT = Kind(
    pa.float64(),
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity)",
    "try_cast({v} AS DOUBLE)",
)
COMMA = Kind(
    pa.float64(),
    r"-?(?:0|[1-9][0-9]*)(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?",
    "try_cast(replace({v}, ',', '.') AS DOUBLE)",
    note="decimal comma",
    # 1,234 alone might be a grouped thousand.
    evidence=_seen(r"-?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|-?0,[0-9]+|-?[0-9]{4,},[0-9]+"),
    family="decimal comma",
)
_GROUPS = r"-?[0-9]{{1,3}}(?:{g}[0-9]{{3}})*(?:{d}[0-9]+)?"


def _grouped(group: str, point: str, value: str, note: str) -> Kind:
    g, d = f"[{group}]", f"[{point}]"
    evident = rf"-?[0-9]{{1,3}}(?:{g}[0-9]{{3}}){{2,}}|-?[0-9]{{1,3}}(?:{g}[0-9]{{3}})+{d}[0-9]+"
    return Kind(
        pa.float64(), _GROUPS.format(g=g, d=d), value, note, evidence=_seen(evident), family=note
    )


GROUPED = [
    _grouped(",", ".", "try_cast(replace({v}, ',', '') AS DOUBLE)", "thousands grouped by comma"),
    _grouped(
        ".",
        ",",
        "try_cast(replace(replace({v}, '.', ''), ',', '.') AS DOUBLE)",
        "thousands grouped by point, decimal comma",
    ),
]

_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
TIME = Kind(pa.time64("us"), _CLOCK, "try_cast({v} AS TIME)")
_PART = "try_cast(split_part(ltrim({v}, '-'), ':', %d) AS %s)"
DURATION = Kind(
    pa.duration("us"),
    r"-?[0-9]{1,5}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?",
    "CASE WHEN starts_with({v}, '-') THEN -1 ELSE 1 END * "
    f"(({_PART % (1, 'BIGINT')} * 60 + {_PART % (2, 'BIGINT')}) * 60000000 + "
    f"CAST(round({_PART % (3, 'DOUBLE')} * 1000000) AS BIGINT))",
    note="clock times beyond 24 hours read as durations",
    evidence=_seen(r"-.*|(?:2[4-9]|[3-9][0-9]|[0-9]{3,}):.*"),
)

_ISO_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_ZONE = r" ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)"
ISO = [
    Kind(pa.date32(), _ISO_DAY, "try_cast({v} AS DATE)"),
    Kind(pa.timestamp("us"), f"{_ISO_DAY}[T ]{_ISO_CLOCK}", "try_cast({v} AS TIMESTAMP)"),
    Kind(
        pa.timestamp("us", tz="UTC"),
        f"{_ISO_DAY}[T ]{_ISO_CLOCK}{_ZONE}",
        "try_cast({v} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'",
        note="moments with offsets kept as UTC",
    ),
]

_D, _Y4, _Y2 = "[0-9]{1,2}", "[0-9]{4}", "[0-9]{2}"
_MON, _MONTH = "[A-Za-z]{3}", "[A-Za-z]{3,9}"


@dataclass(frozen=True, slots=True)
class _Day:
    pattern: str
    form: str
    note: str = ""
    evidence: str = ""
    family: str = ""


def _numeric_days() -> list[_Day]:
    days = [_Day(f"{_Y4}{s}{_D}{s}{_D}", f"%Y{s}%m{s}%d") for s in "-/"]
    days.append(_Day(rf"{_Y4}\.{_D}\.{_D}", "%Y.%m.%d"))
    for year, form in ((_Y4, "%Y"), (_Y2, "%y")):
        days.append(_Day(rf"{_D}\.{_D}\.{year}", f"%d.%m.{form}", "dates as day.month.year"))
        for s in "/-":
            pattern = f"{_D}{s}{_D}{s}{year}"
            first, second = f"split_part({{v}}, '{s}', 1)", f"split_part({{v}}, '{s}', 2)"
            days += [
                _Day(pattern, f"%d{s}%m{s}{form}", "dates as day/month/year",
                     _day_evidence(first, second), "day first"),
                _Day(pattern, f"%m{s}%d{s}{form}", "dates as month/day/year",
                     _day_evidence(second, first), "month first"),
            ]  # fmt: skip
    return days


def _day_evidence(day: str, month: str) -> str:
    """Return SQL: days go beyond 12, or are always the first while months differ."""
    return (
        f"coalesce(max(try_cast({day} AS INT)) > 12, false) OR "
        f"(max(try_cast({day} AS INT)) = 1 AND count(DISTINCT {month}) > 1)"
    )


_WORDED_DAYS = [
    _Day(f"{_MON} {_D} {_Y4}", "%b %d %Y"),
    _Day(f"{_MON} {_D}, {_Y4}", "%b %d, %Y"),
    _Day(f"{_D}-{_MON}-{_Y4}", "%d-%b-%Y"),
    _Day(f"{_D}-{_MON}-{_Y2}", "%d-%b-%y"),
    _Day(f"{_D} {_MON} {_Y4}", "%d %b %Y"),
    _Day(f"{_MONTH} {_D}, {_Y4}", "%B %d, %Y"),
    _Day(f"{_D} {_MONTH} {_Y4}", "%d %B %Y"),
]
_CLOCKS = [
    ("", ""),
    (f"[T ]{_D}:{_Y2}", "%H:%M"),
    (f"[T ]{_D}:{_Y2}:{_Y2}", "%H:%M:%S"),
    (rf"[T ]{_D}:{_Y2}:{_Y2}\.[0-9]{{1,6}}", "%H:%M:%S.%f"),
    (f" {_D}:{_Y2} (?i:am|pm)", "%I:%M %p"),
    (f" {_D}:{_Y2}:{_Y2} (?i:am|pm)", "%I:%M:%S %p"),
]


def _dated(day: _Day, clock: tuple[str, str]) -> Kind:
    pattern, form = clock
    parse = f"try_strptime(replace({{v}}, 'T', ' '), '{day.form} {form}')"
    if "%b" in day.form or "%B" in day.form or not form:
        parse = f"try_strptime({{v}}, '{(day.form + ' ' + form).strip()}')"
    note = day.note or ("dates with month names" if "%b" in day.form or "%B" in day.form else "")
    return Kind(
        pa.timestamp("us") if form else pa.date32(),
        day.pattern + pattern,
        parse if form else f"CAST({parse} AS DATE)",
        note,
        day.evidence,
        day.family,
    )


DATES = ISO + [_dated(d, c) for d in _numeric_days() + _WORDED_DAYS for c in _CLOCKS]
NUMBERS = [INTEGER, WHOLE, FLOAT, COMMA, *GROUPED]
CLOCKS = [DURATION, TIME]
