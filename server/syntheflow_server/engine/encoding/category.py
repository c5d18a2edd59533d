"""Columns of names: one token a value, or a group and a member where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding.base import (
    RARE_ROWS,
    Arrays,
    Codec,
    Codes,
    Floats,
    Ints,
    State,
    Token,
    as_codes,
    combined,
)
from syntheflow_server.engine.encoding.holders import counted
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes
from syntheflow_server.engine.encoding.rare import DRAWS, RareTexts

_ONE_TOKEN = 256


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CategoryCodec(Codec):
    """Values in the order of their codes: value i is group i // `width`, member i % `width`.

    With one token `width` is 1. After the values' groups come, where the column needs
    them, the code `missing` and the code `rare`, which stands for all values with too
    few holders. It decodes to a new string by `others`, or, without that, to a draw from
    the known values by `cumulative` share.
    """

    kind: ClassVar[str] = "category"
    type: str
    values: pa.Array
    cumulative: Floats
    width: int
    missing: bool
    rare: bool
    others: RareTexts | None

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        guide: npt.NDArray[np.int64] | None = None,
        needed: int = RARE_ROWS,
        entity: Ints | None = None,
        seed: int = 0,
        released: pa.Array | None = None,
    ) -> Self:
        """Return the codec of `values`; `guide` [n] are codes of a column that predicts it.

        A value needs `needed` holders (see `holders`) to have a code of its own, unless it is
        one of those `released`.
        """
        names, rows, held = counted(values, entity)
        keep = held.counts >= needed
        if released is not None:
            keep |= pc.is_in(names, value_set=released).to_numpy(zero_copy_only=False)
        known, counts = names.filter(pa.array(keep)), rows[keep]
        order = np.argsort(-counts, kind="stable")
        if len(counts) > _ONE_TOKEN and guide is not None:
            order = _guided_order(values, known, guide)
        known, counts = known.take(pa.array(order)), counts[order]
        width = 1 if len(counts) <= _ONE_TOKEN else int(np.ceil(np.sqrt(len(counts))))
        return cls.of(
            column.name,
            column.type,
            known,
            np.cumsum(counts) / counts.sum(),
            width=width,
            missing=values.null_count > 0,
            rare=not bool(keep.all()),
            others=_others(
                column, values, names.filter(pa.array(~keep)), seed, needed, entity, counts
            ),
            distinct=len(names) + int(values.null_count > 0),
        )

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        values: pa.Array,
        cumulative: Floats,
        *,
        width: int,
        missing: bool,
        rare: bool,
        others: RareTexts | None = None,
        distinct: int,
    ) -> Self:
        """Return the codec with these parts."""
        groups = -(-len(values) // width)
        tokens = [Token(groups + missing + rare)]
        if width > 1:
            tokens.append(Token(width))
        return cls(
            name=name,
            tokens=tuple(tokens),
            draws=DRAWS if others else int(rare),
            distinct=distinct,
            type=kind,
            values=values,
            cumulative=cumulative,
            width=width,
            missing=missing,
            rare=rare,
            others=others,
        )

    @property
    def groups(self) -> int:
        """Number of codes of the first token that stand for values."""
        return -(-len(self.values) // self.width)

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1 or 2]."""
        values = combined(values)
        unknown = (self.groups + self.missing) * self.width if self.rare else 0
        index = pc.fill_null(pc.index_in(values, self.values), unknown)
        flat = index.to_numpy(zero_copy_only=False).astype(np.int64)
        if values.null_count:
            empty = values.is_null().to_numpy(zero_copy_only=False)
            flat[empty] = self.groups * self.width if self.missing else 0
        if self.width == 1:
            return as_codes(flat[:, None])
        return as_codes(np.stack(np.divmod(flat, self.width), axis=1))

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return the values."""
        first = codes[:, 0].astype(np.int64)
        flat = first
        if self.width > 1:
            flat = np.minimum(first * self.width + codes[:, 1], len(self.values) - 1)
        missing = first == self.groups if self.missing else None
        values = self.values
        if self.rare:
            rare = np.flatnonzero(first == self.groups + self.missing)
            flat = flat.copy() if flat is first else flat
            if self.others is not None and len(rare):
                flat[rare] = len(values) + np.arange(len(rare))
                values = pa.concat_arrays([values, self.others.compose(uniforms[rare])])
            elif len(rare):
                flat[rare] = self._drawn(uniforms[rare, 0])
        return values.take(pa.array(flat, mask=missing))

    def apart(self, codes: npt.NDArray[Any], uniforms: Floats, made: pa.Array) -> pa.Array:
        """See `Codec.apart`."""
        rare = np.flatnonzero(codes[:, 0] == self.groups + self.missing)
        if self.others is None or not len(rare):
            return made
        index = np.arange(len(made))
        index[rare] = len(made) + np.arange(len(rare))
        own = self.others.apart(uniforms[rare], made.take(pa.array(rare)))
        return pa.concat_arrays([made, own]).take(pa.array(index))

    def _drawn(self, uniforms: Floats) -> Ints:
        """Return the number of a known value for each uniform."""
        drawn: Ints = np.searchsorted(self.cumulative, uniforms, side="right").astype(np.int64)
        return np.minimum(drawn, len(self.values) - 1)

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts: dict[str, Any] = {
            "name": self.name,
            "kind": self.type,
            "width": self.width,
            "missing": self.missing,
            "rare": self.rare,
            "distinct": self.distinct,
            "others": None,
        }
        arrays: Arrays = {"values": array_to_bytes(self.values), "cumulative": self.cumulative}
        if self.others is not None:
            facts["others"], own = self.others.to_state()
            arrays |= {f"others.{key}": value for key, value in own.items()}
        return facts, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        values = array_from_bytes(arrays["values"], arrow_type(facts["kind"]))
        own, others = dict(facts), None
        if (told := own.pop("others")) is not None:
            prefix = "others."
            parts = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            others = RareTexts.from_state(told, parts)
        return cls.of(values=values, cumulative=arrays["cumulative"], others=others, **own)


def _others(
    column: Column,
    values: pa.Array,
    rare: pa.Array,
    seed: int,
    needed: int,
    entity: Ints | None,
    beside: Ints,
) -> RareTexts | None:
    """Return how the `rare` values of a column of strings are composed anew, if they are."""
    if not pa.types.is_string(values.type) or not len(rare):
        return None
    own = pc.is_in(values, value_set=rare)
    whose = None if entity is None else entity[own.to_numpy(zero_copy_only=False)]
    return RareTexts.fit(column, values.filter(own), len(values), seed, needed, whose, beside)


def _guided_order(values: pa.Array, known: pa.Array, guide: npt.NDArray[np.int64]) -> Ints:
    """Return the order of `known` values by what the guide column holds in their rows.

    First by the most frequent guide code, then by the first principal component of
    the values' conditional distributions, so that one group holds similar values.
    """
    index = pc.fill_null(pc.index_in(values, known), -1).to_numpy(zero_copy_only=False)
    present = index >= 0
    wide = int(guide.max()) + 1
    cell = index[present].astype(np.int64) * wide + guide[present]
    table = np.bincount(cell, minlength=len(known) * wide).reshape(len(known), wide) + 0.0
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    centred = shares - shares.mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return np.lexsort((centred @ direction, table.argmax(axis=1)))
