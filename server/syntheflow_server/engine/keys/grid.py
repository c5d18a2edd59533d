"""Composite keys that cross a few columns, such as (region, product, year)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes
from syntheflow_server.engine.keys.base import KeyMaker, RowNumbers
from syntheflow_server.engine.keys.permute import mix, permute

_BITS = 2.0**53
NO_CHANCES: npt.NDArray[np.float32] = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class GridKey(KeyMaker):
    """Row r is a cell of the grid of all known values, in a keyed order without repeats.

    The first `rows` rows are drawn so that each cell comes up by its `chances` [cells]
    (Pareto sampling; Rosen, "On sampling with probability proportional to size", 1997),
    and follow one another in no order; further rows take the cells that are left. Without
    chances all cells are alike.
    """

    kind: ClassVar[str] = "grid"
    types: tuple[str, ...]
    values: tuple[pa.Array, ...]
    rows: int = 0
    chances: npt.NDArray[np.float32] = field(default_factory=lambda: NO_CHANCES)
    _cells: dict[int, RowNumbers] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def fit(
        cls,
        columns: Sequence[Column],
        values: Sequence[pa.Array],
        rows: int = 0,
        chances: npt.NDArray[np.float32] = NO_CHANCES,
    ) -> Self:
        """Return the maker for `columns` whose distinct, publishable values are `values`."""
        return cls(
            columns=tuple(column.name for column in columns),
            types=tuple(column.type for column in columns),
            values=tuple(values),
            rows=rows,
            chances=chances,
        )

    @property
    def capacity(self) -> int:
        """Cells of the grid."""
        cells = 1
        for known in self.values:
            cells *= len(known)
        return cells

    def make(self, rows: RowNumbers, seed: int) -> dict[str, pa.Array]:
        """See `KeyMaker.make`; rows beyond the capacity start over and so repeat."""
        cell = self._cell(rows % self.capacity, seed)
        made = {}
        for name, known in zip(self.columns, self.values, strict=True):
            made[name] = known.take(pa.array(cell % len(known)))
            cell = cell // len(known)
        return made

    def _cell(self, rows: RowNumbers, seed: int) -> RowNumbers:
        if not len(self.chances):
            return permute(rows, self.capacity, seed)
        if seed not in self._cells:
            self._cells.clear()  # one seed at a time is asked for
            word = mix(np.arange(self.capacity, dtype=np.uint64), seed) >> np.uint64(11)
            share = (word.astype(np.float64) + 0.5) / _BITS
            chance = self.chances.astype(np.float64)
            self._cells[seed] = np.argsort(share / (1 - share) * (1 - chance) / chance)
        first = min(self.rows, self.capacity)
        place = rows.copy()
        place[rows < first] = permute(rows[rows < first], first, seed)
        return self._cells[seed][place]

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """See `KeyMaker.to_state`."""
        arrays = {f"values_{i}": array_to_bytes(known) for i, known in enumerate(self.values)}
        facts = {"columns": self.columns, "types": self.types, "rows": self.rows}
        return facts, arrays | {"chances": self.chances}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `KeyMaker.from_state`."""
        types = tuple(facts["types"])
        return cls(
            columns=tuple(facts["columns"]),
            types=types,
            values=tuple(
                array_from_bytes(arrays[f"values_{i}"], arrow_type(kind))
                for i, kind in enumerate(types)
            ),
            rows=facts["rows"],
            chances=arrays["chances"],
        )
