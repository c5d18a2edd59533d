"""What every key maker is: an injective function from row numbers to values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class KeyMaker(ABC):
    """Makes the values of `columns` from row numbers alone.

    Different rows get different tuples of values, for any row number from 0 up to
    the maker's `capacity` (None: no end).
    """

    kind: ClassVar[str]
    columns: tuple[str, ...]

    @property
    def capacity(self) -> int | None:
        """How many different keys there are, None if there is no end."""
        return None

    def places(self, rows: RowNumbers, asked: int) -> RowNumbers:
        """Return the row numbers that stand for `rows` of a request of `asked` rows."""
        del asked
        return rows

    @abstractmethod
    def make(self, rows: RowNumbers, seed: int) -> dict[str, pa.Array]:
        """Return the values of each column for the given row numbers, as stored types."""

    @abstractmethod
    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return a JSON object and named arrays for `from_state`."""

    @classmethod
    @abstractmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the maker that gave this state."""
