"""Times of day that follow one another around the clock: a departure, a delay, an arrival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_DAYS = (1440, 86_400)
_FULL = 0.9
_FEW_ROWS = 100
_FEW_TIMES = 50
_FEW_VALUES = 20
_MOST_ODD = 0.1
_TIGHT = 0.25
_HELD = 0.9


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Around(Relation):
    """The made time is the sum of the needed ones and of the hidden difference, modulo `day`.

    With two needed columns the hidden one, if any, is the time of rows where one of them
    is missing. With `top` midnight counts as the end of the day, not as its beginning;
    differences lie from `low` on.
    """

    kind: ClassVar[str] = "around"
    day: int
    top: bool
    low: int = 0

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        parts = [*self.needs, *(Ref(column.name) for column in self.hidden)]
        summed = parts if len(self.needs) == 1 else parts[:2]
        total = np.zeros(len(given[parts[0]]), np.int64)
        missing = np.zeros(len(total), bool)
        for ref in summed:
            numbers, gone = to_numbers(given[ref], name)
            total, missing = total + np.where(gone, 0, numbers).astype(np.int64), missing | gone
        total %= self.day
        if self.top:
            total[total == 0] = self.day
        made = from_numbers(total, missing, pa.int64(), 0)
        return pc.coalesce(made, given[parts[-1]]) if len(parts) > len(summed) else made

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        if not self.hidden:
            return {}
        own = given[Ref(self.makes[0])]
        made, missing = to_numbers(own, "")
        known = [to_numbers(given[ref], "") for ref in self.needs]
        gone = np.any([gap for _, gap in known], axis=0)
        if len(self.needs) > 1:
            none = pa.scalar(None, pa.int64())
            return {self.hidden[0].name: pc.if_else(pa.array(gone), own, none)}
        steps = (made - known[0][0] - self.low) % self.day + self.low
        return {self.hidden[0].name: pa.array(steps, pa.int64(), mask=gone | missing)}

    def describe(self) -> str:
        """See `Relation.describe`."""
        if len(self.needs) > 1:
            return f"{quoted(self.makes)} is the sum of {quoted(self.needs)} around the clock"
        return f"{quoted(self.makes)} follows {quoted(self.needs)} around the clock"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"day": self.day, "top": self.top, "low": self.low}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, **facts)


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    ref: Ref
    numbers: Ints
    missing: Mask


def find(sample: Sight, free: tuple[str, ...]) -> Iterator[Around]:
    """Yield sums around the clock, then times that follow another one closely, tightest first."""
    whole = [found for ref in sorted({*sample.early, *sample.modelled})
             if (found := _whole(sample, ref)) is not None]  # fmt: skip
    order = {name: i for i, name in enumerate(sample.table.column_names)}
    close: list[tuple[bool, float, Around]] = []
    for day in _DAYS:
        clocks = [times for times in whole if _is_clock(times, day)]
        for made in clocks:
            if made.ref.column not in free:
                continue
            for base in clocks:
                if base is made:
                    continue
                yield from _sums(made, base, whole, day)
                if (pair := _follows(made, base, day)) is not None:
                    # Of two that follow each other the later column is told by the earlier.
                    close.append((order[made.ref.column] < order[base.ref.column], *pair))
    close.sort(key=lambda found: found[:2])
    yield from (relation for _, _, relation in close)


def _whole(sample: Sight, ref: Ref) -> _Times | None:
    if sample.column(ref).type != "int64":
        return None
    values = sample.get(ref)
    if len(values.unique()) < _FEW_VALUES:
        return None
    numbers, missing = to_numbers(values, ref.column)
    return _Times(ref, numbers.astype(np.int64), missing)


def _is_clock(times: _Times, day: int) -> bool:
    present = times.numbers[~times.missing]
    if len(present) < _FEW_ROWS or present.min() < 0 or present.max() > day:
        return False
    return bool(present.max() >= _FULL * day and len(np.unique(present)) >= _FEW_TIMES)


def _top(made: _Times, day: int) -> bool:
    return bool((made.numbers[~made.missing] == day).any())


def _sums(made: _Times, base: _Times, whole: list[_Times], day: int) -> Iterator[Around]:
    apart = made.numbers - base.numbers
    for other in whole:
        if other is made or other is base:
            continue
        told = ~made.missing & ~base.missing & ~other.missing
        if told.sum() < _FEW_ROWS or ((apart - other.numbers)[told] % day).any():
            continue
        if (made.missing & ~base.missing & ~other.missing).any():
            continue
        odd = ~made.missing & ~told
        if odd.mean() > _MOST_ODD:
            continue
        hidden = [_number(f"{made.ref.column} without {other.ref.column}")] if odd.any() else []
        yield Around(
            makes=(made.ref.column,),
            needs=(base.ref, other.ref),
            hidden=tuple(hidden),
            day=day,
            top=_top(made, day),
        )


def _follows(made: _Times, base: _Times, day: int) -> tuple[float, Around] | None:
    """Return how wide the difference is beside the time, and the relation; None if too wide."""
    if (base.missing & ~made.missing).any():
        return None
    told = ~made.missing & ~base.missing
    if told.sum() < _FEW_ROWS:
        return None
    apart = np.sort((made.numbers - base.numbers)[told] % day)
    around = np.append(apart, apart + day)
    count = int(np.ceil(_HELD * len(apart)))
    widths = around[count - 1 : count - 1 + len(apart)] - around[: len(apart)]
    least = int(widths.argmin())
    low, high = np.quantile(made.numbers[told], ((1 - _HELD) / 2, (1 + _HELD) / 2))
    width = float(widths[least]) / max(float(high - low), 1e-9)
    if width > _TIGHT:
        return None
    middle = int(around[least] + widths[least] // 2)
    middle = middle - day if middle > day // 2 else middle
    relation = Around(
        makes=(made.ref.column,),
        needs=(base.ref,),
        hidden=(_number(f"{made.ref.column} after {base.ref.column}"),),
        day=day,
        top=_top(made, day),
        low=middle - day // 2,
    )
    return width, relation


def _number(name: str) -> Column:
    return Column(name=name, type="int64", semantic_type=SemanticType.INTEGER)
