"""Find the date of an owner that its first child follows: a registration and the first order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import moments
from syntheflow_server.engine.graph.structure import Sequence, Structure
from syntheflow_server.engine.training.follow import bits_to_tell

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_FEW_OWNERS = 50
_BITS_SAVED = 0.5
_APART = 0.1


def find_begin(
    structure: Structure, source: TableSource, kind: pa.DataType, first: Ints, has: Mask
) -> tuple[str, Ints] | None:
    """Return the owner's column that its first child follows, and its numbers [owners].

    `first` [owners] are the first children's values of type `kind` where an owner `has`
    any. A column counts if the difference takes clearly fewer bits to tell than the value,
    or if the child never lies before it though by chance it would.
    """
    if has.sum() < _FEW_OWNERS:
        return None
    best: tuple[float, str, Ints] | None = None
    order = structure.sequence.order if structure.sequence else ""
    for name in (*structure.modelled, *([order] if order else [])):
        values = combined(source.column(name))
        numbers = moments(values, kind)
        if numbers is None or values.null_count:
            continue
        saved = _saved(first[has], numbers[has])
        if saved is not None and (best is None or saved > best[0]):
            best = (saved, name, numbers)
    return None if best is None else (best[1], best[2])


def by_cycle(sequence: Sequence, first: Ints, base: Ints, has: Mask) -> Ints | None:
    """Return how many places [owners] first children stand after the base's month or year begins.

    None unless that takes clearly fewer bits to tell than the days since the base: the first
    review comes in the spring after the hiring. `first` are counted as `sequence` does,
    `base` are the column's own numbers, before which no first child may lie.
    """
    told = sequence.told(first)
    if not sequence.cycle or (told < base)[has].any():
        return None
    places: Ints = first - sequence.base(sequence.counted(base))
    days = bits_to_tell((told - base)[has], base[has])
    return places if bits_to_tell(places[has], base[has]) < days - _BITS_SAVED else None


def _saved(first: Ints, base: Ints) -> float | None:
    """Return the bits that a difference to `base` saves, None if it is of no use."""
    if len(np.unique(base)) < 2 or len(np.unique(first)) < 2:
        return None
    apart = first - base
    saved = bits_to_tell(first, base) - bits_to_tell(apart, base)
    # Where all owners' dates lie before all children, that none comes early says nothing.
    mixed = np.random.default_rng(0).permutation(base)
    bounded = bool((apart >= 0).all()) and float((first < mixed).mean()) >= _APART
    if bounded:
        return max(saved, 0.0) + 1000
    return saved if saved > _BITS_SAVED else None
