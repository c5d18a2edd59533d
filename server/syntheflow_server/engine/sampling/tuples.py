"""Rows of several numbers: which are equal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def repeated(parts: list[Ints]) -> npt.NDArray[np.bool_]:
    """Return which rows have an equal one before them; `parts` are columns of numbers."""
    order = np.lexsort(tuple(reversed(parts)))
    same = np.ones(max(len(order) - 1, 0), bool)
    for part in parts:
        ordered = part[order]
        same &= ordered[1:] == ordered[:-1]
    result = np.zeros(len(order), bool)
    result[order[1:]] = same
    return result


def mixed(parts: list[Ints]) -> npt.NDArray[np.uint64]:
    """Return one number for what all parts, of shapes that go together, say."""
    mixed = np.zeros(1, np.uint64)
    for part in parts:
        mixed = (mixed ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = mixed ^ (mixed >> np.uint64(29))
    return mixed


def within(numbers: npt.NDArray[np.uint64], held: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which numbers are among the sorted `held`."""
    place = np.minimum(np.searchsorted(held, numbers), len(held) - 1)
    found: npt.NDArray[np.bool_] = held[place] == numbers
    return found


def numbered(values: pa.Array) -> Ints:
    """Return a number for each value, the same for equal ones."""
    coded = values.dictionary_encode(null_encoding="encode").indices
    codes: Ints = coded.to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)
