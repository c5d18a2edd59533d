"""Keeps numbers that are made from being real ones: one bit a real number, one in four set.

A real number always falls on a set bit; so does every fourth or fifth that nobody ever
had, which is why the field hardly tells whether a given number was real.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.keys.permute import mix

Bits = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_BITS_A_KEY = 4
NOTHING: Bits = np.zeros(0, np.uint8)
TRIES = 16


def field_of(places: Places) -> Bits:
    """Return the packed bits of the real `places`."""
    bits = np.zeros(-(-len(places) * _BITS_A_KEY // 8) * 8, np.bool_)
    bits[_bit(places, len(bits))] = True
    return np.packbits(bits)


def held(field: Bits, places: Places) -> npt.NDArray[np.bool_]:
    """Return for each of `places` whether it falls on a set bit."""
    if not len(field):
        return np.zeros(len(places), np.bool_)
    bit = _bit(places, len(field) * 8)
    found: npt.NDArray[np.bool_] = (field[bit >> 3] >> (7 - (bit & 7)).astype(np.uint8)) & 1 > 0
    return found


def _bit(places: Places, size: int) -> Places:
    spread: Places = (mix(places.astype(np.uint64), 0) % np.uint64(size)).astype(np.int64)
    return spread
