"""Are values missing as often as in the real table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.noise import beyond, share_noise


class NullShares(TableMetric):
    """1 - difference of the shares of missing values, over all columns, keys included.

    Shown, not counted: column shapes count missing values already.
    """

    name: ClassVar[str] = "null_shares"
    title: ClassVar[str] = "Missing values"
    question: ClassVar[str] = "Are values missing as often as in the real table?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.0
    cost: ClassVar[float] = 0.1

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Compare the shares of all rows."""
        beat(0.0)
        real, synthetic = evidence.real(table), evidence.synthetic(table)
        n, m = real.num_rows, synthetic.num_rows
        if not n or not m:
            return Finding(reason="no rows to compare")
        left = np.array([column.null_count / n for column in real.columns])
        right = np.array([column.null_count / m for column in synthetic.columns])
        noise = share_noise((left * n + right * m) / (n + m), n, m)
        gaps = np.abs(left - right)
        values = [1 - beyond(gap, allowed) for gap, allowed in zip(gaps, noise, strict=True)]
        worst = int(np.lexsort([-gaps, values])[0])
        detail = (
            f"Worst: {real.column_names[worst]} of {table} is missing in {right[worst]:.1%} "
            f"of synthetic and {left[worst]:.1%} of real rows."
            if gaps.any()
            else f"Values of {table} are missing exactly as often as in the real table."
        )
        return Finding(
            score=self.score(float(np.mean(values)), float(1 - gaps.mean()), detail),
            details={
                "columns": {
                    name: {"real": float(left[i]), "synthetic": float(right[i])}
                    for i, name in enumerate(real.column_names)
                }
            },
        )

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        return scores[worst].detail
