"""Do parents have as many children as in the real tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from syntheflow_server.domain.resources import Score
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import child_counts
from syntheflow_server.quality.metric import Beat, Goal, Measurement, Metric
from syntheflow_server.quality.noise import beyond, kolmogorov

MIN_PARENTS = 10


class ChildCounts(Metric):
    """1 - Kolmogorov-Smirnov distance of the children per parent, for each reference.

    Parents without children count with 0. The value forgives what two real samples of
    this size differ by; raw figure: the plain mean over references.
    """

    name: ClassVar[str] = "child_counts"
    title: ClassVar[str] = "Children per parent"
    question: ClassVar[str] = "Do parents have as many children as in the real tables?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.05
    cost: ClassVar[float] = 0.5

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Compare all real rows with all synthetic rows, reference by reference."""
        keys = evidence.schema.foreign_keys
        scores: dict[ForeignKey, Score] = {}
        details: dict[str, Any] = {}
        small: list[str] = []
        for number, key in enumerate(keys):
            beat(number / len(keys), str(key))
            real, synthetic = _counts(evidence, key)
            if min(len(real), len(synthetic)) < MIN_PARENTS:
                small.append(str(key))
                continue
            distance, noise = kolmogorov(real, synthetic)
            scores[key] = self.score(
                1 - beyond(distance, noise),
                1 - distance,
                f"{key}: {synthetic.mean():.2f} children per parent on average, "
                f"{real.mean():.2f} in the real tables (agreement {1 - distance:.3f}).",
            )
            details.setdefault(key.child_table, {"references": []})["references"].append(
                {"reference": str(key), **_bars(real, synthetic), "raw": 1 - distance}
            )
        unmeasured = (
            f"Not measured: children per parent of {', '.join(small)}: "
            f"fewer than {MIN_PARENTS} parents."
        )
        return Measurement(
            score=self._total(scores),
            tables=self._by_child(scores),
            not_measured=(unmeasured,) if small else (),
            details=details,
        )

    def _total(self, scores: dict[ForeignKey, Score]) -> Score | None:
        if not scores:
            return None
        worst = min(scores.values(), key=lambda score: score.value)
        mean = float(np.mean([score.value for score in scores.values()]))
        raw = float(np.mean([score.raw for score in scores.values()]))
        return self.score(mean, raw, f"Worst of {len(scores)} references: {worst.detail}")

    def _by_child(self, scores: dict[ForeignKey, Score]) -> dict[str, Score]:
        """Return the worst reference of each child table."""
        found: dict[str, Score] = {}
        for key, score in scores.items():
            if key.child_table not in found or score.value < found[key.child_table].value:
                found[key.child_table] = score
        return found


def _counts(evidence: Evidence, key: ForeignKey) -> tuple[np.ndarray, np.ndarray]:
    real, synthetic = (
        child_counts(
            rows(key.child_table), key.child_columns, rows(key.parent_table), key.parent_columns
        ).astype(np.float64)
        for rows in (evidence.real, evidence.synthetic)
    )
    return real, synthetic


def _bars(real: np.ndarray, synthetic: np.ndarray) -> dict[str, Any]:
    """Return shares of parents by number of children, bins of fewer than 5 parents merged."""
    top = int(np.quantile(real, 0.98)) if len(real) else 0
    step = max(1, -(-(top + 1) // 12))
    edges = [float(edge) for edge in range(0, top + step + 1, step)]
    counts = np.histogram(np.minimum(real, edges[-1]), [*edges, np.inf])[0]
    kept = [0]
    held = 0
    for place, count in enumerate(counts):
        held += int(count)
        if held >= 5 and place + 1 < len(counts):
            kept.append(place + 1)
            held = 0
    if 0 < held < 5 and len(kept) > 1:
        kept.pop()
    bounds = [edges[place] for place in kept]
    cuts = [*bounds, np.inf]
    labels = [
        f"{low:.0f} and more" if high == np.inf else _span(int(low), int(high) - 1)
        for low, high in pairwise(cuts)
    ]
    return {
        "labels": labels,
        "real": [float(share) for share in np.histogram(real, cuts)[0] / len(real)],
        "synthetic": [float(share) for share in np.histogram(synthetic, cuts)[0] / len(synthetic)],
        "mean_real": float(real.mean()),
        "mean_synthetic": float(synthetic.mean()),
    }


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
