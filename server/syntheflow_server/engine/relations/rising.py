"""Columns that a running number decides in stretches: the season, the batch, the file's part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.engine.encoding.base import RARE_ROWS
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, codes_of, quoted
from syntheflow_server.engine.relations.sight import Sight

Ints = npt.NDArray[np.int64]
_FEW_ROWS = 200
_ROWS_A_STRETCH = 20
_MOST_STRETCHES = 2000
_TIMES_CHANCE = 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stretches(Relation):
    """`values[i]` is what a row holds whose key is at least `begins[i]`, and below the next."""

    kind: ClassVar[str] = "stretches"
    type: str
    begins: Ints
    values: pa.Array

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        keys, _ = to_numbers(given[self.needs[0]], name)
        place = np.maximum(np.searchsorted(self.begins, keys, side="right") - 1, 0)
        return self.values.take(pa.array(place))

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} is determined by where {quoted(self.needs)} lies"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        return {"type": self.type}, {
            "begins": self.begins,
            "values": array_to_bytes(self.values),
        }

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        values = array_from_bytes(arrays["values"], arrow_type(facts["type"]))
        return cls(**common, **facts, begins=arrays["begins"], values=values)


def find(sample: Sight, every: Sight, free: tuple[str, ...], keys: list[Ref]) -> list[Stretches]:
    """Return the free columns that change seldom along one of `keys`, far less than by chance.

    The first of the keys that will do is taken: a date before the number that tells it.
    """
    found: dict[str, Stretches] = {}
    for key in keys if every.count >= _FEW_ROWS else ():
        near = np.argsort(to_numbers(sample.get(key), key.column)[0], kind="stable")
        promising = [
            name
            for name in free
            if name not in found
            and Ref(name) != key
            and _changes(codes_of(sample.get(Ref(name)))[0][near]) is not None
        ]
        if not promising:
            continue
        numbers = to_numbers(every.get(key), key.column)[0].astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        for name in promising:
            relation = _learn(every, key, numbers[order], order, name)
            if relation is not None:
                found[name] = relation
    return list(found.values())


def _changes(codes: Ints) -> Ints | None:
    """Return where stretches of equal codes begin; None if they are short, or chance's."""
    begins = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    if not 1 < len(begins) <= min(_MOST_STRETCHES, len(codes) // _ROWS_A_STRETCH):
        return None
    shares = np.bincount(codes) / len(codes)
    by_chance = (1 - float((shares**2).sum())) * len(codes)
    return begins if len(begins) * _TIMES_CHANCE <= by_chance else None


def _learn(every: Sight, key: Ref, keys: Ints, order: Ints, name: str) -> Stretches | None:
    """Return the relation if no stretch is so short that it tells of single rows."""
    values = every.get(Ref(name))
    begins = _changes(codes_of(values)[0][order])
    if begins is None or np.diff(begins, append=len(keys)).min() < RARE_ROWS:
        return None
    if (keys[begins[1:]] == keys[begins[1:] - 1]).any():
        return None
    return Stretches(
        makes=(name,),
        needs=(key,),
        hints=True,
        type=every.column(Ref(name)).type,
        begins=keys[begins],
        values=values.take(pa.array(order[begins])),
    )
