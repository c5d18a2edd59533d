"""C2ST with folds that keep an entity's rows together: a classifier cannot learn entities by heart.

The AUC is of predictions on folds that the classifier has not seen. It is given as it is: 0.5
is chance, and a value below it is chance too (never turned round to be above). Copies of the
real rows can push it below, since a row's twin has the other label: means count such an AUC
as 0.5. Texts count by their shape and by how often they occur, never by what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Groups:
    """What each row belongs to, of the real and of the other rows; NOTHING is a group of its own.

    Equal numbers on both sides are one group only if `shared`: rows that are the same on both
    sides must stand in one fold, else each one's twin, with the other label, would push the
    AUC below 0.5.
    """

    real: Ints
    other: Ints
    shared: bool = False


def grouped_c2st(real: Frame, made: Frame, groups: Groups, *, cap: int = CAP) -> float | None:
    """Return the AUC of gradient boosting on equally many rows of both, or None without columns.

    With few rows it is the mean over three draws of rows and folds.
    """
    if not real.columns:
        return None
    count = min(real.rows, made.rows, cap)
    found = []
    for seed in range(_REPEATS if count < _FEW else 1):
        rows, truth, folds = _drawn(real, made, groups, count, seed)
        found.append(_auc(rows, truth, folds, _boosting(count, seed)))
    return float(np.mean(found))


def same_rows(frames: Sequence[Frame]) -> list[Ints]:
    """Number the rows of several frames by what they hold: equal rows have equal numbers."""
    rows = [frame.rows for frame in frames]
    codes = np.zeros(sum(rows), dtype=np.int64)
    for name in frames[0].columns:
        values = np.concatenate([frame.columns[name].values for frame in frames])
        values = values if values.dtype.kind == "f" else values.astype(str)
        part = np.unique(values, return_inverse=True)[1].astype(np.int64)
        codes = codes * (int(part.max(initial=0)) + 1) + part
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return np.split(codes, np.cumsum(rows)[:-1])


def told_by(real: Frame, made: Frame, groups: Groups, *, most: int = 5) -> list[tuple[str, float]]:
    """Return the columns that give the rows away most, each with its AUC alone (a small tree)."""
    count = min(real.rows, made.rows, _COLUMN_CAP)
    tree = DecisionTreeClassifier(max_leaf_nodes=24, min_samples_leaf=max(5, count // 100))
    found = []
    for name in real.columns:
        rows, truth, folds = _drawn(real.only([name]), made.only([name]), groups, count, 0)
        found.append((name, _auc(rows, truth, folds, tree)))
    return sorted(found, key=lambda pair: -pair[1])[:most]


def _drawn(
    real: Frame, made: Frame, groups: Groups, count: int, seed: int
) -> tuple[Floats, npt.NDArray[np.int64], Ints]:
    """Return features, truth (1: synthetic) and fold of `count` rows of each side."""
    rng = np.random.default_rng(seed)
    ours, theirs = (rng.permutation(frame.rows)[:count] for frame in (real, made))
    codes = groups.real[ours], groups.other[theirs]
    if groups.shared:
        folds = _folds(np.concatenate(codes), rng)
    else:
        folds = np.concatenate([_folds(part, rng) for part in codes])
    blocks = matrices([real.take(ours), made.take(theirs)], by_name=False)
    truth = np.repeat([0, 1], [len(block) for block in blocks])
    return np.concatenate(blocks), truth, folds


def _folds(groups: Ints, rng: np.random.Generator) -> Ints:
    """Deal groups to folds in turn; rows of none are groups of their own."""
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
        told = ~np.isnan(rows[learn]).all(axis=0)  # the learners refuse columns without a value
        if len(np.unique(truth[learn])) == 2 and told.any():
            model.fit(rows[learn][:, told], truth[learn])
            said[test] = model.predict_proba(rows[test][:, told])[:, 1]
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
