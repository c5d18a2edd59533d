"""How well a classifier tells two sets of rows apart (classifier two-sample test, C2ST).

Lopez-Paz & Oquab, 'Revisiting Classifier Two-Sample Tests', ICLR 2017, with the area
under the ROC curve (AUC) in place of accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from syntheflow_server.quality.features import Features
from syntheflow_server.quality.noise import ranks

MAX_ROWS = 20_000
"""Rows a side that a classifier looks at."""

MIN_ROWS = 40
MIN_GROUPS = 5
_TREES = 100


@dataclass(frozen=True, slots=True)
class Side:
    """Rows of one origin; rows of one group (the same parent) stay in one fold."""

    features: Features
    groups: np.ndarray

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.groups)

    @property
    def group_count(self) -> int:
        """Number of different groups."""
        return len(np.unique(self.groups))


@dataclass(frozen=True, slots=True)
class Separation:
    """AUC with a 95 % confidence interval; `give_away` is the AUC lost without a column."""

    auc: float
    low: float
    high: float
    rows: int
    give_away: dict[str, float] = field(default_factory=dict)


def separate(
    first: Side,
    second: Side,
    rng: np.random.Generator,
    beat: Callable[[float], None],
    *,
    limit: int = MAX_ROWS,
    explain: bool = False,
) -> Separation:
    """Train classifiers on both sides with equal numbers of rows and return their AUC.

    Cross-validated: every row is judged by a classifier that saw neither it nor a row
    of its group. `beat(fraction)` is called after each tree and may raise.
    """
    size = min(first.rows, second.rows, limit)
    chosen = [np.sort(rng.choice(side.rows, size, replace=False)) for side in (first, second)]
    matrix = np.concatenate(
        [s.features.matrix[c] for s, c in zip((first, second), chosen, strict=True)]
    )
    truth = np.repeat([0, 1], size)
    count = 3 if size > 5_000 else 5
    folds = np.concatenate(
        [_folds(s.groups[c], count, rng) for s, c in zip((first, second), chosen, strict=True)]
    )
    aucs, variances = [], []
    losses: dict[str, list[float]] = {name: [] for name in first.features.columns}
    for fold in range(count):
        test = folds == fold
        # scikit-learn cannot cut a feature into bins that holds no value at all.
        rows = np.where(np.isnan(matrix[~test]).all(axis=0), 0.0, matrix)
        model = _classifier(size, first.features.categorical, rng, _within(beat, fold, count))
        # One thread: trees of this size gain little from more, and on a busy machine the
        # threads of OpenMP wait for each other for minutes.
        with threadpool_limits(limits=1):
            model.fit(rows[~test], truth[~test])
            auc, variance = area(model.decision_function(rows[test]), truth[test] == 1)
            if explain:
                for name, loss in _losses(model, rows[test], truth[test], first.features, rng, auc):
                    losses[name].append(loss)
                    beat((fold + 1) / count)
        aucs.append(auc)
        variances.append(variance)
    mean, error = float(np.mean(aucs)), float(np.sqrt(np.sum(variances)) / count)
    return Separation(
        auc=mean,
        low=max(0.0, mean - 1.96 * error),
        high=min(1.0, mean + 1.96 * error),
        rows=size,
        give_away={name: float(np.mean(found)) for name, found in losses.items() if found},
    )


def _within(beat: Callable[[float], None], fold: int, count: int) -> Callable[[float], None]:
    return lambda done: beat((fold + done) / count)


def area(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve and its variance (DeLong et al. 1988)."""
    high, low = scores[positive], scores[~positive]
    n, m = len(high), len(low)
    every = ranks(scores)
    wins_high = (every[positive] - ranks(high)) / m
    wins_low = 1 - (every[~positive] - ranks(low)) / n
    variance = float(wins_high.var(ddof=1) / n + wins_low.var(ddof=1) / m) if min(n, m) > 1 else 1.0
    return float(wins_high.mean()), variance


def _folds(groups: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row; groups stay together, folds are about equal in rows."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    folds = np.empty(len(sizes), dtype=np.int64)
    folds[order] = np.minimum((middle * count / sizes.sum()).astype(np.int64), count - 1)
    if len(np.unique(folds)) < count:  # a group larger than a fold left one empty
        folds[order] = np.arange(len(sizes)) % count
    return folds[places]


def _classifier(
    size: int, categorical: np.ndarray, rng: np.random.Generator, beat: Callable[[float], None]
) -> HistGradientBoostingClassifier:
    trees = 0

    def after_tree(*_: object) -> float:
        # scikit-learn has no callback; its scorer of early stopping is called after every
        # tree and, never better nor worse, never stops the training.
        nonlocal trees
        trees += 1
        beat(min(1.0, trees / _TREES))
        return 0.0

    return HistGradientBoostingClassifier(
        max_iter=_TREES,
        # Small samples want small trees: full ones find noise and miss 4 points of AUC.
        learning_rate=0.07,
        max_leaf_nodes=int(np.clip(size // 50, 8, 31)),
        min_samples_leaf=int(np.clip(size // 25, 3, 20)),
        max_features=0.5,
        categorical_features=categorical if categorical.any() else None,
        early_stopping=True,
        validation_fraction=None,
        n_iter_no_change=_TREES + 1,
        scoring=after_tree,
        random_state=int(rng.integers(2**31)),
    )


def _losses(
    model: HistGradientBoostingClassifier,
    matrix: np.ndarray,
    truth: np.ndarray,
    features: Features,
    rng: np.random.Generator,
    auc: float,
) -> Iterator[tuple[str, float]]:
    """Yield for each column the AUC lost when its values are shuffled among the rows."""
    for name in dict.fromkeys(features.columns):
        places = [i for i, column in enumerate(features.columns) if column == name]
        shuffled = matrix.copy()
        shuffled[:, places] = matrix[rng.permutation(len(matrix))][:, places]
        yield name, auc - area(model.decision_function(shuffled), truth == 1)[0]
