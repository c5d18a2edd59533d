"""A keyed permutation of 0..n-1 that is evaluated at any place without building it.

A balanced Feistel network over the next power of four with cycle walking (Black and
Rogaway, "Ciphers with Arbitrary Finite Domains", 2002); rounds mix with splitmix64.
It spreads rows, it does not encrypt them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
_ROUNDS = 5


def mix(words: Words, key: int) -> Words:
    """Return 64 well-mixed bits for each word under `key` (splitmix64's finaliser)."""
    salt = np.uint64((key * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        z = words + salt
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


def permute(places: npt.NDArray[np.int64], size: int, key: int) -> npt.NDArray[np.int64]:
    """Return where the permutation of 0..size-1 keyed by `key` sends each place.

    Injective over 0..size-1; `places` must lie in that range.
    """
    if size <= 1 or not len(places):
        return places.astype(np.int64, copy=True)
    half = max(1, (int(size - 1).bit_length() + 1) // 2)
    result = _feistel(places.astype(np.uint64), half, key)
    outside = np.flatnonzero(result >= np.uint64(size))
    while len(outside):
        result[outside] = _feistel(result[outside], half, key)
        outside = outside[result[outside] >= np.uint64(size)]
    return result.astype(np.int64)


def _feistel(words: Words, half: int, key: int) -> Words:
    mask, shift = np.uint64((1 << half) - 1), np.uint64(half)
    left, right = words >> shift, words & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (mix(right, key * _ROUNDS + turn) & mask)
    return (left << shift) | right
