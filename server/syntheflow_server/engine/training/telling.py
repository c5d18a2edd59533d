"""Which keys tell about the other columns of their row: numbers given out in time, or by area."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers

Codes = npt.NDArray[np.int64]
_FEW_ROWS = 200
_SAMPLE = 10_000
_STRETCHES = 32
_MOST_CODES = 32
_TURNS = 20
_CLEARLY = 6.0
_FILLED = 0.5


def counts_up(values: pa.ChunkedArray) -> bool:
    """Return True for whole numbers that number the rows: none twice, few of a range left out."""
    rows = len(values)
    if not pa.types.is_int64(values.type) or values.null_count or rows < _FEW_ROWS:
        return False
    limits = pc.min_max(values).as_py()
    if rows < _FILLED * (limits["max"] - limits["min"] + 1):
        return False
    return bool(pc.count_distinct(values).as_py() == rows)


def tells(source: TableSource, key: str, others: Iterable[str]) -> bool:
    """Return True if one of `others` depends on the key's rank far more than by chance.

    Mutual information of rank and column, both in at most 32 classes, on at most 10,000
    rows, against what it is when the key is shuffled.
    """
    values = combined(source.column(key))
    if not _ranks(values) or len(values) < _FEW_ROWS:
        return False
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(values))[:_SAMPLE])
    numbers = to_numbers(values.take(pa.array(rows)), key)[0]
    ranks = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    stretch = ranks * _STRETCHES // len(ranks)
    shuffled = [rng.permutation(stretch) for _ in range(_TURNS)]
    for name in others:
        column = combined(combined(source.column(name)).take(pa.array(rows)))
        codes = _classes(column, name)
        chance = np.array([_information(other, codes) for other in shuffled])
        if _information(stretch, codes) > chance.mean() + _CLEARLY * chance.std() + 1e-9:
            return True
    return False


def side_by_side(source: TableSource, key: str, other: str) -> bool:
    """Return True if two keys never fall while the other rises."""
    left, right = combined(source.column(key)), combined(source.column(other))
    if not (_ranks(left) and _ranks(right)):
        return False
    order = np.argsort(to_numbers(left, key)[0], kind="stable")
    return bool((np.diff(to_numbers(right, other)[0][order]) > 0).all())


def _ranks(values: pa.Array) -> bool:
    kind = values.type
    ordered = pa.types.is_int64(kind) or pa.types.is_date32(kind) or pa.types.is_timestamp(kind)
    return bool(ordered) and not values.null_count


def _classes(values: pa.Array, name: str) -> Codes:
    """Return the values in at most 32 classes: the most frequent ones, or stretches of ranks."""
    coded = values.dictionary_encode(null_encoding="encode")
    codes: Codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(coded.dictionary) <= _MOST_CODES:
        return codes
    kind = values.type
    if not (pa.types.is_string(kind) or pa.types.is_boolean(kind)):
        numbers, missing = to_numbers(values, name)
        present = np.sort(numbers[~missing])
        cuts = present[np.linspace(0, len(present) - 1, _MOST_CODES).astype(np.int64)[1:]]
        return np.where(missing, _MOST_CODES, np.searchsorted(cuts, numbers)).astype(np.int64)
    counts = np.bincount(codes)
    place = np.empty(len(counts), np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    classes: Codes = np.minimum(place, _MOST_CODES)[codes]
    return classes


def _information(left: Codes, right: Codes) -> float:
    """Return the mutual information of two columns of codes, in nats."""
    size = int(right.max(initial=0)) + 1
    joint = np.bincount(left * size + right, minlength=(int(left.max(initial=0)) + 1) * size)
    share = joint.reshape(-1, size) / max(len(left), 1)
    product = share.sum(axis=1)[:, None] * share.sum(axis=0)[None, :]
    some = share > 0
    return float((share[some] * np.log(share[some] / product[some])).sum())
