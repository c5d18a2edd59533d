"""Chooses the codec that fits a column, and finds it again when an artefact is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.base import RARE_ROWS, Codec, Ints, combined
from syntheflow_server.engine.encoding.boolean import BooleanCodec
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.encoding.constant import ConstantCodec
from syntheflow_server.engine.encoding.holders import counted, entities
from syntheflow_server.engine.encoding.numeric import NumericCodec
from syntheflow_server.engine.encoding.temporal import TemporalCodec
from syntheflow_server.engine.encoding.text import TextCodec

_CODECS: tuple[type[Codec], ...] = (
    BooleanCodec,
    CategoryCodec,
    ConstantCodec,
    NumericCodec,
    TemporalCodec,
    TextCodec,
)


def fit_codec(
    column: Column,
    values: pa.Array | pa.ChunkedArray,
    seed: int,
    guide: npt.NDArray[np.int64] | None = None,
    needed: int = RARE_ROWS,
    *,
    tails: bool = True,
    entity: Ints | None = None,
    released: pa.Array | None = None,
) -> Codec:
    """Return the codec for `values` of `column`.

    A value needs `needed` holders to be put out as it is (true, false and missing aside):
    rows, or different ones of the entities `entity` [n] that rows belong to. Values in
    `released` are told elsewhere already and need none.
    Without `tails` numbers end where their last rows end.
    `guide` [n] holds codes of a low-cardinality column that predicts this one; it
    sorts the values of a category with more than 256 of them. Raises
    InvalidArgumentError naming the column if it holds infinite numbers.
    """
    array = combined(values)
    present = array.drop_null()
    if pa.types.is_floating(array.type):
        present = present.filter(pc.invert(pc.is_nan(present)))
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if not len(present):
        return ConstantCodec.fit(column, pa.nulls(1, column.arrow))
    free = entities(len(array), entity) >= needed or pa.types.is_boolean(array.type)
    if len(present) == len(array) and free and _is_one_value(present):
        return ConstantCodec.fit(column, present.slice(0, 1))
    if not tails and pa.types.is_integer(array.type):
        return NumericCodec.fit(column, array, needed, tails=False, entity=entity)
    return _fit_varied(column, array, seed, guide, needed, entity, released)


def _fit_varied(
    column: Column,
    array: pa.Array,
    seed: int,
    guide: npt.NDArray[np.int64] | None,
    needed: int,
    entity: Ints | None,
    released: pa.Array | None,
) -> Codec:
    if pa.types.is_boolean(array.type):
        return BooleanCodec.fit(column, array)
    text = pa.types.is_string(array.type)
    if (text or column.semantic_type is SemanticType.CATEGORY) and _repeats(array, needed, entity):
        return CategoryCodec.fit(column, array, guide, needed, entity, seed, released)
    if text:
        return TextCodec.fit(column, array, seed, needed, entity)
    if pa.types.is_temporal(array.type):
        return TemporalCodec.fit(column, array, needed, entity)
    return NumericCodec.fit(column, array, needed, entity=entity, released=released)


def codec_from_state(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Codec:
    """Return the codec whose `to_state` gave `facts` (with its kind added) and `arrays`."""
    own = dict(facts)
    kind = own.pop("codec")
    for codec in _CODECS:
        if codec.kind == kind:
            return codec.from_state(own, arrays)
    raise ValueError(f"unknown codec {kind!r}")


def codec_to_state(codec: Codec) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the codec's state with its kind, for `codec_from_state`."""
    facts, arrays = codec.to_state()
    return facts | {"codec": codec.kind}, arrays


def column_order(codecs: Sequence[Codec]) -> tuple[int, ...]:
    """Return the indices of `codecs` in the order in which the network makes them.

    Columns with few distinct values come first: they are learned best when unconditioned,
    and rich columns profit most from knowing the others.
    """
    return tuple(sorted(range(len(codecs)), key=lambda i: (codecs[i].distinct, i)))


def _is_one_value(present: pa.Array) -> bool:
    if pa.types.is_floating(present.type):
        numbers = present.to_numpy(zero_copy_only=False)
        return bool((numbers == numbers[0]).all())
    return int(pc.count_distinct(present).as_py()) == 1


def _repeats(values: pa.Array, needed: int, entity: Ints | None) -> bool:
    """Return True if at least half of the rows hold a value that may come back."""
    _, rows, held = counted(values, entity)
    return bool(rows[held.counts >= needed].sum() * 2 >= rows.sum())
