"""What is known of rows when a link is resolved, for `training.affinity` to choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.affinity import axis_of
from syntheflow_server.engine.graph.clusters import Codebook
from syntheflow_server.engine.graph.structure import Affinity, AffinityKind, Family, Link, LinkKind
from syntheflow_server.engine.layout import Layout, PieceKind
from syntheflow_server.engine.training.affinity import (
    Candidate,
    affine,
    by_column,
    by_link,
    by_token,
    find_affinities,
)
from syntheflow_server.engine.training.analysis import Analysis

Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def affinities_of(
    analysis: Analysis,
    table: str,
    source: TableSource,
    tokens: tuple[Layout, Codes],
    books: Mapping[str, Codebook],
    teaching: Mask,
    seed: int,
) -> Mapping[str, tuple[Affinity, ...]]:
    """Return the affinities of a table's links by text.

    `tokens` are the table's layout and codes [n, T], those of links [n, 2] too, which
    `books` tell; rows not `teaching` [n] are not looked at.
    """
    structure = analysis.family[table]
    layout, codes = tokens
    kinds = {
        piece.name: codes[:, piece.start].astype(np.int64) * books[piece.name].side
        + codes[:, piece.start + 1]
        for piece in layout.of_kind(PieceKind.LINK)
    }
    every = list(_candidates(analysis, table, source, layout, codes, kinds))
    known: dict[str, tuple[tuple[Affinity, ...], float]] = {}

    def learn(link: Link, barred: frozenset[str]) -> tuple[tuple[Affinity, ...], float]:
        name = str(link.key)
        if name in known and not barred & {affinity.name for affinity in known[name][0]}:
            return known[name]
        rows = np.flatnonzero(teaching & (analysis.references[link.key] >= 0))
        own = set(link.key.child_columns)
        usable = [c.of(rows) for c in every if c.affinity.name not in barred | own]
        groups = kinds[name][rows]
        for column in link.shared:
            shared = axis_of(combined(source.column(column)))
            values = np.unique(shared[rows], return_inverse=True)[1]
            groups = groups * (int(values.max(initial=0)) + 1) + values
        known[name] = find_affinities(
            link, analysis.references[link.key][rows], groups, usable, seed
        )
        return known[name]

    return affine(structure, learn)


def _candidates(
    analysis: Analysis,
    table: str,
    source: TableSource,
    layout: Layout,
    codes: Codes,
    kinds: Mapping[str, Ints],
) -> Iterator[Candidate]:
    structure = analysis.family[table]
    for link in structure.links:
        if link.kind is LinkKind.CODED:
            name = str(link.key)
            yield by_link(name, analysis.references[link.key], kinds[name])
    if structure.owner is not None:
        for name in structure.owner.child_columns:
            if _plain(analysis.family, table, name):
                yield from by_column(AffinityKind.OWNER, name, combined(source.column(name)))
    for piece in layout.of_kind(PieceKind.COLUMN):
        if piece.tokens:
            first = codes[:, piece.start].astype(np.int64)
            ordered = piece.tokens[0].places is not None
            yield from by_token(piece.name, first, ordered=ordered)


def _plain(family: Family, table: str, name: str) -> bool:
    """Return whether no reference but those to owners fills a column of the table."""
    owner = family[table].owner
    while owner is not None and name in owner.child_columns:
        name = owner.parent_columns[owner.child_columns.index(name)]
        table = owner.parent_table
        owner = family[table].owner
    return not any(name in link.key.child_columns for link in family[table].links)
