"""Do synthetic rows lie nearer to the training rows than chance would have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.features import FeatureSpace
from syntheflow_server.quality.groups import Groups, row_groups
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.privacy.neighbours import Attraction, attraction
from syntheflow_server.quality.privacy.repeats import Repeat, exact_copies, reused_values
from syntheflow_server.quality.separation import MIN_GROUPS, MIN_ROWS

ALARM_CAP = 0.5
"""The total score of tables that trip the alarm."""

NEARER_MARGIN = 0.05
REPEAT_MARGIN = 0.01
REUSE_MARGIN = 0.02
SIGMAS = 4.0
"""An alarm is four standard errors away from what held-out rows do: 1 in 30,000 by chance."""


class Copying(TableMetric):
    """Alarm on copies; silence of the alarm is no proof of privacy.

    Three figures, each against what the held-out rows themselves do:
    nearer = share of synthetic rows whose nearest real row is a training row, as if as
    many training as held-out rows stood to choose from (1/2 without copying);
    exact copies of training rows; reuse of training values in near-unique columns.
    value = 1 - 2 * the largest excess beyond noise. Raw figure: `nearer`.
    The total is that of the worst table.
    """

    name: ClassVar[str] = "copying"
    title: ClassVar[str] = "Copying alarm"
    question: ClassVar[str] = "Do synthetic rows repeat the rows the model learned from?"
    goal: ClassVar[Goal] = Goal.MINIMISE
    weight: ClassVar[float] = 0.09
    cost: ClassVar[float] = 2.0

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Measure the three figures of one table."""
        space = FeatureSpace(evidence.schema, table, evidence.train(table), lambda: beat(0.0))
        if space.empty:
            return Finding()
        groups = row_groups(evidence, table)
        if reason := _too_small(evidence, table, groups):
            return Finding(reason=reason)
        near = attraction(evidence, table, space, groups, lambda done: beat(0.8 * done))
        repeats = [exact_copies(evidence, table, space, groups)]
        beat(0.9)
        repeats += reused_values(evidence, table, space, groups)
        excess = [max(0.0, near.share - 0.5 - 2 * near.error)]
        excess += [max(0.0, r.excess - 2 * r.error) for r in repeats]
        alarms = _alarms(table, near, repeats)
        detail = f"{alarms[0]}." if alarms else _quiet(table, near.share, repeats)
        return Finding(
            score=self.score(1 - 2 * max(excess), near.share, detail),
            warnings=tuple(f"Copying alarm: {text}." for text in alarms),
            cap=ALARM_CAP if alarms else 1.0,
            details={
                "nearer_to_train": near.share,
                "nearer_error": near.error,
                "alarm": bool(alarms),
                "repeats": [
                    {
                        "what": r.what,
                        "synthetic": r.synthetic,
                        "holdout": r.holdout,
                        "chance": r.chance,
                        "error": r.error,
                    }
                    for r in repeats
                ],
            },
        )

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        return scores[worst].detail

    def total(self, scores: Sequence[Score]) -> tuple[float, float]:
        """Return the figures of the worst table: one leaking table is a leak."""
        worst = min(scores, key=lambda score: score.value)
        return worst.value, worst.raw


def _too_small(evidence: Evidence, table: str, groups: Groups) -> str:
    """Return why there is too little to compare, or nothing."""
    if min(evidence.holdout(table).num_rows, evidence.train(table).num_rows) < MIN_ROWS:
        return f"fewer than {MIN_ROWS} held-out rows"
    if evidence.synthetic(table).num_rows < MIN_ROWS:
        return f"fewer than {MIN_ROWS} synthetic rows"
    if min(len(np.unique(side)) for side in (groups.train, groups.holdout)) < MIN_GROUPS:
        return f"the rows belong to fewer than {MIN_GROUPS} parents"
    return ""


def _alarms(table: str, near: Attraction, repeats: Sequence[Repeat]) -> list[str]:
    found: list[str] = []
    if near.share - 0.5 > max(NEARER_MARGIN, SIGMAS * near.error):
        found.append(
            f"{near.share:.0%} of the synthetic rows of {table} lie nearer to training than to "
            "held-out rows (half without copying)"
        )
    margins = [REPEAT_MARGIN, *[REUSE_MARGIN] * (len(repeats) - 1)]
    found += [
        _alarm(repeat, table)
        for repeat, margin in zip(repeats, margins, strict=True)
        if repeat.excess > max(margin, SIGMAS * repeat.error)
    ]
    return found


def _alarm(repeat: Repeat, table: str) -> str:
    return (
        f"{repeat.synthetic:.1%} of the synthetic rows of {table} repeat {repeat.what}; "
        f"{repeat.holdout:.1%} of the held-out rows do"
    )


def _quiet(table: str, share: float, repeats: Sequence[Repeat]) -> str:
    copies = repeats[0]
    return (
        f"No alarm; in {table} {share:.0%} of synthetic rows lie nearer to training than to "
        f"held-out rows (half is chance), {copies.synthetic:.1%} repeat a training row exactly "
        f"({copies.holdout:.1%} of held-out rows do)."
    )
