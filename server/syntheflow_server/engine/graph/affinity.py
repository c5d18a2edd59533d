"""In which order rows and parents of one kind are paired, so that rows of a parent are alike.

A code names a kind of parent; which of them a row gets would be chance. But a plane flies
for one airline, and an airline's planes are of a kind: so rows are put in order by what is
known of them (affinities), parents in an order of their own that is the same everywhere, and
the first rows go to the first parent.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.keys.permute import mix

Ints = npt.NDArray[np.int64]
_LEAST = np.iinfo(np.int64).min


def scattered(rows: Ints, name: str) -> Ints:
    """Return a number for each row of a table, in no order, always the same under `name`."""
    return mix(rows.astype(np.uint64), zlib.crc32(name.encode())).astype(np.int64)


def axis_of(values: pa.Array) -> Ints:
    """Return where each value [n] lies: numbers and times in order, texts in any fixed order."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    missing = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        numbers = values.cast(pa.int32()).cast(pa.int64())
    elif pa.types.is_temporal(kind):
        numbers = values.cast(pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        numbers = values.cast(pa.int64(), safe=False)
    else:
        coded = pc.dictionary_encode(values.cast(pa.string()))
        known = np.array([zlib.crc32(str(v).encode()) for v in coded.dictionary.to_pylist()], int)
        places = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        found = known[places] if len(known) else np.zeros(len(places), np.int64)
        return np.where(missing, _LEAST, found).astype(np.int64)
    filled = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    result: Ints = np.where(missing, _LEAST, filled).astype(np.int64)
    return result


def in_order(
    parents: Ints,
    kinds: Ints,
    keys: Sequence[Sequence[Ints]],
    noise: Sequence[float],
    place: Ints,
    rng: np.random.Generator,
    runs: Ints | None = None,
) -> Ints:
    """Return the `parents` [n] of rows given out anew among rows whose parents are of one kind.

    `kinds` [n] are the kinds of the parents, `place` [n] where these stand in their order.
    `keys` hold by affinity the numbers [n] that put rows in order, the first affinity first, and
    `noise` the share of rows that are put somewhere else. Rows of one of `runs` [n], the
    numbers of their first rows, stay together. Every parent has as many rows as before.
    """
    count = len(parents)
    first = np.arange(count) if runs is None else runs
    told = []
    for affinity, share in zip(keys, noise, strict=True):
        source = np.arange(count)
        loose = np.flatnonzero((rng.random(count) < share) & (first == source))
        chance = rng.permutation(len(loose))
        left = loose[np.argsort(kinds[loose], kind="stable")]
        right = loose[chance][np.argsort(kinds[loose[chance]], kind="stable")]
        source[left] = right
        told += [key[source][first] for key in affinity]
    tie = rng.random(count)[first]
    rows = np.lexsort([tie, *reversed(told), kinds])
    stubs = np.lexsort([parents, place, kinds])
    result = np.empty(count, np.int64)
    result[rows] = parents[stubs]
    return result
