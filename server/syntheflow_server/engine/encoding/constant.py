"""Columns that never vary: one value everywhere, or none at all. They cost no token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.base import Codec, Codes, Floats, State
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ConstantCodec(Codec):
    """`value` holds the one value (or null) as an Arrow array of length one."""

    kind: ClassVar[str] = "constant"
    type: str
    value: pa.Array

    @classmethod
    def fit(cls, column: Column, value: pa.Array) -> Self:
        """Return the codec of a column that holds `value` (length 1) in every row."""
        return cls(name=column.name, tokens=(), draws=0, distinct=1, type=column.type, value=value)

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 0]."""
        return np.empty((len(values), 0), np.uint16)

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return the value n times."""
        del uniforms
        return self.value.take(pa.array(np.zeros(len(codes), np.int64)))

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        return {"name": self.name, "type": self.type}, {"value": array_to_bytes(self.value)}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        value = array_from_bytes(arrays["value"], arrow_type(facts["type"]))
        return cls(
            name=facts["name"], tokens=(), draws=0, distinct=1, type=facts["type"], value=value
        )
