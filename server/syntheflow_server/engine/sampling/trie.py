"""Sets of values as paths through a piece's tokens: which code may follow which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import Codec
from syntheflow_server.engine.encoding.chances import Chances
from syntheflow_server.engine.sampling.points import Points

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_LITTLE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Trie:
    """The allowed codes of sets of values, token by token; node i of the first token is set i.

    `factors[t]` [nodes, K] is what the weight of each code is multiplied with, `children[t]`
    [nodes, K] the node of the next token (-1: none); `leaves` draws one of `values` for a
    last node.
    """

    factors: tuple[Floats, ...]
    children: tuple[Ints, ...]
    leaves: Chances
    values: pa.Array

    @classmethod
    def of(cls, codec: Codec, points: Points, sets: Sequence[pa.Array]) -> Trie:
        """Return the trie of `sets` of values that the codec can encode."""
        values = pa.concat_arrays(sets)
        codes = codec.encode(values).astype(np.int64)
        mass = _mass(points, values, codes)
        node = np.repeat(np.arange(len(sets)), [len(part) for part in sets])
        count = len(sets)
        factors, children = [], []
        for token, size in enumerate(codec.sizes):
            factor = np.zeros((count, size))
            np.add.at(factor, (node, codes[:, token]), mass if token == 0 else 1.0)
            factors.append(np.minimum(factor, 1.0))
            pairs, place = np.unique(node * size + codes[:, token], return_inverse=True)
            child = np.full(count * size, -1)
            child[pairs] = np.arange(len(pairs))
            children.append(child.reshape(count, size))
            node, count = place.reshape(-1), len(pairs)
        order = np.argsort(node, kind="stable")
        leaves = Chances.of(node[order], order, mass[order])
        return cls(tuple(factors), tuple(children), leaves, values)

    def nodes(self, sets: Ints, codes: npt.NDArray[np.integer], token: int) -> Ints:
        """Return the node at `token` of rows of `sets` [b] whose codes so far are `codes`."""
        node = sets
        for before in range(token):
            node = self.children[before][node, codes[:, before]]
        return node

    def draw(self, sets: Ints, codes: npt.NDArray[np.integer], uniforms: Floats) -> Ints:
        """Return the place in `values` that each row takes; any of its set if its path is lost."""
        node = self.nodes(sets, codes, len(self.factors))
        lost = np.flatnonzero(node < 0)
        if len(lost):
            node = node.copy()
            node[lost] = self._first(sets[lost])
        return self.leaves.draw(node, uniforms)

    def _first(self, node: Ints) -> Ints:
        for child in self.children:
            node = child[node].max(axis=1)
        return node


def _mass(points: Points, values: pa.Array, codes: Ints) -> Floats:
    """Return the share that each value has of its first code, never nothing."""
    texts = points.values.dictionary_encode(null_encoding="encode")
    keys = texts.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    width = len(texts.dictionary) + 1
    found = pa.compute.index_in(values, value_set=texts.dictionary)
    mine = found.fill_null(width - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs, place = np.unique(points.codes[:, 0] * width + keys, return_inverse=True)
    mass = np.bincount(place.reshape(-1), points.mass)
    wanted = codes[:, 0] * width + mine
    at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where(pairs[at] == wanted, np.maximum(mass[at], _LITTLE), _LITTLE)
