"""Strings instead of those that too few hold: new ones of the same make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding.base import Floats, Ints, State
from syntheflow_server.engine.encoding.text import TextCodec

_FEWEST = 20
_LEAST_SHARE = 0.02
DRAWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class RareTexts:
    """How rare strings are composed: by `codec`, whose codes have the cumulative `shares`."""

    codec: TextCodec
    shares: Floats

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        rows: int,
        seed: int,
        needed: int,
        entity: Ints | None,
        beside: Ints,
    ) -> Self | None:
        """Return how to compose the rare `values` [n] of a column of `rows` rows.

        `beside` are the rows of each of its other values.
        None where they are a handful: a list with a few misspelt entries is not open.
        """
        different = len(values.unique())
        if different < _FEWEST or len(values) < _LEAST_SHARE * rows:
            return None
        codec = TextCodec.fit(column, values, seed, needed, entity, beside)
        counts = np.bincount(codec.encode(values)[:, 0], minlength=codec.sizes[0])
        return cls(codec, np.cumsum(counts) / counts.sum())

    def compose(self, uniforms: Floats) -> pa.Array:
        """Return a string for each row of uniforms [n, DRAWS]."""
        return self.codec.decode(self._codes(uniforms), uniforms[:, 1:])

    def apart(self, uniforms: Floats, made: pa.Array) -> pa.Array:
        """See `Codec.apart`."""
        return self.codec.apart(self._codes(uniforms), uniforms[:, 1:], made)

    def _codes(self, uniforms: Floats) -> Ints:
        codes = np.searchsorted(self.shares, uniforms[:, 0], side="right")
        return np.minimum(codes, len(self.shares) - 1)[:, None]

    def to_state(self) -> State:
        """Return what `from_state` needs."""
        facts, arrays = self.codec.to_state()
        return facts, arrays | {"shares": self.shares}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build what gave this state."""
        own = dict(arrays)
        shares = own.pop("shares")
        return cls(TextCodec.from_state(facts, own), shares)
