"""Small tables: do the sampled rows stand nearer to the learned ones than real rows do?"""

from __future__ import annotations

import numpy as np

from scoring.frames import Floats, Frame

SMALL = 300
_FEWEST = 5


def nearest_ratio(train: Frame, holdout: Frame | None, made: Frame) -> float | None:
    """Return the median distance of sampled rows to the nearest learned one, over real rows' own.

    Real rows are the held-out ones, or, where the table is whole on both sides (None), each
    learned row against the others. Distance: mean over columns of rank differences (numbers,
    moments) or of 'another value' (categories, texts). About 1 is right, below is copying;
    None if there are too few rows, or real rows are equal anyway.
    """
    if min(train.rows, made.rows) < _FEWEST or not train.columns:
        return None
    if holdout is None:
        between = _distances(train, train)
        np.fill_diagonal(between, np.inf)
        usual = np.median(between.min(axis=1))
    elif holdout.rows < _FEWEST:
        return None
    else:
        usual = np.median(_distances(holdout, train).min(axis=1))
    if usual <= 0:
        return None
    return float(np.median(_distances(made, train).min(axis=1)) / usual)


def _distances(rows: Frame, real: Frame) -> Floats:
    """Distances [rows, real rows]."""
    added = np.zeros((rows.rows, real.rows))
    for name, column in real.columns.items():
        mine, other = rows.columns[name].values, column.values
        if column.kind in {"number", "time"}:
            order = np.sort(other[~np.isnan(other)])
            places = [_places(order, values) for values in (mine, other)]
            added += np.abs(places[0][:, None] - places[1][None, :])
        else:
            added += mine.astype(str)[:, None] != other.astype(str)[None, :]
    return added / max(len(real.columns), 1)


def _places(order: Floats, values: Floats) -> Floats:
    if not len(order):
        return np.zeros(len(values))
    middle = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return np.where(np.isnan(values), -0.5, middle / 2 / len(order))
