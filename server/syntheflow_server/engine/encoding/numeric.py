"""Columns of numbers: integers, decimals and floats, on their own grid of digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.base import (
    RARE_ROWS,
    Codec,
    Codes,
    Floats,
    Ints,
    State,
    combined,
)
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.knots import Numbers
from syntheflow_server.engine.encoding.plain import decimal_shift, from_numbers, to_numbers

_MOST_DIGITS = 9
_EXACT_FLOAT = 2.0**53


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NumericCodec(Codec):
    """Numbers through `Bins`; the last code of the first token is 'missing' if there are any.

    Floats that all have at most nine decimals are kept as integers times 10**-`digits`
    (`digits` is None otherwise); decimals count units of 10**(`shift` - scale).
    """

    kind: ClassVar[str] = "numeric"
    type: str
    bins: Bins
    missing: bool
    digits: int | None
    shift: int

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        needed: int = RARE_ROWS,
        *,
        tails: bool = True,
        entity: Ints | None = None,
        released: pa.Array | None = None,
    ) -> Self:
        """Return the codec of `values`, of which at least one is present.

        A number needs `needed` holders (see `holders`) to come back as it is, unless it is
        one of those `released`. With `tails`
        rare ends thin out beyond the last rows.
        """
        shift = decimal_shift(values)
        numbers, missing = to_numbers(values, column.name, shift=shift)
        present = numbers[~missing]
        digits = _digits(present)
        whose = entity if entity is None else entity[~missing]
        free = None
        if released is not None:
            free = _to_grid(to_numbers(released, column.name, shift=shift)[0], digits)
        bins = Bins.fit(_to_grid(present, digits), needed, tails=tails, entity=whose, released=free)
        distinct = len(np.unique(present)) + int(missing.any())
        return cls(
            name=column.name,
            tokens=bins.tokens(missing=bool(missing.any())),
            draws=bins.draws,
            distinct=distinct,
            type=column.type,
            bins=bins,
            missing=bool(missing.any()),
            digits=digits,
            shift=shift,
        )

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1 or 2]."""
        numbers, missing = to_numbers(combined(values), self.name, shift=self.shift)
        codes = self.bins.encode(_to_grid(np.where(missing, 0, numbers), self.digits))
        if missing.any():
            codes[missing] = 0
            codes[missing, 0] = self.bins.size if self.missing else self.bins.size // 2
        return codes.astype(np.uint16)

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return the numbers."""
        missing = None
        if self.missing:
            missing = codes[:, 0] == self.bins.size
            codes = codes.copy()
            codes[missing] = 0
        numbers = self.bins.decode(codes.astype(np.int64), uniforms)
        if self.digits is not None:
            numbers = numbers / 10.0**self.digits
        return from_numbers(numbers, missing, arrow_type(self.type), self.shift)

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts, arrays = self.bins.to_state()
        own = {
            "name": self.name,
            "type": self.type,
            "distinct": self.distinct,
            "missing": self.missing,
            "digits": self.digits,
            "shift": self.shift,
        }
        return own | {"bins": facts}, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        bins = Bins.from_state(facts["bins"], arrays)
        own = {key: value for key, value in facts.items() if key != "bins"}
        tokens = bins.tokens(missing=facts["missing"])
        return cls(tokens=tokens, draws=bins.draws, bins=bins, **own)


def _digits(numbers: Numbers) -> int | None:
    """Return how many decimals all the floats have, or None if more than nine, or integers."""
    if numbers.dtype == np.int64:
        return None
    for digits in range(_MOST_DIGITS + 1):
        scaled = np.rint(numbers * 10.0**digits)
        if np.abs(scaled).max(initial=0) >= _EXACT_FLOAT:
            return None
        if (scaled / 10.0**digits == numbers).all():
            return digits
    return None


def _to_grid(numbers: Numbers, digits: int | None) -> Numbers:
    if digits is None:
        return numbers
    limit = _EXACT_FLOAT
    return np.clip(np.rint(numbers * 10.0**digits), -limit, limit).astype(np.int64)
