"""Columns of dates, instants, times of day and durations, through integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.base import (
    RARE_ROWS,
    Codec,
    Codes,
    Floats,
    Ints,
    State,
    combined,
)
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.days import closed_weekdays, to_open
from syntheflow_server.engine.encoding.habits import Habits
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers

_DAY = 86_400_000_000
_SPLIT_DAYS = 4
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TemporalCodec(Codec):
    """Temporal values through `Bins`.

    Instants that vary both in day and in time of day have two sets of bins, days and
    microseconds of the day, so that the network sees the hour; `clock` is None
    otherwise. The last code of the first token is 'missing' if there are any. `closed` are
    weekdays on which (hardly) no value falls, and none is made.
    """

    kind: ClassVar[str] = "temporal"
    type: str
    bins: Bins
    clock: Bins | None
    missing: bool
    closed: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        needed: int = RARE_ROWS,
        entity: Ints | None = None,
    ) -> Self:
        """Return the codec of `values`, of which at least one is present.

        A day, a time of day or a duration needs `needed` holders (see `holders`) to come
        back as it is.
        """
        numbers, missing = to_numbers(values, column.name)
        present = numbers[~missing]
        whose = entity if entity is None else entity[~missing]
        clock = None
        day = 1 if pa.types.is_date(values.type) else _DAY
        if pa.types.is_timestamp(values.type):
            days, times = np.divmod(present, _DAY)
            if len(np.unique(times)) > 1 and len(np.unique(days)) > _SPLIT_DAYS:
                clock = Bins.fit(times, needed, spread=_DAY, entity=whose)
        if clock is not None:
            bins = Bins.fit(days, needed, spread=_YEAR_DAYS, entity=whose)
        elif pa.types.is_duration(values.type):
            bins = Bins.fit(present, needed, tails=True, entity=whose)
        else:
            wide = _DAY if pa.types.is_time(values.type) else _YEAR_DAYS * day
            bins = Bins.fit(present, needed, spread=wide, entity=whose)
        distinct = len(np.unique(present)) + int(missing.any())
        dated = pa.types.is_date(values.type) or pa.types.is_timestamp(values.type)
        unit = 1 if clock is not None else day
        if dated and not bins.exact and not bins.paired and bins.step % unit == 0:
            habits = Habits.fit(present // day, needed, whose)
            bins = replace(bins, habits=habits, day=unit)
        closed = closed_weekdays(present // day) if dated else ()
        return cls.of(column.name, column.type, bins, clock, bool(missing.any()), closed, distinct)

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        bins: Bins,
        clock: Bins | None,
        missing: bool,  # noqa: FBT001 - a part like the others
        closed: Sequence[int],
        distinct: int,
    ) -> Self:
        """Return the codec with these parts."""
        tokens, draws = bins.tokens(missing=missing), bins.draws
        if clock is not None:
            tokens, draws = tokens + clock.tokens(missing=False), draws + clock.draws
        return cls(
            name=name,
            tokens=tokens,
            draws=draws,
            distinct=distinct,
            type=kind,
            bins=bins,
            clock=clock,
            missing=missing,
            closed=tuple(closed),
        )

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1 to 4]."""
        numbers, missing = to_numbers(combined(values), self.name)
        if self.clock is None:
            codes = self.bins.encode(numbers)
        else:
            days, times = np.divmod(numbers, _DAY)
            codes = np.concatenate([self.bins.encode(days), self.clock.encode(times)], axis=1)
        if missing.any():
            codes[missing] = 0
            codes[missing, 0] = self.bins.size if self.missing else self.bins.size // 2
        return codes.astype(np.uint16)

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return the temporal values."""
        missing = None
        codes = codes.astype(np.int64)
        if self.missing:
            missing = codes[:, 0] == self.bins.size
            codes[missing] = 0
        numbers = self.bins.decode(codes, uniforms)
        if self.type == "time64[us]":
            numbers = np.clip(numbers, 0, _DAY - 1)
        if self.clock is not None:
            own = 2 if self.bins.paired else 1
            times = self.clock.decode(codes[:, own:], uniforms[:, self.bins.draws :])
            numbers = to_open(numbers, self.closed) * _DAY + times
        elif self.closed:
            day = 1 if self.type == "date32" else _DAY
            numbers = to_open(numbers // day, self.closed) * day + numbers % day
        return from_numbers(numbers, missing, arrow_type(self.type), 0)

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts, arrays = self.bins.to_state()
        own: dict[str, Any] = {
            "name": self.name,
            "kind": self.type,
            "missing": self.missing,
            "closed": list(self.closed),
            "distinct": self.distinct,
            "bins": facts,
            "clock": None,
        }
        if self.clock is not None:
            own["clock"], clock = self.clock.to_state()
            arrays |= {f"clock.{key}": value for key, value in clock.items()}
        return own, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        own = dict(facts)
        first = {key: value for key, value in arrays.items() if not key.startswith("clock.")}
        own["bins"] = Bins.from_state(own["bins"], first)
        if own["clock"] is not None:
            clock = {k.removeprefix("clock."): v for k, v in arrays.items() if k not in first}
            own["clock"] = Bins.from_state(own["clock"], clock)
        return cls.of(**own)
