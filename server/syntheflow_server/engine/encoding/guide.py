"""Finds the column that best tells the many values of a category apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import combined

_MANY_VALUES = 256
_GUIDE_CODES = 64
_MORE_THAN_CHANCE = 1.1


def best_guide(
    values: pa.Array | pa.ChunkedArray, others: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64] | None:
    """Return the one of `others` (codes [n] of other columns) that says most about `values`.

    Returns None if `values` has so few different ones that no guide is needed, or if no
    column with at most 64 codes says clearly more about them (in mutual information)
    than it says when its rows are shuffled.
    """
    table = combined(values).dictionary_encode()
    count = len(table.dictionary)
    if count <= _MANY_VALUES:
        return None
    index = table.indices.fill_null(count).to_numpy(zero_copy_only=False).astype(np.int64)
    best, guide = 0.0, None
    shuffle = np.random.default_rng(0)
    for codes in others:
        wide = int(codes.max(initial=0)) + 1
        if not 1 < wide <= _GUIDE_CODES:
            continue
        chance = _mutual_information(index, shuffle.permutation(codes), wide)
        told = _mutual_information(index, codes, wide) - _MORE_THAN_CHANCE * chance
        if told > best:
            best, guide = told, codes
    return guide


def _mutual_information(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], wide: int
) -> float:
    rows = len(first)
    pairs, counts = np.unique(first * wide + second, return_counts=True)
    own, other = np.bincount(first), np.bincount(second)
    expected = own[pairs // wide] * (other[pairs % wide] / rows)
    return float((counts / rows * np.log(counts / expected)).sum())
