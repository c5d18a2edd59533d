"""Whether real rows or values come back: nearest neighbours, exact copies, reused values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from scoring.frames import Column, Floats, Frame

NEAREST_CAP = 5_000
_COMMON = 30
_UNIQUE_SHARE = 0.5
_UNIQUE_ROWS = 50


def nearer_to_train(train: Frame, holdout: Frame, synthetic: Frame) -> float:
    """Share of synthetic rows that are nearer to a training row than to any held-out row.

    As many training rows as held-out ones are compared, ties count half; 0.5 is ideal.
    Numbers stand by their rank among the real rows, categories as one-hot codes; texts are
    left out.
    """
    rng = np.random.default_rng(0)
    count = min(train.rows, holdout.rows, NEAREST_CAP)
    near, far = train.sample(count, rng), holdout.sample(count, rng)
    asked = synthetic.sample(NEAREST_CAP, rng)
    blocks = [
        _places([frame.columns[name] for frame in (near, far, asked)])
        for name, column in train.columns.items()
        if column.kind != "text"
    ]
    if not blocks:
        return 0.5
    ours, theirs, rows = (np.concatenate([b[at] for b in blocks], axis=1) for at in range(3))
    distance = [
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(real).kneighbors(rows)[0][:, 0]
        for real in (ours, theirs)
    ]
    gap = np.round(distance[0] - distance[1], 9)
    return float(np.mean((gap < 0) + 0.5 * (gap == 0)))


def _places(columns: list[Column]) -> list[Floats]:
    """Return coordinates of real and synthetic values; a whole column spans about 1."""
    real = np.concatenate([columns[0].values, columns[1].values])
    if columns[0].kind in {"number", "time"}:
        order = np.sort(real[~np.isnan(real)])
        if not len(order):
            return [np.zeros((len(column.values), 1)) for column in columns]
        places = []
        for column in columns:
            low = np.searchsorted(order, column.values, side="left")
            high = np.searchsorted(order, column.values, side="right")
            place = np.where(column.present, (low + high) / 2 / len(order), -0.5)
            places.append(place[:, None])
        return places
    values, counts = np.unique(real.astype(str), return_counts=True)
    common = values[np.argsort(-counts, kind="stable")[:_COMMON]]
    return [
        (column.values.astype(str)[:, None] == common[None, :]) / np.sqrt(2) for column in columns
    ]


def copies(train: Frame, rows: Frame) -> float:
    """Share of rows that equal a training row in every column."""
    return float(np.isin(_keys(rows), _keys(train)).mean()) if rows.rows else 0.0


def _keys(frame: Frame) -> npt.NDArray[np.int64]:
    """One hash a row."""
    columns = [column.values.tolist() for column in frame.columns.values()]
    return np.array(
        [hash(tuple("" if v != v else v for v in row)) for row in zip(*columns, strict=True)],  # noqa: PLR0124
        dtype=np.int64,
    )


def reused(train: Frame, rows: Frame) -> dict[str, float]:
    """Share of the values that the training rows have too, by nearly unique column.

    Nearly unique: at least half of the training values differ from each other. Compare it
    with the same share of the held-out rows: columns on a coarse grid repeat by nature.
    """
    found = {}
    for name, column in train.columns.items():
        known = column.values[column.present]
        distinct = set(known.tolist())
        if len(known) < _UNIQUE_ROWS or len(distinct) < _UNIQUE_SHARE * len(known):
            continue
        made = rows.columns[name]
        made_values = made.values[made.present].tolist()
        found[name] = sum(v in distinct for v in made_values) / max(len(made_values), 1)
    return found
