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
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 200
_BROKEN_BY_CHANCE = 0.05
_MOST_COLUMNS = 60
_FEW_VALUES = 10
_SCREEN = 500


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bounded(Relation):
    """The hidden value, moved to the nearest of the needed columns that it would cross.

    `upper` says that the needed columns are upper bounds; a missing one bounds nothing.
    """

    kind: ClassVar[str] = "bounded"
    upper: bool

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        raw = given[Ref(self.hidden[0].name)]
        choose = pc.min_element_wise if self.upper else pc.max_element_wise
        bound = choose(raw, *(given[ref] for ref in self.needs), skip_nulls=True)
        return pc.if_else(raw.is_null(), pa.scalar(None, raw.type), bound)

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        return {self.hidden[0].name: given[Ref(self.makes[0])]}

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"upper": self.upper}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, upper=bool(facts["upper"]))


def find(sample: Sight, free: tuple[str, ...]) -> list[Bounded]:
    """Return the bounds of the free columns, those with the fewest bounds first.

    A pair counts if no row breaks it though one in twenty would by chance.
    """
    refs = [ref for ref in sorted({*sample.early, *sample.modelled}) if _comparable(sample, ref)]
    numbers = {ref: _numbers(sample.get(ref)) for ref in refs[:_MOST_COLUMNS]}
    below: dict[Ref, set[Ref]] = {ref: set() for ref in numbers}
    shuffled = np.random.default_rng(0).permutation(sample.count)
    for low, left in numbers.items():
        for high, right in numbers.items():
            same_kind = sample.column(low).type == sample.column(high).type
            if low != high and same_kind and _ordered(left, right, shuffled):
                below[high].add(low)
    found = []
    for high in sorted(below, key=lambda ref: (len(below[ref]), ref)):
        lows = below[high]
        if not lows:
            continue
        if high.column in free:
            nearest = lows - {far for low in lows for far in below[low]}
            column = sample.column(high)
            found.append(_relation(column, tuple(sorted(nearest)), upper=False))
            continue
        open_ = sorted(low for low in lows if low.column in free and not below[low])
        found += [_relation(sample.column(low), (high,), upper=True) for low in open_]
    return found


def _comparable(sample: Sight, ref: Ref) -> bool:
    kind = sample.get(ref).type
    if not (
        pa.types.is_int64(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
    ):
        return False
    return len(sample.get(ref).unique()) >= _FEW_VALUES


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    numbers, missing = to_numbers(values, "")
    return np.where(missing, np.nan, numbers.astype(np.float64))


def _ordered(
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    shuffled: npt.NDArray[np.int64],
) -> bool:
    """Return True if left is never the larger, which chance would not bring about."""
    with np.errstate(invalid="ignore"):
        if (left[:_SCREEN] > right[:_SCREEN]).any() or (left > right).any():
            return False
        known = int((~np.isnan(left) & ~np.isnan(right)).sum())
        broken = float((left > right[shuffled]).sum()) / max(known, 1)
        apart = float((left < right).sum()) / max(known, 1)
    return known >= _FEW_ROWS and broken >= _BROKEN_BY_CHANCE and apart >= _BROKEN_BY_CHANCE


def _relation(column: Column, bounds: tuple[Ref, ...], *, upper: bool) -> Bounded:
    raw = Column(
        name=f"{column.name} before its bounds",
        type=column.type,
        semantic_type=column.semantic_type,
    )
    return Bounded(makes=(column.name,), needs=bounds, hidden=(raw,), upper=upper)
