"""Moments and numbers that follow another one closely: a shipping date, an upper limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, SemanticType, arrow_type
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 50
_TIGHT = 0.25
_LIKE = 0.05


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Difference(Relation):
    """The made column is the needed one plus the hidden number of `unit`s.

    Where the difference was never negative in the data, it never is.
    """

    kind: ClassVar[str] = "difference"
    type: str
    unit: int

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        base, gone = to_numbers(given[self.needs[0]], name)
        steps, missing = to_numbers(given[Ref(self.hidden[0].name)], name)
        return from_numbers(base + steps * self.unit, gone | missing, arrow_type(self.type), 0)

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        base, gone = to_numbers(given[self.needs[0]], "")
        made, missing = to_numbers(given[Ref(self.makes[0])], "")
        steps = (made - base) // self.unit
        return {self.hidden[0].name: pa.array(steps, pa.int64(), mask=gone | missing)}

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} follows {quoted(self.needs)} by a difference that is learned"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"type": self.type, "unit": self.unit}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, **facts)


def find(sample: Sight, free: tuple[str, ...]) -> list[Difference]:
    """Return for each free column the one it follows most closely, tightest first.

    Moments may come before or after; whole numbers must never be the smaller ones.
    """
    found: list[tuple[float, Difference]] = []
    own = sorted({*sample.early, *sample.modelled})
    for name in free:
        column = sample.column(Ref(name))
        moment = column.type == "date32" or column.type.startswith("timestamp")
        if not moment and not (
            column.type == "int64" and column.semantic_type is SemanticType.INTEGER
        ):
            continue
        others = [*own, *sample.above] if moment else own
        for ref in others:
            if ref == Ref(name) or sample.column(ref).type != column.type:
                continue
            tight = _tightness(sample.get(ref), sample.get(Ref(name)), moment)
            if tight is not None:
                found.append((tight[0], _relation(column, ref, tight[1])))
    found.sort(key=lambda pair: pair[0])
    return [relation for _, relation in found]


def _tightness(left: pa.Array, right: pa.Array, moment: bool) -> tuple[float, int] | None:  # noqa: FBT001
    """Return how wide the difference is beside the column, and its unit; None if too wide."""
    if pc.any(pc.and_(left.is_null(), right.is_valid())).as_py():
        return None
    both = pc.and_(left.is_valid(), right.is_valid())
    base, made = left.filter(both), right.filter(both)
    if len(base) < _FEW_ROWS:
        return None
    mine = to_numbers(made, "")[0].astype(np.int64)
    steps = mine - to_numbers(base, "")[0].astype(np.int64)
    if not moment and (steps.min() < 0 or _peak(steps) + _LIKE < _peak(mine)):
        return None
    width = _width(steps) / max(_width(mine), 1e-9)
    if width > _TIGHT or len(np.unique(steps)) > len(np.unique(mine)) or len(np.unique(mine)) < 5:
        return None
    return width, int(np.gcd.reduce(steps)) or 1


def _width(numbers: npt.NDArray[np.int64]) -> float:
    low, high = np.quantile(numbers, (0.05, 0.95))
    return float(high - low)


def _peak(numbers: npt.NDArray[np.int64]) -> float:
    """Return the share of the most frequent number."""
    return float(np.unique(numbers, return_counts=True)[1].max() / len(numbers))


def _relation(column: Column, ref: Ref, unit: int) -> Difference:
    hidden = Column(
        name=f"{column.name} after {ref.column}", type="int64", semantic_type=SemanticType.INTEGER
    )
    return Difference(
        makes=(column.name,), needs=(ref,), hidden=(hidden,), type=column.type, unit=unit
    )
