"""Columns of true and false."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding.base import (
    Codec,
    Codes,
    Floats,
    State,
    Token,
    as_codes,
    combined,
)

_MISSING = 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BooleanCodec(Codec):
    """One token: 0 false, 1 true, 2 missing (where the column has missing values)."""

    kind: ClassVar[str] = "boolean"

    @classmethod
    def fit(cls, column: Column, values: pa.Array) -> Self:
        """Return the codec of `values`."""
        return cls.of(column.name, 3 if values.null_count else 2)

    @classmethod
    def of(cls, name: str, size: int) -> Self:
        """Return the codec with `size` codes, 2 or 3."""
        return cls(name=name, tokens=(Token(size),), draws=0, distinct=size)

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1]."""
        fallback = _MISSING if self.sizes[0] > _MISSING else 0
        codes = pc.fill_null(combined(values).cast(pa.uint8()), fallback)
        return as_codes(codes.to_numpy(zero_copy_only=False)[:, None])

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return the booleans."""
        del uniforms
        column = codes[:, 0]
        mask = column == _MISSING
        return pa.array(column == 1, pa.bool_(), mask=mask if mask.any() else None)

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        return {"name": self.name, "size": self.sizes[0]}, {}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        del arrays
        return cls.of(facts["name"], facts["size"])
