"""C2ST with folds that keep an entity's rows together: a classifier cannot learn entities by heart.

The AUC is of predictions on folds that the classifier has not seen. It is given as it is: 0.5
is chance, and a value below it is chance too (never turned round to be above). Copies of the
real rows can push it below, since a row's twin has the other label: means count such an AUC
as 0.5. Texts count by their shape and by how often they occur, never by what they say.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from scoring.features import matrices
from scoring.frames import Floats, Frame
from scoring.keys import NOTHING, Ints

CAP = 10_000
_FOLDS = 5
_FEW = 2_000
_REPEATS = 3
_COLUMN_CAP = 4_000


def grouped_c2st(
    real: Frame, made: Frame, groups: tuple[Ints, Ints], *, cap: int = CAP
) -> float | None:
    """Return the AUC of gradient boosting on equally many rows of both, or None without columns.

    `groups` holds each row's entity, of the real and of the synthetic rows (NOTHING: its own);
    equal numbers on both sides are different entities. With few rows the mean over three
    draws of rows and folds.
    """
    if not real.columns:
        return None
    count = min(real.rows, made.rows, cap)
    found = []
    for seed in range(_REPEATS if count < _FEW else 1):
        rows, truth, folds = _drawn(real, made, groups, count, seed)
        found.append(_auc(rows, truth, folds, _boosting(count, seed)))
    return float(np.mean(found))


def twin_c2st(real: Frame, other: Frame, *, cap: int = CAP) -> float | None:
    """Return the AUC between two versions of the same rows in the same order.

    Both versions of a row stand in one fold: else a row's twin, which has the other label,
    would push the AUC below 0.5.
    """
    if not real.columns:
        return None
    rng = np.random.default_rng(0)
    chosen = rng.permutation(real.rows)[:cap]
    blocks = matrices([real.take(chosen), other.take(chosen)], by_name=False)
    folds = np.tile(rng.permutation(len(chosen)) % _FOLDS, 2)
    truth = np.repeat([0, 1], len(chosen))
    return _auc(np.concatenate(blocks), truth, folds, _boosting(len(chosen), 0))


def told_by(
    real: Frame, made: Frame, groups: tuple[Ints, Ints], *, most: int = 5
) -> list[tuple[str, float]]:
    """Return the columns that give the rows away most, each with its AUC alone (a small tree)."""
    count = min(real.rows, made.rows, _COLUMN_CAP)
    tree = DecisionTreeClassifier(max_leaf_nodes=24, min_samples_leaf=max(5, count // 100))
    found = []
    for name in real.columns:
        rows, truth, folds = _drawn(real.only([name]), made.only([name]), groups, count, 0)
        found.append((name, _auc(rows, truth, folds, tree)))
    return sorted(found, key=lambda pair: -pair[1])[:most]


def _drawn(
    real: Frame, made: Frame, groups: tuple[Ints, Ints], count: int, seed: int
) -> tuple[Floats, npt.NDArray[np.int64], Ints]:
    """Return features, truth (1: synthetic) and fold of `count` rows of each side."""
    rng = np.random.default_rng(seed)
    frames, folds = [], []
    for frame, group in zip((real, made), groups, strict=True):
        chosen = rng.permutation(frame.rows)[:count]
        frames.append(frame.take(chosen))
        folds.append(_folds(group[chosen], rng))
    blocks = matrices(frames, by_name=False)
    truth = np.repeat([0, 1], [len(block) for block in blocks])
    return np.concatenate(blocks), truth, np.concatenate(folds)


def _folds(groups: Ints, rng: np.random.Generator) -> Ints:
    """Deal entities to folds in turn; rows of none are entities of their own."""
    own = np.where(groups == NOTHING, -2 - np.arange(len(groups)), groups)
    _, codes = np.unique(own, return_inverse=True)
    size = int(codes.max(initial=0)) + 1
    return np.asarray((rng.permutation(size) % _FOLDS)[codes])


def _auc(
    rows: Floats,
    truth: npt.NDArray[np.int64],
    folds: Ints,
    model: HistGradientBoostingClassifier | DecisionTreeClassifier,
) -> float:
    said = np.full(len(truth), 0.5)
    for learn, test in _parts(folds):
        if len(np.unique(truth[learn])) == 2:
            said[test] = model.fit(rows[learn], truth[learn]).predict_proba(rows[test])[:, 1]
    return float(roc_auc_score(truth, said)) if len(np.unique(truth)) == 2 else 0.5


def _parts(folds: Ints) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    for at in range(_FOLDS):
        test = folds == at
        if test.any():
            yield ~test, test


def _boosting(count: int, seed: int) -> HistGradientBoostingClassifier:
    """Smaller leaves where rows are few: with the usual 20 it would see next to nothing."""
    leaf = min(20, max(5, count // 40))
    return HistGradientBoostingClassifier(
        random_state=seed, min_samples_leaf=leaf, early_stopping=False
    )
