"""Which codecs of an earlier model suit new values, and what their codes stood for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import RARE_ROWS, Codec
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.boolean import BooleanCodec
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.encoding.holders import counted
from syntheflow_server.engine.encoding.numeric import NumericCodec
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.encoding.temporal import TemporalCodec
from syntheflow_server.engine.encoding.text import TextCodec

_OUTSIDE = 0.005
_CROWDED = 1.5
_ONE_TOKEN = 256

Ints = npt.NDArray[np.int64]


def adapted(
    codec: Codec, values: pa.Array, needed: int = RARE_ROWS, entity: Ints | None = None
) -> Codec | None:
    """Return `codec` if it suits the new `values`, extended by new names or gaps, else None.

    A new name needs `needed` holders: rows, or different ones of the entities [n].
    """
    if isinstance(codec, CategoryCodec):
        return _with_new_names(codec, values, needed, entity)
    gaps = values.null_count > 0
    if isinstance(codec, BooleanCodec):
        return BooleanCodec.of(codec.name, 3 if gaps else codec.sizes[0])
    if not isinstance(codec, NumericCodec | TemporalCodec) or not _suits(codec, values):
        return None
    return _with_gaps(codec) if gaps and not codec.missing else codec


def _suits(codec: NumericCodec | TemporalCodec, values: pa.Array) -> bool:
    """Return True if the values are as well told apart as those that made the codec."""
    present = values.drop_null()
    if not len(present) or (isinstance(codec, NumericCodec) and not _on_grid(codec, present)):
        return False
    bins = [codec.bins]
    if isinstance(codec, TemporalCodec) and codec.clock is not None:
        bins.append(codec.clock)
    codes, start = codec.encode(present), 0
    for own in bins:
        if _crowds(own, codes[:, start].astype(np.int64)):
            return False
        start += 2 if own.paired else 1
    return _outside(codec, present) <= _OUTSIDE


def _with_new_names(
    codec: CategoryCodec, values: pa.Array, needed: int, entity: Ints | None
) -> CategoryCodec | None:
    names, counts, held_by = counted(values, entity)
    unknown = pc.is_null(pc.index_in(names, codec.values)).to_numpy(zero_copy_only=False)
    new = unknown & (held_by.counts >= needed)
    known = pa.concat_arrays([codec.values, names.filter(pa.array(new))])
    if codec.width == 1 and len(known) > _ONE_TOKEN:
        return None
    place = pc.index_in(known, names)
    held = np.append(counts, 0)[pc.fill_null(place, len(counts)).to_numpy(zero_copy_only=False)]
    if not held.sum():
        return None
    return CategoryCodec.of(
        codec.name,
        codec.type,
        known,
        np.cumsum(held) / held.sum(),
        width=codec.width,
        missing=codec.missing or values.null_count > 0,
        rare=codec.rare or bool((unknown & ~new).any()),
        others=codec.others,
        distinct=codec.distinct + int(new.sum()),
    )


def _with_gaps(codec: NumericCodec | TemporalCodec) -> Codec:
    facts, arrays = codec.to_state()
    return type(codec).from_state(facts | {"missing": True}, arrays)


def _on_grid(codec: NumericCodec, values: pa.Array) -> bool:
    """Return False if the values have more digits than the codec keeps."""
    if codec.digits is None:
        return not codec.shift
    numbers, missing = to_numbers(values, codec.name)
    present = numbers[~missing]
    whole = np.rint(present * 10.0**codec.digits)
    return bool((whole / 10.0**codec.digits == present).mean() > 1 - _OUTSIDE)


def _crowds(bins: Bins, codes: npt.NDArray[np.int64]) -> bool:
    """Return True if the values fall on far fewer bins than those that made the bins."""
    mass = np.diff(np.append(0.0, _upper(bins.places)))
    share = np.bincount(codes, minlength=bins.size)[: bins.size] / len(codes)
    return bool((share**2).sum() > _CROWDED * (mass**2).sum())


def _upper(places: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the cumulative shares of bins whose mid-quantiles are `places`."""
    signs = (-1.0) ** np.arange(len(places))
    return np.asarray(2 * signs * np.cumsum(signs * places))


def _outside(codec: NumericCodec | TemporalCodec, values: pa.Array) -> float:
    """Return the share of values below or above all that the codec knows."""
    lowest, highest = _ends(codec)
    bounds = pc.or_(pc.less(values, lowest), pc.greater(values, highest))
    return float(pc.mean(bounds.cast(pa.float64())).as_py() or 0.0)


def _ends(codec: NumericCodec | TemporalCodec) -> tuple[pa.Scalar, pa.Scalar]:
    """Return the least and the greatest value that the codec yields."""
    last = codec.bins.size - 1
    codes = np.zeros((2, len(codec.tokens)), np.int64)
    codes[1, 0] = last
    ends = np.array([[0.0] * codec.draws, [1 - 1e-12] * codec.draws])
    if codec.bins.paired:
        codes[1, 1] = codec.tokens[1].size - 1
    if isinstance(codec, TemporalCodec) and codec.clock is not None:
        first = 2 if codec.bins.paired else 1
        codes[1, first] = codec.clock.size - 1
        codes[1, first + 1 :] = codec.tokens[-1].size - 1
    made = codec.decode(codes, ends)
    return made[0], made[1]


def same_codes(old: Codec, new: Codec) -> list[Ints]:
    """Return for each token of `new` which code of `old` each of its codes stood for, or -1."""
    if new is old:
        return [np.arange(size) for size in new.sizes]
    found: list[Ints] | None = None
    if isinstance(new, CategoryCodec) and isinstance(old, CategoryCodec):
        found = _same_names(old, new)
    elif isinstance(new, TextCodec) and isinstance(old, TextCodec):
        found = [_same_texts(old, new)]
    elif new.kind == old.kind:
        found = _same_values(old, new)
    return found or [np.full(size, -1) for size in new.sizes]


def _same_values(old: Codec, new: Codec) -> list[Ints] | None:
    """Return the old codes of the values that new codes yield; None for different pairs."""
    sizes = new.sizes
    if len(sizes) == 1:
        codes = np.arange(sizes[0])[:, None]
        values = new.decode(codes, np.full((sizes[0], new.draws), 0.5))
        return [old.encode(values)[:, 0].astype(np.int64)]
    if not sizes or old.sizes[1:] != sizes[1:] or sizes[0] != old.sizes[0] + 1:
        return None
    # The same bins, and a code for gaps beyond the last one.
    first = np.append(np.arange(old.sizes[0]), -1)
    return [first, *(np.arange(size) for size in sizes[1:])]


def _same_names(old: CategoryCodec, new: CategoryCodec) -> list[Ints] | None:
    if new.width > 1:
        if new.width != old.width or not new.values[: len(old.values)].equals(old.values):
            return None
        groups = np.where(np.arange(new.groups) < old.groups, np.arange(new.groups), -1)
        rest = [np.arange(new.width)]
    else:
        place = pc.fill_null(pc.index_in(new.values, old.values), -1)
        groups, rest = place.to_numpy(zero_copy_only=False).astype(np.int64), []
    extra = []
    if new.missing:
        extra.append(old.groups if old.missing else -1)
    if new.rare:
        extra.append(old.groups + old.missing if old.rare else -1)
    return [np.append(groups, np.array(extra, np.int64)), *rest]


def _same_texts(old: TextCodec, new: TextCodec) -> Ints:
    codes = np.full(new.sizes[0], -1)
    known = {text: i for i, text in enumerate(old.common)}
    for i, text in enumerate(new.common):
        codes[i] = known.get(text, -1)
    shapes = {template.shapes: i for i, template in enumerate(old.templates)}
    for i, template in enumerate(new.templates):
        found = shapes.get(template.shapes)
        codes[len(new.common) + i] = -1 if found is None else len(old.common) + found
    if new.known and old.known:
        codes[new.of_known] = old.of_known
    if new.missing and old.missing:
        codes[-1] = old.sizes[0] - 1
    return codes
