"""The shape that all metrics share: what one declares, what it is given, what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.evidence import Evidence

Beat = Callable[[float, str], None]
"""Called with the done share 0..1 of one metric and what it is at; may raise to cancel."""


class Goal(StrEnum):
    """Which way the raw figure of a metric is to go."""

    MAXIMISE = "maximise"
    MINIMISE = "minimise"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The answer of one metric.

    `score` is None if nothing could be measured; `not_measured` then says why. `cap`
    bounds the total score from above. `details` are figures by table, fit for JSON.
    """

    score: Score | None = None
    tables: Mapping[str, Score] = field(default_factory=dict)
    not_measured: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cap: float = 1.0
    details: Mapping[str, Any] = field(default_factory=dict)


class Metric(ABC):
    """One question about synthetic tables.

    `goal`, `minimum` and `maximum` speak of the raw figure; the score's value always
    runs from 0 to 1, 1 being as good as real rows. `weight` is the share in the total
    score, 0 for metrics that are shown and not counted; `cost` the share of the time.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    goal: ClassVar[Goal]
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    weight: ClassVar[float]
    cost: ClassVar[float] = 1.0

    @abstractmethod
    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Answer the question; calls `beat` at least every second."""

    def score(self, value: float, raw: float, detail: str) -> Score:
        """Return the score with its value cut to 0..1."""
        return Score(
            name=self.name, value=min(1.0, max(0.0, float(value))), raw=float(raw), detail=detail
        )
