"""Rows that exist already beside new rows of the same owners: new keys must not repeat theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.runtime import Runtime

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The existing rows of a frame's owners: their owner in the frame [s], and all cells."""

    owner: Ints
    rows: pa.Table
    _at: Ints
    _plan: SamplePlan

    @classmethod
    def of(cls, runtime: Runtime, plan: SamplePlan, frame: Frame) -> Beside | None:
        """Return the existing rows beside those of `frame`, None if there are none."""
        structure, stand = runtime.model.family[frame.table], plan.stands.get(frame.table)
        above, key = frame.above, structure.owner
        if stand is None or not stand.silent or above is None or key is None or not above.silent:
            return None
        if (found := plan.named.get(str(key))) is None:
            return None
        mine = np.flatnonzero((found >= above.first_row) & (found < above.first_row + above.rows))
        rows = stand.rows.take(pa.array(mine))
        return cls(found[mine] - above.first_row, rows, mine, plan)

    def tells(self, names: Sequence[str]) -> bool:
        """Return whether the cells of all columns `names` are known."""
        return set(names) <= set(self.rows.column_names)

    def parents(self, link: Link, image: Ints | None) -> Ints:
        """Return the parents as the frame numbers them, or what they are by `image`; -1: none."""
        named = self._plan.named.get(str(link.key))
        if named is None:
            return np.full(len(self.rows), -1)
        found = np.maximum(named[self._at], -1)
        return found if image is None else np.where(found >= 0, image[found], -1)

    def order(self, name: str, counted: Callable[[Ints], Ints]) -> Ints:
        """Return the numbers of the order column."""
        numbers, _ = to_numbers(self.values(name), name)
        return counted(numbers.astype(np.int64))

    def values(self, name: str) -> pa.Array:
        """Return the cells of a column."""
        return combined(self.rows.column(name))
