"""Who holds a value: the rows it stands in, or the entities (persons) that those belong to.

A value in forty rows of one customer has one holder. Entities are numbers, one for each
row; None says that every row is an entity of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The holders of each of m values, in order: how many, and who.

    The entities of value i are `who[start[i]:start[i + 1]]`, each once; where `who` is
    None rows are entities, and `start` counts them.
    """

    start: Ints
    who: Ints | None

    @classmethod
    def of(cls, codes: Ints, size: int, entity: Ints | None) -> Self:
        """Return the holders of `size` values for rows [n] with these `codes`."""
        if entity is None:
            counts = np.bincount(codes, minlength=size)
            return cls(np.append(0, np.cumsum(counts)), None)
        wide = int(entity.max(initial=0)) + 1
        owners, who = np.divmod(np.unique(codes.astype(np.int64) * wide + entity), wide)
        return cls(np.searchsorted(owners, np.arange(size + 1)), who)

    @property
    def counts(self) -> Ints:
        """Number of holders of each value [m]."""
        return np.diff(self.start)

    def enough(self, values: Ints, needed: int) -> bool:
        """Return True if `needed` entities hold at least one of these values."""
        if self.who is None:
            return bool(self.counts[values].sum() >= needed)
        seen: set[int] = set()
        for value in values.tolist():
            seen |= self._some(value, needed)
            if len(seen) >= needed:
                return True
        return False

    def widened(self, left: int, right: int, needed: int) -> tuple[int, int] | None:
        """Return the stretch of values around `left` to `right` that `needed` entities hold.

        At least two values; None if all of them have not so many holders.
        """
        last = len(self.start) - 2
        seen = set().union(*(self._some(i, needed) for i in range(left, right + 1)))
        while len(seen) < needed or left == right:
            if left == 0 and right == last:
                return None
            left, right = max(left - 1, 0), min(right + 1, last)
            seen |= self._some(left, needed) | self._some(right, needed)
        return left, right

    def _some(self, value: int, needed: int) -> set[int]:
        """Return the holders of a value, at most `needed` of them: rows or entities."""
        low, high = int(self.start[value]), int(self.start[value + 1])
        high = min(high, low + needed)
        return set(range(low, high)) if self.who is None else set(self.who[low:high].tolist())


def counted(values: pa.Array, entity: Ints | None) -> tuple[pa.Array, Ints, Held]:
    """Return the different values present in `values` [n], the rows of each, and their holders."""
    present = values.drop_null()
    if entity is None:
        found = pc.value_counts(present)
        rows = found.field("counts").to_numpy(zero_copy_only=False)
        return found.field("values"), rows, Held(np.append(0, np.cumsum(rows)), None)
    if values.null_count:
        entity = entity[values.is_valid().to_numpy(zero_copy_only=False)]
    coded = present.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    size = len(coded.dictionary)
    return coded.dictionary, np.bincount(codes, minlength=size), Held.of(codes, size, entity)


def entities(rows: int, entity: Ints | None) -> int:
    """Return how many entities `rows` rows belong to."""
    return rows if entity is None else len(np.unique(entity))
