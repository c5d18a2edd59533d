"""Keys whose place among the others tells about the row: they keep the real spacing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.keys.base import KeyMaker, RowNumbers
from syntheflow_server.engine.keys.permute import mix
from syntheflow_server.engine.keys.sift import NOTHING, TRIES, field_of, held

_MOST_STRETCHES = 256
_ROWS_A_STRETCH = 8
_WIDE = 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpreadKey(KeyMaker):
    """Row r of `rows` lies in a cell of its own, at the share r / `rows` of the real keys.

    `edges` [s + 1] cut the keys, in whole `unit`s from `low`, into stretches of equally
    many rows, each of which is cut into cells of equal width. Where cells are wide, a
    key that falls on a set bit of `sieve` (every real one does) is drawn again. Rows
    beyond the real ones begin anew, above all keys before.
    """

    kind: ClassVar[str] = "spread"
    type: str
    rows: int
    low: int
    unit: int
    edges: npt.NDArray[np.int64]
    sieve: npt.NDArray[np.uint8]

    @classmethod
    def fit(cls, column: Column, values: pa.Array) -> Self:
        """Return the maker for the distinct, non-null whole `values` or moments."""
        numbers = np.sort(to_numbers(values, column.name)[0].astype(np.int64))
        low = int(numbers[0])
        unit = int(np.gcd.reduce(numbers - low)) or 1
        places = (numbers - low) // unit
        rows = len(places)
        stretches = max(1, min(_MOST_STRETCHES, rows // _ROWS_A_STRETCH))
        edges = _edges(places, _firsts(np.arange(1, stretches), rows, stretches))
        if low >= 0:
            edges[0] = max(int(edges[0]), -((low - (low > 0)) // unit))  # no negative keys
        wide = int(edges[-1] - edges[0]) >= _WIDE * rows
        return cls(
            columns=(column.name,),
            type=column.type,
            rows=rows,
            low=low,
            unit=unit,
            edges=edges,
            sieve=field_of(places) if wide else NOTHING,
        )

    def places(self, rows: RowNumbers, asked: int) -> RowNumbers:
        """See `KeyMaker.places`: few rows are spread over all the real keys."""
        if not 0 < asked < self.rows:
            return rows
        turn, row = np.divmod(rows, asked)
        places: RowNumbers = turn * self.rows + row * self.rows // asked
        return places

    def make(self, rows: RowNumbers, seed: int) -> dict[str, pa.Array]:
        """See `KeyMaker.make`."""
        turn, row = np.divmod(rows, self.rows)
        stretches = len(self.edges) - 1
        stretch = row * stretches // self.rows
        first = _firsts(stretch, self.rows, stretches)
        count = _firsts(stretch + 1, self.rows, stretches) - first
        width, rest = np.divmod(self.edges[stretch + 1] - self.edges[stretch], count)
        begin, end = (
            width * place + rest * place // count for place in (row - first, row - first + 1)
        )
        places = self._drawn(rows, self.edges[stretch] + begin, end - begin, seed)
        numbers = self.low + self.unit * (places + turn * self.span)
        return {self.columns[0]: from_numbers(numbers, None, arrow_type(self.type), 0)}

    @property
    def span(self) -> int:
        """How far, in units, the keys of rows beyond the real ones lie above the first."""
        return int(self.edges[-1] - self.edges[0])

    def _drawn(
        self, rows: RowNumbers, begin: RowNumbers, width: RowNumbers, seed: int
    ) -> RowNumbers:
        """Return a place in each cell, one that the sieve lets pass if there is any."""
        words, wide = rows.astype(np.uint64), width.astype(np.uint64)
        places = begin + (mix(words, seed) % wide).astype(np.int64)
        for turn in range(1, TRIES if len(self.sieve) else 1):
            again = np.flatnonzero(held(self.sieve, places))
            if not len(again):
                break
            drawn = mix(words[again], seed + turn) % wide[again]
            places[again] = begin[again] + drawn.astype(np.int64)
        return places

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """See `KeyMaker.to_state`."""
        names = ("type", "rows", "low", "unit")
        facts = {name: getattr(self, name) for name in names} | {"columns": self.columns}
        return facts, {"edges": self.edges, "sieve": self.sieve}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `KeyMaker.from_state`."""
        own = {**facts, "columns": tuple(facts["columns"])}
        return cls(**own, edges=arrays["edges"], sieve=arrays["sieve"])


def _firsts(stretch: RowNumbers, rows: int, stretches: int) -> RowNumbers:
    """Return the first row of each stretch."""
    firsts: RowNumbers = -(-stretch * rows // stretches)
    return firsts


def _edges(places: RowNumbers, inner: RowNumbers) -> RowNumbers:
    """Return where stretches begin: half-way between two real keys, so that none is told."""
    gaps = (places[1] - places[0], places[-1] - places[-2]) if len(places) > 1 else (1, 1)
    first = places[0] - (gaps[0] - 1) // 2
    last = places[-1] + 1 + (gaps[1] - 1) // 2
    middle = (places[inner - 1] + places[inner] + 1) // 2
    edges: RowNumbers = np.concatenate([[first], middle, [last]]).astype(np.int64)
    return edges
