"""Columns that are parts of an instant or a date: year, month, hour, weekday, the day itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted, same
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 30
_LOOK = 1000
_FIRST = 5
_WEEK = 7
_NUMBERS = (
    "year", "month", "day", "hour", "minute", "second", "quarter", "day_of_week",
    "day_of_year", "iso_week", "iso_year",
)  # fmt: skip
_TEXTS = (
    "%Y-%m-%d", "%Y-%m", "%Y", "%m", "%d", "%H", "%H:%M", "%B", "%b", "%A", "%a", "%d/%m/%Y",
    "%m/%d/%Y",
)  # fmt: skip
_PLACES = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
    "America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Europe/Moscow", "Asia/Kolkata",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
_OFFSETS = tuple(f"{'+' if h > 0 else '-'}{abs(h):02d}:00" for h in range(-12, 15) if h)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part(Relation):
    """The made column is `part` of the moment it needs, seen in `zone`, plus `shift`.

    `part` is a calendar field, "date" or a strftime format; `zone` "" reads the clock as
    it is written; weekdays turn round after `shift` and start at `base`.
    """

    kind: ClassVar[str] = "part"
    type: str
    part: str
    zone: str = ""
    shift: int = 0
    base: int = 0

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        moments = local_times(given[self.needs[0]], self.zone)
        kind = arrow_type(self.type)
        if self.part.startswith("%"):
            return pc.strftime(moments, format=self.part).cast(kind)
        if self.part == "date":
            return moments.cast(pa.timestamp("us")).cast(pa.date32(), safe=False).cast(kind)
        numbers = part_of(moments, self.part)
        if self.part == "day_of_week":
            turned = pc.add(numbers, self.shift)
            weeks = pc.multiply(pc.divide(turned, _WEEK), _WEEK)
            return pc.add(pc.subtract(turned, weeks), self.base).cast(kind)
        return pc.add(numbers, self.shift).cast(kind)

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} is a part of the time {quoted(self.needs)}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        names = ("type", "part", "zone", "shift", "base")
        return {name: getattr(self, name) for name in names}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, **facts)


def local_times(values: pa.Array, zone: str) -> pa.Array:
    """Return the wall-clock times without zone that `values` show in `zone`."""
    if pa.types.is_date(values.type):
        return values.cast(pa.timestamp("us"))
    if not zone:
        return values.cast(pa.timestamp("us"))
    if values.type.tz is None:
        values = values.cast(pa.timestamp("us", tz="UTC"))
    return pc.local_timestamp(values.cast(pa.timestamp("us", tz=zone)))


def part_of(moments: pa.Array, part: str) -> pa.Array:
    """Return a calendar field of wall-clock times as int64; weeks begin on Monday with 0."""
    return getattr(pc, part)(moments).cast(pa.int64())


def find(sample: Sight, free: tuple[str, ...]) -> list[Part]:
    """Return the parts of moments among the free columns, by the sample's rows."""
    if sample.count < _FEW_ROWS:
        return []
    own = {*sample.early, *sample.linked, *sample.modelled}
    moments = [
        ref
        for ref in sorted(own)
        if sample.column(ref).type == "date32" or sample.column(ref).type.startswith("timestamp")
    ]
    found: list[Part] = []
    for name in free:
        if sample.column(Ref(name)).type not in {"int64", "string", "date32", "timestamp[us]"}:
            continue
        if len(pc.unique(sample.get(Ref(name)).drop_null())) < 2:
            continue
        for ref in moments:
            if ref.column == name:
                continue
            part = _match(sample, ref, name)
            if part is not None:
                found.append(part)
                break
    return found


def _match(sample: Sight, ref: Ref, name: str) -> Part | None:
    spread = pa.array(np.linspace(0, sample.count - 1, _LOOK).astype(np.int64)[::-1])
    values, source = sample.get(Ref(name)).take(spread), sample.get(ref).take(spread)
    if source.null_count != values.null_count or not len(values.drop_null()):
        return None
    for zone in _zones(source.type):
        try:
            moments = local_times(source, zone)
        except pa.ArrowInvalid:
            continue
        for facts in _fitting(moments, values):
            part = Part(
                makes=(name,),
                needs=(ref,),
                hints=True,
                type=sample.column(Ref(name)).type,
                zone=zone,
                **facts,
            )
            if all(
                same(part.derive(name, {ref: source.slice(0, n)}), values.slice(0, n)).all()
                for n in (_FIRST, _LOOK)
            ):
                return part
    return None


def _zones(kind: pa.DataType) -> tuple[str, ...]:
    if pa.types.is_date(kind):
        return ("",)
    if kind.tz is None:
        return ("", *_PLACES, *_OFFSETS)
    return tuple(dict.fromkeys((kind.tz, "UTC", *_PLACES, *_OFFSETS)))


def _fitting(moments: pa.Array, values: pa.Array) -> Iterator[dict[str, Any]]:
    """Yield the parts that the first present rows allow."""
    kind = values.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        yield {"part": "date"}
        return
    if pa.types.is_string(kind):
        for text in _TEXTS:
            yield {"part": text}
        return
    few_values, few = values.drop_null(), moments.drop_null()
    if len(few) != len(few_values):
        return
    for part in _NUMBERS:
        gap = pc.subtract(few_values, part_of(few, part))
        low = int(pc.min(gap).as_py())
        if part == "day_of_week":
            base = int(pc.min(values).as_py())
            if base in {0, 1}:
                yield {"part": part, "shift": (low - base) % _WEEK, "base": base}
        elif low == int(pc.max(gap).as_py()) and (part in {"year", "iso_year"} or abs(low) <= 1):
            yield {"part": part, "shift": low}
