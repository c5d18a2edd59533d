"""Columns that repeat what the owner, or a row referred to, holds: a ship address, a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.relations.base import (
    Given,
    Ref,
    Relation,
    State,
    codes_of,
    quoted,
    same,
)
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 20
_FEW_VALUES = 16
_HALF = 0.5
_ALL = 1.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Copied(Relation):
    """The made column is the other row's; where the first hidden column says no, the second."""

    kind: ClassVar[str] = "copied"

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        theirs = given[self.needs[0]]
        if not self.hidden:
            return theirs
        copied, own = (given[Ref(column.name)] for column in self.hidden)
        return pc.if_else(copied, theirs, own)

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`: the row's own value is missing where it is the owner's."""
        if not self.hidden:
            return {}
        own = given[Ref(self.makes[0])]
        copied = pa.array(same(own, given[self.needs[0]]))
        flag, value = self.hidden
        return {
            flag.name: copied,
            value.name: pc.if_else(copied, pa.scalar(None, own.type), own),
        }

    def describe(self) -> str:
        """See `Relation.describe`."""
        own = " or a value of its own" if self.hidden else ""
        return f"{quoted(self.makes)} is {quoted(self.needs)}{own}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del facts, arrays
        return cls(**common)


def find(sample: Sight, free: tuple[str, ...]) -> list[Copied]:
    """Return the copies of columns of owners and linked rows that half of the sample's rows hold.

    Half of the rows must agree beyond those that would agree with any such row.
    """
    found = []
    others = (*sample.above, *sample.beside)
    if sample.count < _FEW_ROWS or not others:
        return []
    mixed = pa.array(np.random.default_rng(0).permutation(sample.count))
    for name in free:
        column, mine = sample.column(Ref(name)), sample.get(Ref(name))
        if codes_of(mine)[1] < 2:
            continue
        best: tuple[float, float, Ref] | None = None
        for ref in others:
            if sample.column(ref).type != column.type:
                continue
            theirs = sample.get(ref)
            share = float(same(mine, theirs).mean())
            chance = float(same(mine, theirs.take(mixed)).mean())
            beyond = (share - chance) / max(1 - chance, 1e-9)
            exact = share == _ALL
            enough = share >= _HALF and codes_of(mine)[1] > _FEW_VALUES
            if beyond >= _HALF and (exact or enough) and (best is None or share > best[0]):
                best = (share, beyond, ref)
        if best is not None:
            found.append(_relation(column, best[2], exact=best[0] == _ALL))
    return found


def loosened(relation: Copied, column: Column) -> Copied:
    """Return the relation that allows for rows with a value of their own."""
    return _relation(column, relation.needs[0], exact=False)


def _relation(column: Column, ref: Ref, *, exact: bool) -> Copied:
    flag = Column(name=f"{column.name} as owner's", type="bool", semantic_type=SemanticType.BOOLEAN)
    value = Column(
        name=f"{column.name} unlike owner's", type=column.type, semantic_type=column.semantic_type
    )
    hidden = () if exact else (flag, value)
    return Copied(makes=(column.name,), needs=(ref,), hidden=hidden)
