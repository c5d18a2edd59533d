"""How many rows refer to a row: the numbers that rows made later are to have as well."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from syntheflow_server.engine.graph.joins import Rows, child_counts
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.structure import Family, Link, LinkKind
from syntheflow_server.engine.sampling.crowds import paired
from syntheflow_server.engine.training.analysis import Analysis, children_of

Crowd = tuple[tuple[int, int], ...]
_FEW_PARENTS = 100
_TREE_ROWS = 1000
_WIDER = 2


def with_crowds(family: Family, analysis: Analysis, needed: int) -> Family:
    """Return the family with the crowds of all tables, which rows were counted for."""
    structures = {
        name: structure.model_copy(update={"crowds": _crowds(analysis, name, needed)})
        for name, structure in family.structures.items()
    }
    return replace(family, structures=structures)


def _crowds(analysis: Analysis, table: str, needed: int) -> dict[str, Crowd]:
    """Return the crowds of one table's rows, by owned table and by link."""
    family, rows = analysis.family, analysis.rows[table]
    if not rows:
        return {}
    found = {
        child: crowd_of(children_of(analysis, child), needed) for child in family.owned_by(table)
    }
    for link in family.drawn_from(table):
        parents = analysis.references[link.key]
        degrees = child_counts(parents, rows)
        if link.kind is LinkKind.CODED:
            found[str(link.key)] = crowd_of(degrees, needed)
        elif rows <= _TREE_ROWS:
            found[str(link.key)] = tree_crowd(depth_of(parents, link), degrees, needed)
    return found


def crowd_of(numbers: Rows, needed: int) -> Crowd:
    """Return ascending numbers of children, each with how many rows have it.

    For few rows exactly: a number of rows is no private value, and a small table has no
    other shape. Among more than _FEW_PARENTS rows a number that fewer than `needed` have
    is nobody's: its row and its neighbours share their mean, spread evenly around it.
    """
    values, rows = np.unique(shaped(numbers, needed), return_counts=True)
    return tuple(zip(values.tolist(), rows.tolist(), strict=True))


def shaped(numbers: Rows, needed: int) -> Rows:
    """Return the numbers with rare ones replaced, in the order of `numbers`."""
    values, rows = np.unique(numbers, return_counts=True)
    if len(numbers) <= _FEW_PARENTS or rows.min() >= needed:
        return numbers
    result = np.empty(len(numbers), np.int64)
    result[np.argsort(numbers, kind="stable")] = np.sort(_smoothed(values, rows, needed))
    return result


def _smoothed(values: Rows, rows: Rows, needed: int) -> Rows:
    """Return the numbers of all rows, rare ones replaced."""
    parts, start = [], 0
    while start < len(values):
        end = start + 1
        while rows[start:end].sum() < needed and end < len(values):
            end += 1
        parts.append((start, end))
        start = end
    if len(parts) > 1 and rows[slice(*parts[-1])].sum() < needed:
        parts[-2:] = [(parts[-2][0], parts[-1][1])]
    sizes = np.array([rows[a:b].sum() for a, b in parts])
    means = np.array([(values[a:b] * rows[a:b]).sum() for a, b in parts]) / sizes
    below = np.diff(means, prepend=min(means[0], 0))
    gaps = np.minimum(below, np.append(below[1:], below[-1]))
    # Three owners of nearly all rows are alike: no reason to make them unequal.
    gaps = np.minimum(gaps, [_WIDER * (values[b - 1] - values[a]) for a, b in parts])
    found = []
    for (start, end), size, mean, gap in zip(parts, sizes, means, gaps, strict=True):
        even = (np.arange(size) + 0.5) / size - 0.5
        found.append(mean + even * (gap if end > start + 1 else 0.0))
    return np.maximum(np.round(np.concatenate(found)), 0).astype(np.int64)


def tree_crowd(depth: Rows, degrees: Rows, needed: int) -> Crowd:
    """Return the levels and degrees of a tree's rows: each pair, and how many have it."""
    return tuple(sorted(Counter(paired(depth, shaped(degrees, needed)).tolist()).items()))


def depth_of(found: Rows, link: Link) -> Rows:
    """Return each row's level in a self reference's tree; the last one refers to itself."""
    depth = levels(found)
    assert depth is not None
    return np.where(found == np.arange(len(found)), link.levels, depth)
