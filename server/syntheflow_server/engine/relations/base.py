"""What every exact relation is: columns that others decide, row by row, without exception."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column

Arrays = dict[str, npt.NDArray[Any]]
State = tuple[dict[str, Any], Arrays]
"""What an artefact keeps of a relation: a JSON object and named arrays."""


class Ref(NamedTuple):
    """A column of the row itself (`above` 0), of its owner (1), of the owner's owner (2).

    With `link`, the text of a reference of the row, a column of the row that it refers to.
    """

    column: str
    above: int = 0
    link: str = ""

    @property
    def near(self) -> bool:
        """True for a column of the row itself."""
        return not self.above and not self.link


Given = Mapping[Ref, pa.Array]
"""Columns [n] of the rows at hand, by reference."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Relation(ABC):
    """Columns `makes` that are computed from the columns `needs` and `hidden`.

    `hidden` are columns that no table has: the network makes them in place of `makes`.
    With `hints` the made columns keep their tokens: the network still sees, and learns
    from, what a weekday is (a bin of days does not tell), but the value put out is the
    computed one.
    """

    kind: ClassVar[str]
    makes: tuple[str, ...]
    needs: tuple[Ref, ...]
    hidden: tuple[Column, ...] = ()
    hints: bool = False

    @abstractmethod
    def derive(self, name: str, given: Given) -> pa.Array:
        """Return the made column `name` [n]; `given` holds `needs` and hidden columns."""

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """Return the hidden columns [n] of real rows; `given` holds `needs` and `makes`."""
        del given
        return {}

    @abstractmethod
    def describe(self) -> str:
        """Return the relation in one short sentence: names of columns, no values."""

    @abstractmethod
    def to_state(self) -> State:
        """Return what `from_state` needs besides the fields that all relations have."""

    @classmethod
    @abstractmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """Build the relation that gave this state; `common` are the fields of `Relation`."""


def given_of(relation: Relation, get: Callable[[Ref], pa.Array]) -> dict[Ref, pa.Array]:
    """Return the columns that a relation reads and makes, its hidden ones too."""
    given = {ref: get(ref) for ref in (*relation.needs, *map(Ref, relation.makes))}
    return given | {Ref(name): values for name, values in relation.hide(given).items()}


def told_by(
    relations: Iterable[Relation], telling: Iterable[Ref]
) -> tuple[tuple[Relation, str], ...]:
    """Return the columns that the keys `telling` decide, each after those that it needs."""
    known, left = set(telling), [r for r in relations if r.needs and not r.hidden]
    found: list[tuple[Relation, str]] = []
    while ready := [relation for relation in left if set(relation.needs) <= known]:
        for relation in ready:
            left.remove(relation)
            found += [(relation, name) for name in relation.makes]
            known |= {Ref(name) for name in relation.makes}
    return tuple(found)


def seen(relations: Iterable[Relation], telling: Iterable[Ref]) -> tuple[Relation, ...]:
    """Return `relations`; what keys decide keeps its tokens, because more follows from it."""
    every = tuple(relations)
    told = {id(relation) for relation, _ in told_by(every, telling)}
    return tuple(replace(r, hints=True) if id(r) in told else r for r in every)


def quoted(names: Iterable[str | Ref]) -> str:
    """Return names of columns for a sentence: 'a', 'b' and the owner's 'c'."""
    words = []
    for name in names:
        column = name.column if isinstance(name, Ref) else name
        if isinstance(name, Ref) and name.link:
            words.append(f"{column!r} of the row that it refers to by {name.link}")
        elif isinstance(name, Ref) and name.above:
            words.append(f"the owner's {column!r}")
        else:
            words.append(repr(column))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def same(left: pa.Array, right: pa.Array) -> npt.NDArray[np.bool_]:
    """Return in which rows two arrays hold the same value, or both none."""
    equal = pc.fill_null(pc.equal(left, right), False)  # noqa: FBT003 - Arrow's own signature
    both = pc.and_(left.is_null(), right.is_null())
    result: npt.NDArray[np.bool_] = pc.or_(equal, both).to_numpy(zero_copy_only=False)
    return result


def codes_of(values: pa.Array) -> tuple[npt.NDArray[np.int64], int]:
    """Return codes 0.. of the values (null has one too) and how many there are."""
    coded = values.dictionary_encode(null_encoding="encode")
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, len(coded.dictionary)
