"""Classifier two-sample tests: can gradient boosting tell synthetic rows from held-out ones?

AUC over five folds; 0.5 means that it cannot. Lopez-Paz and Oquab, ICLR 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from scoring.features import matrices
from scoring.frames import Floats, Frame

CAP = 20_000
COLUMN_CAP = 5_000
TOLD = 3


def c2st(real: Frame, synthetic: Frame, *, learner: str = "hgb", cap: int = CAP) -> float:
    """Return the AUC of `learner` ('hgb' or 'xgb') on equally many rows of both (at most `cap`)."""
    rng = np.random.default_rng(0)
    count = min(real.rows, synthetic.rows, cap)
    ours, theirs = matrices([real.sample(count, rng), synthetic.sample(count, rng)])
    return _auc(ours, theirs, learner)


def column_aucs(real: Frame, synthetic: Frame) -> dict[str, float]:
    """Return the AUC of each column alone, the worst first."""
    found = {
        name: c2st(real.only([name]), synthetic.only([name]), cap=COLUMN_CAP)
        for name in real.columns
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def drops(real: Frame, synthetic: Frame, whole: float, names: list[str]) -> dict[str, float]:
    """Return by how much the AUC `whole` falls if one of the named columns is left out."""
    if len(real.columns) < 2:
        return {}
    return {name: whole - c2st(real.without([name]), synthetic.without([name])) for name in names}


def _auc(real: Floats, synthetic: Floats, learner: str) -> float:
    if not real.shape[1]:
        return 0.5
    rows = np.concatenate([real, synthetic])
    truth = np.repeat([0, 1], [len(real), len(synthetic)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(_learner(learner), rows, truth, cv=folds, method="predict_proba")
    return float(roc_auc_score(truth, said[:, 1]))


def _learner(name: str) -> Any:
    if name == "hgb":
        return HistGradientBoostingClassifier(random_state=0)
    from xgboost import XGBClassifier

    return XGBClassifier(tree_method="hist", n_jobs=1, random_state=0)
