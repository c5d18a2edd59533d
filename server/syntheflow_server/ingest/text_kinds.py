"""What a text may mean: truth values, days, moments, times of day, durations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from syntheflow_server.domain.reading import DateOrder
from syntheflow_server.ingest.kinds import Kind, seen
from syntheflow_server.ingest.number_kinds import FLOAT, INTEGER, NUMBERS

__all__ = ["BOOLEAN", "CLOCKS", "DATES", "FLOAT", "INTEGER", "NUMBERS", "Kind", "date_kinds"]


BOOLEAN = Kind(pa.bool_(), "(?i:true|false)", "lower({v}) = 'true'")

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
    evidence=seen(r"-.*|(?:2[4-9]|[3-9][0-9]|[0-9]{3,}):.*"),
)
HALVES = [
    Kind(
        pa.time64("us"),
        f"(?:0?[1-9]|1[0-2]):[0-5][0-9]{seconds} ?(?i:am|pm)",
        f"CAST(try_strptime(upper(replace({{v}}, ' ', '')), '%I:%M{form}%p') AS TIME)",
    )
    for seconds, form in (("", ""), (":[0-5][0-9]", ":%S"))
]

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
    order: DateOrder | None = None


def _numeric_days() -> list[_Day]:
    days = [_Day(f"{_Y4}{s}{_D}{s}{_D}", f"%Y{s}%m{s}%d") for s in "-/"]
    days.append(_Day(rf"{_Y4}\.{_D}\.{_D}", "%Y.%m.%d"))
    for year, form in ((_Y4, "%Y"), (_Y2, "%y")):
        days.append(_Day(rf"{_D}\.{_D}\.{year}", f"%d.%m.{form}", "dates as day.month.year",
                         order=DateOrder.DAY_FIRST))  # fmt: skip
        for s in "/-":
            pattern = f"{_D}{s}{_D}{s}{year}"
            first, second = f"split_part({{v}}, '{s}', 1)", f"split_part({{v}}, '{s}', 2)"
            days += [
                _Day(pattern, f"%d{s}%m{s}{form}", "dates as day/month/year",
                     _day_evidence(first, second), "day first", DateOrder.DAY_FIRST),
                _Day(pattern, f"%m{s}%d{s}{form}", "dates as month/day/year",
                     _day_evidence(second, first), "month first", DateOrder.MONTH_FIRST),
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
        reads=(("date_order", day.order.value),) if day.order else (),
    )


_DAYS = _numeric_days() + _WORDED_DAYS
# What is only read so if it is said: without a word, these are other dates or integers.
_SAID_DAYS = [
    *(_Day(rf"{_D}\.{_D}\.{y}", f"%m.%d.{f}", "dates as month.day.year",
           order=DateOrder.MONTH_FIRST) for y, f in ((_Y4, "%Y"), (_Y2, "%y"))),
    *(_Day(f"{_Y2}{p}{_D}{p}{_D}", f"%y{s}%m{s}%d", "dates as year/month/day",
           order=DateOrder.YEAR_FIRST) for p, s in (("-", "-"), ("/", "/"), (r"\.", "."))),
    _Day(f"{_Y4}{_Y2}{_Y2}", "%Y%m%d", "dates as yearmonthday", order=DateOrder.YEAR_FIRST),
]  # fmt: skip
DATES = [*ISO, *(_dated(d, c) for d in _DAYS for c in _CLOCKS)]
CLOCKS = [DURATION, TIME, *HALVES]


def date_kinds(order: DateOrder | None) -> list[Kind]:
    """Return the kinds of days and moments; an order that is said needs no evidence."""
    if order is None:
        return DATES
    days = [day for day in _DAYS + _SAID_DAYS if day.order in {None, order}]
    kinds = [_dated(replace(day, evidence="", family=""), c) for day in days for c in _CLOCKS]
    return [*ISO, *kinds]
