"""How well a model that learned from synthetic rows predicts held-out real ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score

from scoring.features import matrices
from scoring.frames import Floats, Frame


def utility(train: Frame, holdout: Frame, target: str, task: str) -> float:
    """Return the AUC (classification, one against the rest) or R2 on the held-out rows.

    NaN if the target cannot be learned: one class alone, or no row that has it.
    """
    train, holdout = _known(train, target), _known(holdout, target)
    rows, tests = matrices([train.without([target]), holdout.without([target])])
    truth, wanted = train.columns[target].values, holdout.columns[target].values
    if task == "regression":
        if len(truth) < 10 or len(wanted) < 3:
            return float("nan")
        model = HistGradientBoostingRegressor(random_state=0).fit(rows, truth)
        return float(r2_score(wanted, model.predict(tests)))
    return _classes(rows, truth.astype(str), tests, wanted.astype(str))


def _known(frame: Frame, target: str) -> Frame:
    return frame.take(np.flatnonzero(frame.columns[target].present))


def _classes(
    rows: Floats, truth: npt.NDArray[np.str_], tests: Floats, wanted: npt.NDArray[np.str_]
) -> float:
    """Mean AUC of each held-out class against the rest; a class never learned counts 0.5."""
    if len(set(truth.tolist())) < 2:
        return float("nan")
    stopping = len(truth) > 10_000 and np.unique(truth, return_counts=True)[1].min() > 10
    model = HistGradientBoostingClassifier(random_state=0, early_stopping=stopping)
    model.fit(rows, truth)
    said = dict(zip(model.classes_, model.predict_proba(tests).T, strict=True))
    classes = sorted(set(wanted.tolist()))
    if len(classes) < 2:
        return float("nan")
    if len(classes) == 2:
        classes = classes[1:]
    scores = [
        roc_auc_score(wanted == each, said[each]) if each in said else 0.5 for each in classes
    ]
    return float(np.mean(scores))
