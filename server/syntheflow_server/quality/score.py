"""The one score: how the parts are weighted into it.

quality = min(caps, sum(weight_i * value_i) / sum(weight_i)) over the parts measured.

Weights stand with the metrics: detection .30, aggregate detection .15, pair trends .13, key
integrity .10, copying .09, column shapes .08, trends across tables .06, child counts .05,
event order .04. Small tables and the key graph are shown and not counted. Detection weighs
most because a classifier sees what one-column and two-column figures are blind to; what only
related tables have weighs .30 in all. A broken key or a copying alarm caps the total: no
other merit makes up for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from syntheflow_server.quality.metric import Measurement, Metric


def quality(measured: Mapping[Metric, Measurement]) -> tuple[float, tuple[str, ...]]:
    """Return the total score 0..1 and the sentences on what capped it."""
    parts = [(m.weight, a.score.value) for m, a in measured.items() if a.score and m.weight > 0]
    total = sum(weight for weight, _ in parts)
    value = sum(weight * part for weight, part in parts) / total if total else 0.0
    caps: list[str] = []
    for metric, answer in measured.items():
        if answer.cap < value:
            caps.append(
                f"The total is capped at {answer.cap:.2f} by '{metric.title}'; "
                f"its parts alone would give {value:.2f}."
            )
    cap = min((answer.cap for answer in measured.values()), default=1.0)
    return min(cap, value), tuple(caps)
