"""Groups of flags of which exactly one is set in every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, SemanticType, arrow_type
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

_FEWEST_FLAGS = 3
_ROWS_PER_FLAG = 5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OneHot(Relation):
    """The hidden column holds the place in `makes` of the flag that is set."""

    kind: ClassVar[str] = "onehot"
    types: tuple[str, ...]

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        place = self.makes.index(name)
        chosen = given[Ref(self.hidden[0].name)].to_numpy(zero_copy_only=False)
        return pa.array(chosen == place).cast(arrow_type(self.types[place]))

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        flags = np.stack([_flags(given[Ref(name)]) for name in self.makes])
        return {self.hidden[0].name: pa.array(flags.argmax(axis=0).astype(np.int64))}

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"exactly one of {quoted(self.makes)} is set"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"types": list(self.types)}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        return cls(**common, types=tuple(facts["types"]))


def _flags(values: pa.Array) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = (
        values.cast(pa.bool_()).fill_null(False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    )
    return flags


def find(sample: Sight, free: tuple[str, ...]) -> list[OneHot]:
    """Return the groups among the free flags, neighbours in the table first."""
    flags = {}
    for name in free:
        values = sample.get(Ref(name))
        if values.null_count or not (
            pa.types.is_boolean(values.type) or pa.types.is_int64(values.type)
        ):
            continue
        distinct = set(values.unique().to_pylist())
        if distinct == {0, 1}:
            flags[name] = _flags(values)
    groups: list[tuple[str, ...]] = []
    for neighbours in (True, False):
        taken = {name for group in groups for name in group}
        groups += _groups({k: v for k, v in flags.items() if k not in taken}, neighbours)
    return [
        _relation(sample, group) for group in groups if sample.count >= _ROWS_PER_FLAG * len(group)
    ]


def _groups(flags: dict[str, npt.NDArray[np.bool_]], neighbours: bool) -> list[tuple[str, ...]]:  # noqa: FBT001
    names, found, start = list(flags), [], 0
    taken: set[str] = set()
    while start < len(names):
        group, covered = [], np.zeros(len(next(iter(flags.values()))), bool)
        for name in names[start:]:
            if name in taken:
                continue
            if (flags[name] & covered).any():
                if neighbours:
                    break
                continue
            group.append(name)
            covered = covered | flags[name]
            if covered.all():
                break
        if covered.all() and len(group) >= _FEWEST_FLAGS:
            found.append(tuple(group))
            taken |= set(group)
        start += 1
        while start < len(names) and names[start] in taken:
            start += 1
    return found


def _relation(sample: Sight, group: tuple[str, ...]) -> OneHot:
    hidden = Column(
        name=f"which of {group[0]} ...", type="int64", semantic_type=SemanticType.CATEGORY
    )
    types = tuple(sample.column(Ref(name)).type for name in group)
    return OneHot(makes=group, needs=(), hidden=(hidden,), types=types)
