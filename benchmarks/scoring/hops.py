"""k-hop trends: do a child's columns go with its parent's, grandparent's, great-grandparent's?

As in the GRDM paper and SDMetrics: for each pair of columns 1 - half the difference of
correlations (two numbers or moments), or of contingency tables (other pairs); a path's mean,
then the mean over paths of one length. 1 is best; unrelated links reach .9 where ties are weak.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from statistics import fmean

import numpy as np

from scoring.database import Database, follow
from scoring.frames import Frame
from scoring.keys import Ints, Keys, Reference
from scoring.marginals import CAP, pair_score

HOPS = 3
Path = tuple[Reference, ...]


def hop_trends(real: Database, made: Database) -> dict[int, dict[str, float]]:
    """Return by number of hops and path the trend score of synthetic rows against real ones."""
    found: dict[int, dict[str, float]] = {}
    for path in paths(real.keys):
        score = _path_score(real, made, path)
        if score is not None:
            title = ">".join([path[0].child, *("+".join(r.columns) for r in path)])
            found.setdefault(len(path), {})[title] = score
    return found


def paths(keys: Keys) -> Iterator[Path]:
    """All ways from a child up to an ancestor at most HOPS away that visit no table twice.

    A table's reference to itself counts as one hop and leads no further.
    """
    waiting: list[Path] = [(reference,) for reference in keys.references]
    while waiting:
        path = waiting.pop(0)
        yield path
        if len(path) == HOPS or path[-1].child == path[-1].parent:
            continue
        seen = {path[0].child, *(r.parent for r in path)}
        waiting.extend((*path, r) for r in keys.of(path[-1].parent) if r.parent not in seen)


def _path_score(real: Database, made: Database, path: Path) -> float | None:
    sides = [_joined(data, path) for data in (real, made)]
    if any(low.rows < 2 for low, _ in sides):
        return None
    scores = []
    (low, high), (made_low, made_high) = sides
    pairs = product(_telling(low), _telling(high))
    for left, right in pairs:
        ours, theirs = low.columns[left], made_low.columns[left]
        scores.append(pair_score((ours, high.columns[right]), (theirs, made_high.columns[right])))
    return fmean(scores) if scores else None


def _telling(frame: Frame) -> list[str]:
    """Columns that are no texts and hold more than one value."""
    return [
        name
        for name, column in frame.columns.items()
        if column.kind != "text" and len(np.unique(column.values[column.present])) > 1
    ]


def _joined(data: Database, path: Path) -> tuple[Frame, Frame]:
    """Return children that have the ancestor, and for each the ancestor; at most CAP of them."""
    target: Ints = np.arange(data.rows(path[-1].parent), dtype=np.int64)
    for reference in reversed(path):
        target = follow(target, data.links[reference])
    there = np.flatnonzero(target >= 0)
    chosen = np.random.default_rng(0).permutation(there)[:CAP]
    return (
        data.frames[path[0].child].take(chosen),
        data.frames[path[-1].parent].take(target[chosen]),
    )
