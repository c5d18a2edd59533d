"""Composite keys that cross a few columns, such as (region, product, year)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes
from syntheflow_server.engine.keys.base import KeyMaker, RowNumbers
from syntheflow_server.engine.keys.permute import permute


@dataclass(frozen=True, eq=False, kw_only=True)
class GridKey(KeyMaker):
    """Row r is a cell of the grid of all known values, in a keyed order without repeats."""

    kind: ClassVar[str] = "grid"
    types: tuple[str, ...]
    values: tuple[pa.Array, ...]

    @classmethod
    def fit(cls, columns: Sequence[Column], values: Sequence[pa.Array]) -> Self:
        """Return the maker for `columns` whose distinct, publishable values are `values`."""
        return cls(
            columns=tuple(column.name for column in columns),
            types=tuple(column.type for column in columns),
            values=tuple(values),
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
        cell = permute(rows % self.capacity, self.capacity, seed)
        made = {}
        for name, known in zip(self.columns, self.values, strict=True):
            made[name] = known.take(pa.array(cell % len(known)))
            cell = cell // len(known)
        return made

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """See `KeyMaker.to_state`."""
        arrays = {f"values_{i}": array_to_bytes(known) for i, known in enumerate(self.values)}
        return {"columns": self.columns, "types": self.types}, arrays

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
        )
