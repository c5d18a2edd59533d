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

_ONE_TOKEN = 256


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CategoryCodec(Codec):
    """Values in the order of their codes: value i is group i // `width`, member i % `width`.

    With one token `width` is 1. After the values' groups come, where the column needs
    them, the code `missing` and the code `rare`, which stands for all values with too
    few holders and decodes to a draw from the others by `cumulative` share.
    """

    kind: ClassVar[str] = "category"
    type: str
    values: pa.Array
    cumulative: Floats
    width: int
    missing: bool
    rare: bool

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        guide: npt.NDArray[np.int64] | None = None,
        needed: int = RARE_ROWS,
        entity: Ints | None = None,
    ) -> Self:
        """Return the codec of `values`; `guide` [n] are codes of a column that predicts it.

        A value needs `needed` holders (see `holders`) to have a code of its own.
        """
        names, rows, held = counted(values, entity)
        keep = held.counts >= needed
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
            draws=int(rare),
            distinct=distinct,
            type=kind,
            values=values,
            cumulative=cumulative,
            width=width,
            missing=missing,
            rare=rare,
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
        if self.rare:
            rare = np.flatnonzero(first == self.groups + self.missing)
            drawn = np.searchsorted(self.cumulative, uniforms[rare, 0], side="right")
            flat = flat.copy() if flat is first else flat
            flat[rare] = np.minimum(drawn, len(self.values) - 1)
        return self.values.take(pa.array(flat, mask=missing))

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts = {
            "name": self.name,
            "kind": self.type,
            "width": self.width,
            "missing": self.missing,
            "rare": self.rare,
            "distinct": self.distinct,
        }
        return facts, {"values": array_to_bytes(self.values), "cumulative": self.cumulative}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        values = array_from_bytes(arrays["values"], arrow_type(facts["kind"]))
        return cls.of(values=values, cumulative=arrays["cumulative"], **facts)


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
