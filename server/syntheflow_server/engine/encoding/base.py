"""What every codec is: a frozen pair of functions between Arrow values and tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Codes = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]
State = tuple[dict[str, Any], Arrays]
"""What an artefact keeps of a codec: a JSON object and named arrays, never a pickle."""

RARE_ROWS = 3
"""Unless a fit says otherwise, a value held by fewer rows than this belongs to somebody."""


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """One token of a column: `size` codes, some of which have a place in an order.

    `places[i]` is the share of rows below the middle of code i, in 0..1, or NaN
    where the code stands outside the order (missing, rare); None for a token whose
    codes are names without order. `touching[i]` says that codes i and i + 1 are
    neighbouring stretches of one continuum, so that a little probability may be
    shared between them.
    """

    size: int
    places: npt.NDArray[np.float32] | None = None
    touching: npt.NDArray[np.bool_] | None = None

    @property
    def ordered(self) -> bool:
        """True if the codes have an order."""
        return self.places is not None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Codec(ABC):
    """A column's two pure functions, learned once from its values.

    `tokens` describes the k tokens of a row in the order the network makes them;
    `draws` is the number of uniforms in [0, 1) a row needs in `decode`;
    `distinct` counts different values (missing included), for the order of columns.
    """

    kind: ClassVar[str]
    name: str
    tokens: tuple[Token, ...]
    draws: int
    distinct: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each token."""
        return tuple(token.size for token in self.tokens)

    @property
    def kinds(self) -> tuple[str, ...]:
        """'ordered' or 'nominal' for each token."""
        return tuple("ordered" if token.ordered else "nominal" for token in self.tokens)

    @abstractmethod
    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return the codes [n, k]; a value not seen when fitting takes the nearest known code."""

    @abstractmethod
    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return n values of exactly the column's type for codes [n, k] and uniforms [n, draws]."""

    def apart(
        self,
        codes: npt.NDArray[Any],  # noqa: ARG002 what codecs of texts need
        uniforms: Floats,  # noqa: ARG002
        made: pa.Array,
    ) -> pa.Array:
        """Return `made`, the values `decode` gave a unit, without repeats by mere chance."""
        return made

    @abstractmethod
    def to_state(self) -> State:
        """Return what `from_state` needs."""

    @classmethod
    @abstractmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the codec that gave this state."""


def combined(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return `values` as one contiguous array."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    joined = values.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def as_codes(codes: npt.NDArray[Any]) -> Codes:
    """Return `codes` [n, k] in the type in which codes are kept."""
    narrow: Codes = codes.astype(np.uint16)
    return narrow
