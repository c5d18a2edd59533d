"""Keys that are numbers, dates or times: they step upwards with the row number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.keys.base import KeyMaker, RowNumbers
from syntheflow_server.engine.keys.permute import mix
from syntheflow_server.engine.keys.sift import NOTHING, TRIES, Bits, field_of, held

_MOST_DIGITS = 6
_WIDE = 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NumberKey(KeyMaker):
    """Row r becomes (start + a place of the r-th cell) * unit; `keys` cells fill `room` places.

    So as many numbers are left out as in the real range: none of a counter. `unit` is
    the greatest common step of the real values; floats count 10**-digits. Sparse keys
    are drawn again where they fall on a set bit of `sieve`, as every real one does.
    """

    kind: ClassVar[str] = "number"
    type: str
    start: int
    room: int
    keys: int
    unit: int
    digits: int
    sieve: Bits = field(default_factory=lambda: NOTHING)

    @classmethod
    def fit(cls, column: Column, values: pa.Array) -> Self:
        """Return the maker for the distinct, non-null `values` of an ordered type."""
        numbers, _ = to_numbers(values, column.name)
        digits = 0
        if numbers.dtype.kind == "f":
            digits = _digits(numbers)
            numbers = np.round(numbers * 10.0**digits).astype(np.int64)
        low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (1, 1)
        unit = int(np.gcd.reduce(numbers - low)) if len(numbers) > 1 else 1
        places = (high - low) // max(unit, 1) + 1
        unit = max(unit, 1)
        if low % unit:
            places, unit = places * unit, 1
        keys = max(len(numbers), 1)
        return cls(
            columns=(column.name,),
            type=column.type,
            start=low // unit,
            room=places,
            keys=keys,
            unit=unit,
            digits=digits,
            sieve=field_of(numbers // unit) if places >= _WIDE * keys else NOTHING,
        )

    def make(self, rows: RowNumbers, seed: int) -> dict[str, pa.Array]:
        """See `KeyMaker.make`."""
        first, wide = self._begin(rows), self._begin(rows + 1) - self._begin(rows)
        numbers = first + _jitter(rows, wide, seed)
        for turn in range(1, TRIES if len(self.sieve) else 1):
            again = np.flatnonzero(held(self.sieve, self.start + numbers))
            if not len(again):
                break
            numbers[again] = first[again] + _jitter(rows[again], wide[again], seed + turn)
        numbers = (self.start + numbers) * self.unit
        plain = numbers / 10.0**self.digits if self.digits else numbers
        return {self.columns[0]: from_numbers(plain, None, arrow_type(self.type), 0)}

    def _begin(self, rows: RowNumbers) -> RowNumbers:
        """Return where the rows' cells begin."""
        wide, rest = divmod(self.room, self.keys)
        begin: RowNumbers = rows * wide + rows * rest // self.keys
        return begin

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """See `KeyMaker.to_state`."""
        names = ("type", "start", "room", "keys", "unit", "digits")
        facts = {name: getattr(self, name) for name in names} | {"columns": self.columns}
        return facts, {"sieve": self.sieve}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `KeyMaker.from_state`."""
        return cls(**{**facts, "columns": tuple(facts["columns"])}, sieve=arrays["sieve"])


def _jitter(rows: RowNumbers, wide: RowNumbers, seed: int) -> RowNumbers:
    drawn = mix(rows.astype(np.uint64), seed) % wide.astype(np.uint64)
    return drawn.astype(np.int64)


def _digits(numbers: npt.NDArray[np.float64]) -> int:
    for digits in range(_MOST_DIGITS):
        if np.allclose(numbers, np.round(numbers, digits), rtol=0, atol=10.0 ** -(digits + 3)):
            return digits
    return _MOST_DIGITS
