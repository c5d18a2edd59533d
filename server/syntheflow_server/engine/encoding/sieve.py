"""Keeps composed strings from being somebody's own, without holding anybody's.

One bit for each hash of a rare real value, in a field so small that a quarter of it is
set: whatever is composed and falls on a set bit is composed again. A real value always
falls on one; so does every fourth string that nobody ever had, which is why the field
tells little about whether a given string was among the real ones (a Bloom filter with
one hash function, made coarse on purpose).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import Arrays

_BITS_A_VALUE = 4
_LONGEST = 128
_FACTOR = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Sieve:
    """A field of bits, packed; empty if there is nothing to keep apart from."""

    field: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Sequence[str], bits: int = _BITS_A_VALUE) -> Self:
        """Return the sieve of the distinct `texts`, with so many bits for each."""
        hashes = _hashes(np.array([text[:_LONGEST] for text in texts], np.str_))
        return cls._of_hashes(hashes, bits)

    @classmethod
    def of_rare(cls, parts: Iterable[pa.Array], needed: int, bits: int = _BITS_A_VALUE) -> Self:
        """Return the sieve of the strings that fewer than `needed` rows of all `parts` hold."""
        hashes = np.concatenate([_hashes(_letters(part.drop_null())) for part in parts])
        own, counts = np.unique(hashes, return_counts=True)
        return cls._of_hashes(own[counts < needed], bits)

    @classmethod
    def _of_hashes(cls, hashes: npt.NDArray[np.uint64], many: int) -> Self:
        if not len(hashes):
            return cls(np.zeros(0, np.uint8))
        size = max(64, len(hashes) * many)
        bits = np.zeros(size + -size % 8, np.bool_)
        bits[hashes % np.uint64(len(bits))] = True
        return cls(np.packbits(bits))

    def holds(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return for each string [n] whether it falls on a set bit."""
        if not len(self.field) or not len(texts):
            return np.zeros(len(texts), np.bool_)
        place = _hashes(_letters(texts)) % np.uint64(len(self.field) * 8)
        byte = self.field[(place >> np.uint64(3)).astype(np.int64)]
        return (byte >> (7 - (place & np.uint64(7)).astype(np.uint8))) & 1 > 0

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact."""
        return {f"{prefix}.field": self.field}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build what `to_arrays` gave."""
        return cls(arrays[f"{prefix}.field"])


NO_SIEVE = Sieve(np.zeros(0, np.uint8))
"""The sieve that lets everything pass."""


def _letters(texts: pa.Array) -> npt.NDArray[np.str_]:
    """Return what is hashed of the strings: one long note must not widen a million others."""
    return np.array(pc.utf8_slice_codeunits(texts, 0, _LONGEST).to_pylist(), np.str_)


def _hashes(texts: npt.NDArray[np.str_]) -> npt.NDArray[np.uint64]:
    """Return the FNV-1a hash of each string's first 128 characters, mixed once more."""
    wide = texts.dtype.itemsize // 4
    letters = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), wide)
    result = np.full(len(texts), _START)
    with np.errstate(over="ignore"):
        for place in range(min(wide, _LONGEST)):
            letter = letters[:, place].astype(np.uint64)
            result = np.where(letter > 0, (result ^ letter) * _FACTOR, result)
        result = (result ^ (result >> np.uint64(29))) * _MIX
    return result ^ (result >> np.uint64(32))
