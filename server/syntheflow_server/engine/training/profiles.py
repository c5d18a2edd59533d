"""What the rows that refer to a parent have in common, as one code on the parent.

A plane flies for one airline on few routes: nothing in the plane's own columns says so.
The parent's network draws the code together with its columns, and the link's clusters are
made of it too, so that rows which refer to one parent resemble one another as they really do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.clusters import Matrix, clusters, nearest
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.training.analysis import Analysis

_MOST_CODES = 255
_CHILD_CODES = 63
_ROWS_A_CODE = 8
_WIDTH = 8
_FEWEST_PARENTS = 12
_FEWEST_ROWS = 2.0
"""So many rows a parent at least, on average: of fewer there is nothing to sum up."""
_LEAST_SHARE = 0.03
_RIDGE = 0.05
_NAMES = 200
_NAME_WIDTH = 6


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Each parent's code [n]; code 0: no row refers to it. `centres` [k, d] are their points."""

    codes: npt.NDArray[np.uint16]
    centres: Matrix


def names(rows: int, seed: int) -> Matrix:
    """Return a point [n, d] for each row of a small table: rows are all equally far apart."""
    width = _NAME_WIDTH if 0 < rows <= _NAMES else 0
    spread = np.random.default_rng(seed).normal(size=(rows, width)) / _NAME_WIDTH**0.5
    points: Matrix = spread.astype(np.float32)
    return points


def referring(
    analysis: Analysis, link: Link, points: Callable[[str], Matrix], seed: int
) -> list[Matrix]:
    """Return what is known of the rows that refer by `link`: [m, d] of several tables.

    `points` gives the points of a table's own columns. Beside those of the row itself it is
    those of its owner and of the parents that it refers to by other links.
    """
    child = link.key.child_table
    structure = analysis.family[child]
    parts = [points(child)]
    keys = [other.key for other in structure.links if other.key != link.key]
    for key in [*([structure.owner] if structure.owner else []), *keys]:
        rows = analysis.references[key]
        theirs = [points(key.parent_table), names(analysis.rows[key.parent_table], seed)]
        if len(theirs[0]):
            both = np.concatenate(theirs, axis=1)
            parts.append(both[np.maximum(rows, 0)] * (rows >= 0)[:, None])
    return parts


def profiles_of(
    points: Sequence[Matrix], found: Rows, teaching: npt.NDArray[np.bool_], needed: int, seed: int
) -> Profiles | None:
    """Return the profiles of parents, None if rows of one parent are not alike.

    `points` [m, d] are parts of the referring rows' features, `found` [m] the rows' parents,
    `teaching` [n] the parents to learn from; each code stands for `needed` of these.
    """
    linked = found >= 0
    where = found[linked]
    degrees = np.bincount(where, minlength=len(teaching))
    known = degrees > 0
    learn = np.flatnonzero(known & teaching)
    if len(learn) < _FEWEST_PARENTS or degrees[learn].mean() < _FEWEST_ROWS or not points:
        return None
    features = np.concatenate([part[linked] for part in points], axis=1)
    summary = _summary(features, where, degrees)
    if summary is None:
        return None
    wanted = min(len(learn) // (2 * needed), int(degrees.sum()) // _ROWS_A_CODE, _MOST_CODES)
    return _coded(summary, known, learn, wanted, needed, seed)


def profiles_of_children(
    points: Matrix, owners: Rows, teaching: npt.NDArray[np.bool_], needed: int, seed: int
) -> Profiles | None:
    """Return the profiles of owners by the mean of their rows' `points` [m, d].

    `owners` [m] are the rows' owners, `teaching` [n] the owners to learn from.
    """
    degrees = np.bincount(owners, minlength=len(teaching))
    learn = np.flatnonzero((degrees > 0) & teaching)
    if len(learn) < _FEWEST_PARENTS or not points.shape[1]:
        return None
    scaled = (points / (points.std(axis=0) + 1e-3)).T
    sums = np.stack([np.bincount(owners, column, len(degrees)) for column in scaled], 1)
    means: Matrix = (sums / np.maximum(degrees, 1)[:, None]).astype(np.float32)
    wanted = min(len(learn) // (2 * needed), len(owners) // _ROWS_A_CODE, _CHILD_CODES)
    return _coded(means, degrees > 0, learn, wanted, needed, seed)


def _coded(
    summary: Matrix,
    known: npt.NDArray[np.bool_],
    learn: Rows,
    wanted: int,
    needed: int,
    seed: int,
) -> Profiles | None:
    """Return up to `wanted` codes for summaries [n, d] of parents that are `known` [n].

    The parents `learn` teach; fewer than two codes are none.
    """
    if wanted < 2:
        return None
    centre = summary[learn].mean(axis=0)
    axes = np.linalg.svd(summary[learn] - centre, full_matrices=False)[2][:_WIDTH]
    placed = ((summary - centre) @ axes.T).astype(np.float32)
    centres = clusters(placed[learn], wanted, np.random.default_rng(seed), needed)
    codes = np.zeros(len(known), np.int64)
    codes[known] = 1 + nearest(placed[known], centres)
    nobody = np.zeros((1, centres.shape[1]), np.float32)
    return Profiles(codes.astype(np.uint16), np.concatenate([nobody, centres]))


def _summary(features: Matrix, where: Rows, degrees: Rows) -> Matrix | None:
    """Return each parent's mean features [n, d], in units of how rows of one parent differ.

    Means of few rows are drawn to the middle as far as chance explains them (empirical
    Bayes); features in which rows of one parent are hardly more alike than others are left out.
    """
    count = np.maximum(degrees, 1)[:, None]
    sums = np.stack(
        [np.bincount(where, column, len(degrees)) for column in features.T.astype(np.float64)], 1
    )
    means = sums / count
    total = features.var(axis=0) + 1e-9
    several = degrees[where] > 1
    if not several.any():
        return None
    apart = (features[several] - means[where[several]]) ** 2
    freedom = several.sum() - len(np.unique(where[several]))
    within = apart.sum(axis=0) / max(int(freedom), 1)
    between = np.maximum(total - within, 0)
    kept = between > _LEAST_SHARE * total
    if not kept.any():
        return None
    means, total, within, between = means[:, kept], total[kept], within[kept], between[kept]
    middle = features[:, kept].mean(axis=0)
    trust = between / (between + within / count)
    scaled = trust * (means - middle) / np.sqrt(within + _RIDGE * total)
    scaled[degrees == 0] = 0.0
    summary: Matrix = scaled.astype(np.float32)
    return summary
