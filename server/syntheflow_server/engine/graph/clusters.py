"""Codes of parents: what kind of parent a child refers to, in two small tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Token

Matrix = npt.NDArray[np.float32]
_FEW = 3
"""A code stands for at least so many real parents, so that it is nobody's name."""
_SIDE = 32
_ROWS_A_CODE = 8
_SAMPLE = 20_000
_TURNS = 12
_NOMINAL_WIDTH = 4
_TELLING = 1.5
"""What rows refer to a parent weighs so many times as much as all else about it together."""


@dataclass(frozen=True, slots=True, eq=False)
class Featurizer:
    """Turns token rows into points: places for ordered tokens, random signs for names."""

    tables: tuple[Matrix, ...]

    @classmethod
    def of(cls, tokens: Sequence[Token], weights: Sequence[float], seed: int) -> Self:
        """Return the featurizer for `tokens`, each scaled by its weight."""
        rng = np.random.default_rng(seed)
        tables = []
        for token, weight in zip(tokens, weights, strict=True):
            if token.places is not None:
                place = np.nan_to_num(token.places.astype(np.float64), nan=0.5)
                outside = np.isnan(token.places)
                table = np.stack([(place - 0.5) * 3.4 * ~outside, outside * 1.5], axis=1)
            else:
                table = rng.normal(size=(token.size, _NOMINAL_WIDTH)) / _NOMINAL_WIDTH**0.5
            tables.append((table * weight).astype(np.float32))
        return cls(tuple(tables))

    def with_table(self, token: int, centres: Matrix) -> Self:
        """Return the featurizer whose `token` has these points, more telling than all others."""
        weight = _TELLING * len(self.tables) ** 0.5
        spread = float(np.sqrt((centres**2).sum(axis=1).mean())) or 1.0
        tables = list(self.tables)
        tables[token] = (centres * (weight / spread)).astype(np.float32)
        return type(self)(tuple(tables))

    @property
    def width(self) -> int:
        """Dimensions of a point."""
        return sum(table.shape[1] for table in self.tables) if self.tables else 1

    def points(self, codes: npt.NDArray[Any]) -> Matrix:
        """Return the points [n, d] of token rows [n, T]."""
        if not self.tables:
            return np.zeros((len(codes), 1), np.float32)
        return np.concatenate(
            [table[codes[:, i].astype(np.int64)] for i, table in enumerate(self.tables)], axis=1
        )


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Two-level clusters: `groups` [g, d] and the `members` [c, d] of groups `owner` [c]."""

    featurizer: Featurizer
    groups: Matrix
    members: Matrix
    owner: npt.NDArray[np.int64]

    @property
    def side(self) -> int:
        """Members of the largest group."""
        return int(np.bincount(self.owner).max()) if len(self.owner) else 1

    @property
    def places(self) -> Matrix:
        """The point [groups * side, d] of each code; of codes that do not exist, the group's."""
        result = np.repeat(self.groups, self.side, axis=0)
        rank = np.arange(len(self.owner)) - np.searchsorted(self.owner, self.owner)
        result[self.owner * self.side + rank] = self.members
        return result

    def assign(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return each parent's code, group * side + member, from its tokens [n, T]."""
        points = self.featurizer.points(codes)
        group = nearest(points, self.groups)
        result = np.zeros(len(points), np.int64)
        for g in range(len(self.groups)):
            rows = np.flatnonzero(group == g)
            if len(rows):
                own = np.flatnonzero(self.owner == g)
                result[rows] = g * self.side + nearest(points[rows], self.members[own])
        return result

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `from_arrays` needs."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "groups": self.groups,
            "members": self.members,
            "owner": self.owner,
        }
        tables = {f"table_{i}": table for i, table in enumerate(self.featurizer.tables)}
        return arrays | tables

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the codebook that gave these arrays."""
        tables: list[Matrix] = []
        while f"table_{len(tables)}" in arrays:
            tables.append(arrays[f"table_{len(tables)}"])
        return cls(Featurizer(tuple(tables)), arrays["groups"], arrays["members"], arrays["owner"])


def fit_codebook(
    featurizer: Featurizer, codes: npt.NDArray[Any], child_rows: int, seed: int, few: int = _FEW
) -> Codebook:
    """Return the codebook of the parents with tokens `codes` [n, T], `few` of them a code."""
    rng = np.random.default_rng(seed)
    points = featurizer.points(codes)
    if len(points) > _SAMPLE:
        points = points[rng.choice(len(points), _SAMPLE, replace=False)]
    wanted = min(len(points) // few, child_rows // _ROWS_A_CODE, _SIDE * _SIDE)
    if wanted < 2:
        centre = points.mean(axis=0, keepdims=True) if len(points) else featurizer.points(codes[:0])
        centre = centre if len(centre) else np.zeros((1, points.shape[1]), np.float32)
        return Codebook(featurizer, centre, centre, np.zeros(1, np.int64))
    groups = clusters(points, min(_SIDE, max(2, round(wanted**0.5))), rng, few)
    group = nearest(points, groups)
    members, owner = [], []
    for g in range(len(groups)):
        own = points[group == g]
        count = max(1, min(_SIDE, round(wanted * len(own) / len(points)), len(own) // few))
        found = clusters(own, count, rng, few)
        members.append(found)
        owner += [g] * len(found)
    return Codebook(featurizer, groups, np.concatenate(members), np.array(owner, np.int64))


def clusters(points: Matrix, count: int, rng: np.random.Generator, few: int = _FEW) -> Matrix:
    """Return up to `count` k-means centres, each of at least `few` points, along their axis."""
    centres = points[rng.choice(len(points), count, replace=False)]
    for _ in range(_TURNS):
        label = nearest(points, centres)
        sizes = np.bincount(label, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, label, points)
        alive = sizes > 0
        centres = (sums[alive] / sizes[alive, None]).astype(np.float32)
    while len(centres) > 1:
        sizes = np.bincount(nearest(points, centres), minlength=len(centres))
        if sizes.min() >= few:
            break
        centres = np.delete(centres, sizes.argmin(), axis=0)
    axis = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][0]
    ordered: Matrix = centres[np.argsort(centres @ axis)].astype(np.float32)
    return ordered


def nearest(points: Matrix, centres: Matrix) -> npt.NDArray[np.int64]:
    """Return for each point [n, d] the index of the nearest centre [c, d]."""
    result = np.empty(len(points), np.int64)
    lengths = (centres * centres).sum(axis=1)
    for start in range(0, len(points), 8192):
        part = points[start : start + 8192]
        result[start : start + 8192] = (lengths - 2 * part @ centres.T).argmin(axis=1)
    return result
