"""Pairs of which one is never the larger: a minimum and a maximum, a part and its whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 60
_FEW_NAMED_ROWS = 3
_BROKEN_BY_CHANCE = 0.05
_BROKEN_ROWS = 10
_MOST_COLUMNS = 60
_FEW_VALUES = 10
_SCREEN = 500
_NAMED = (("start", "end"), ("begin", "end"), ("from", "to"), ("min", "max"), ("low", "high"))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bounded(Relation):
    """The hidden value, moved to the nearest of the needed columns that it would cross.

    The first `lows` of the needed columns are lower bounds, the others upper ones; a
    missing one bounds nothing.
    """

    kind: ClassVar[str] = "bounded"
    lows: int

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        raw = given[Ref(self.hidden[0].name)]
        bounds = [given[ref] for ref in self.needs]
        found = pc.max_element_wise(raw, *bounds[: self.lows], skip_nulls=True)
        found = pc.min_element_wise(found, *bounds[self.lows :], skip_nulls=True)
        return pc.if_else(raw.is_null(), pa.scalar(None, raw.type), found)

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        return {self.hidden[0].name: given[Ref(self.makes[0])]}

    def describe(self) -> str:
        """See `Relation.describe`."""
        lows, highs = self.needs[: self.lows], self.needs[self.lows :]
        low = f"never below {quoted(lows)}" if lows else ""
        high = f"never above {quoted(highs)}" if highs else ""
        return f"{quoted(self.makes)} is {' and '.join(text for text in (low, high) if text)}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"lows": self.lows}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, lows=int(facts["lows"]))


def find(sample: Sight, free: tuple[str, ...]) -> list[Bounded]:
    """Return the bounds of the free columns, those with the fewest bounds first.

    A pair counts if no row breaks it though one in twenty would by chance; fewer rows
    are enough where the names say so. Of two free columns the upper one gives way.
    """
    own = sorted({*sample.early, *sample.modelled})[:_MOST_COLUMNS]
    refs = [ref for ref in (*own, *sample.above) if _comparable(sample.get(ref).type)]
    numbers = {ref: _numbers(sample.get(ref)) for ref in refs}
    shuffled = np.random.default_rng(0).permutation(sample.count)
    open_ = {ref for ref in own if ref.column in free}
    below: dict[Ref, set[Ref]] = {ref: set() for ref in refs}
    for low in refs:
        for high in refs:
            if low == high or not {low, high} & open_:
                continue
            alike = sample.column(low).type == sample.column(high).type
            if alike and _ordered(numbers[low], numbers[high], shuffled, _named(low, high)):
                below[high].add(low)
    found = []
    for ref in sorted(open_ & set(refs), key=lambda ref: (len(below[ref]), ref)):
        lows = below[ref] - {far for low in below[ref] for far in below[low]}
        highs = {high for high in refs if ref in below[high] and high not in open_}
        if lows or highs:
            found.append(_relation(sample.column(ref), sorted(lows), sorted(highs)))
    return found


def _named(low: Ref, high: Ref) -> bool:
    """Return True if the names differ by a usual pair of words: start_date and end_date."""
    left, right = low.column.lower(), high.column.lower()
    return any(a in left and left.replace(a, b) == right for a, b in _NAMED)


def _comparable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_int64(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
    )


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    numbers, missing = to_numbers(values, "")
    return np.where(missing, np.nan, numbers.astype(np.float64))


def _ordered(
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    shuffled: npt.NDArray[np.int64],
    named: bool,  # noqa: FBT001 - a fact like the others
) -> bool:
    """Return True if left is never the larger, which chance would not bring about."""
    with np.errstate(invalid="ignore"):
        if (left[:_SCREEN] > right[:_SCREEN]).any() or (left > right).any():
            return False
        known = int((~np.isnan(left) & ~np.isnan(right)).sum())
        broken = int((left > right[shuffled]).sum())
        apart = int((left < right).sum())
    if named:
        return apart >= _FEW_NAMED_ROWS
    varied = min(len(np.unique(left)), len(np.unique(right))) >= _FEW_VALUES
    needed = max(_BROKEN_BY_CHANCE * known, _BROKEN_ROWS)
    return varied and known >= _FEW_ROWS and broken >= needed and apart >= needed


def _relation(column: Column, lows: list[Ref], highs: list[Ref]) -> Bounded:
    raw = Column(
        name=f"{column.name} before its bounds",
        type=column.type,
        semantic_type=column.semantic_type,
    )
    return Bounded(makes=(column.name,), needs=(*lows, *highs), hidden=(raw,), lows=len(lows))
