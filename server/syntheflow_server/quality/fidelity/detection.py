"""Can a classifier tell synthetic rows from real rows that the model never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.features import FeatureSpace
from syntheflow_server.quality.groups import row_groups
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.separation import (
    MAX_ROWS,
    MIN_GROUPS,
    MIN_ROWS,
    Separation,
    Side,
    separate,
)

BASELINE_ROWS = 2_000
"""Rows a side of the control, training rows against held-out rows."""


class Detection(TableMetric):
    """AUC of boosted trees that tell synthetic from held-out rows, cross-validated.

    value = 1 - 2 * max(0, AUC - 1/2): 1 if the classifier guesses, 0 if it is always
    right. A control separates training from held-out rows; if it succeeds beyond noise
    (real groups differ among themselves), its lower bound takes the place of 1/2.
    Raw figure: the AUC.
    """

    name: ClassVar[str] = "detection"
    title: ClassVar[str] = "Detection"
    question: ClassVar[str] = "Can a classifier tell synthetic rows from unseen real rows?"
    goal: ClassVar[Goal] = Goal.MINIMISE
    weight: ClassVar[float] = 0.30
    cost: ClassVar[float] = 6.0

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Separate equal numbers of held-out and synthetic rows."""
        space = FeatureSpace(evidence.schema, table, evidence.train(table), lambda: beat(0.0))
        if space.empty:
            return Finding()
        groups = row_groups(evidence, table)
        sides = [
            _side(evidence, space, table, which, getattr(groups, which))
            for which in ("holdout", "synthetic", "train")
        ]
        return detect(self, table, (sides[0], sides[1], sides[2]), evidence.rng(table), beat)

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the AUC on average and the worst table's sentence."""
        if len(scores) == 1:
            return scores[worst].detail
        mean = np.mean([score.raw for score in scores.values()])
        return f"AUC {mean:.3f} on average over {len(scores)} tables; worst: {scores[worst].detail}"


def _side(
    evidence: Evidence, space: FeatureSpace, table: str, which: str, groups: np.ndarray
) -> Side:
    rows = getattr(evidence, which)(table)
    if rows.num_rows > MAX_ROWS:
        rng = evidence.rng(table, which, "detection")
        chosen = np.sort(rng.choice(rows.num_rows, MAX_ROWS, replace=False))
        rows, groups = rows.take(chosen), groups[chosen]
    return Side(space.encode(rows), groups)


def detect(
    metric: TableMetric,
    table: str,
    sides: tuple[Side, Side, Side],
    rng: np.random.Generator,
    beat: Callable[[float], None],
) -> Finding:
    """Return the finding on held-out, synthetic and training rows, in this order."""
    holdout, synthetic, train = sides
    if reason := too_small(holdout, synthetic):
        return Finding(reason=reason)
    found = separate(holdout, synthetic, rng, lambda done: beat(done * 0.7), explain=True)
    control = None
    if train.rows >= MIN_ROWS:
        control = separate(
            holdout, train, rng, lambda done: beat(0.7 + done * 0.3), limit=BASELINE_ROWS
        )
    chance = max(0.5, control.low) if control else 0.5
    value = 1 - max(0.0, found.auc - chance) / (1 - chance) if chance < 1 else 1.0
    return Finding(
        score=metric.score(value, found.auc, _sentence(table, found)),
        details=_details(found, control, chance),
    )


def too_small(holdout: Side, synthetic: Side) -> str:
    """Return why there is too little to separate, or nothing."""
    if holdout.rows < MIN_ROWS:
        return f"fewer than {MIN_ROWS} held-out rows"
    if synthetic.rows < MIN_ROWS:
        return f"fewer than {MIN_ROWS} synthetic rows"
    if min(holdout.group_count, synthetic.group_count) < MIN_GROUPS:
        return f"the rows belong to fewer than {MIN_GROUPS} parents"
    return ""


def _sentence(table: str, found: Separation) -> str:
    text = (
        f"a classifier tells rows of {table} apart with AUC {found.auc:.3f} "
        f"({found.low:.2f} to {found.high:.2f}, .5 is guessing)"
    )
    if traits := give_away(found):
        text += f", mostly by {' and '.join(traits[:2])}"
    return text[0].upper() + text[1:] + "."


def give_away(found: Separation) -> list[str]:
    """Return the columns that the classifier leans on, strongest first."""
    if found.low <= 0.5:
        return []
    ranked = sorted(found.give_away.items(), key=lambda item: -item[1])
    return [name for name, loss in ranked if loss > 0.005]


def _details(found: Separation, control: Separation | None, chance: float) -> dict[str, Any]:
    return {
        "auc": found.auc,
        "auc_low": found.low,
        "auc_high": found.high,
        "rows_a_side": found.rows,
        "control_auc": control.auc if control else None,
        "control_low": control.low if control else None,
        "control_high": control.high if control else None,
        "chance": chance,
        "give_away": [
            {"column": name, "auc_loss": loss}
            for name, loss in sorted(found.give_away.items(), key=lambda item: -item[1])
        ],
    }
