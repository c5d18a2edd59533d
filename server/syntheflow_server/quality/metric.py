"""The shape that all metrics share: what one declares, what it is given, what it answers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.evidence import Evidence

Beat = Callable[[float, str], None]
"""Called with the done share 0..1 of one metric and what it is at; may raise to cancel."""


KEPT = "it comes out as it is"
"""Why nothing is said of a table that is kept."""


def percent(share: float) -> str:
    """Return a share for reading; what is not whole never reads as 100%."""
    return f"{math.floor(share * 1000) / 10:g}%"


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
    `strict` metrics must reach 1: anything below is a fault.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    goal: ClassVar[Goal]
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    weight: ClassVar[float]
    cost: ClassVar[float] = 1.0
    strict: ClassVar[bool] = False

    @abstractmethod
    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Answer the question; calls `beat` at least every second."""

    def score(self, value: float, raw: float, detail: str) -> Score:
        """Return the score with its value cut to 0..1."""
        return Score(
            name=self.name, value=min(1.0, max(0.0, float(value))), raw=float(raw), detail=detail
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer for one table: a score, or the reason why there is none.

    A reason that is empty means that the question does not arise for the table.
    """

    score: Score | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    cap: float = 1.0
    details: Mapping[str, Any] = field(default_factory=dict)


class TableMetric(Metric):
    """A metric that looks at one table at a time; the total is the mean over tables."""

    kept_too: ClassVar[bool] = False
    """Whether tables that come out as they are are judged: only by what belongs to them."""

    @abstractmethod
    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Answer for one table; `beat(fraction)` at least every second."""

    @abstractmethod
    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return one sentence on all tables; `worst` is the table of the lowest value."""

    def total(self, scores: Sequence[Score]) -> tuple[float, float]:
        """Return the value and the raw figure for all tables: their means."""
        values, raw = [s.value for s in scores], [s.raw for s in scores]
        return sum(values) / len(values), sum(raw) / len(raw)

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Answer for every table and sum up."""
        names = evidence.schema.table_names
        found: dict[str, Finding] = {}
        for number, table in enumerate(names):
            start = number / len(names)

            def at(fraction: float, start: float = start, table: str = table) -> None:
                beat(start + fraction / len(names), table)

            at(0.0)
            if table in evidence.kept and not self.kept_too:
                found[table] = Finding(reason=KEPT)
            else:
                found[table] = self.measure_table(evidence, table, at)
        scores = {table: answer.score for table, answer in found.items() if answer.score}
        total = None
        if scores:
            worst = min(scores, key=lambda table: scores[table].value)
            total = self.score(*self.total(list(scores.values())), self.summary(scores, worst))
        return Measurement(
            score=total,
            tables=scores,
            not_measured=self._unmeasured(found),
            warnings=tuple(text for answer in found.values() for text in answer.warnings),
            cap=min((answer.cap for answer in found.values()), default=1.0),
            details={
                table: {
                    **answer.details,
                    **({"not_measured": answer.reason} if answer.reason else {}),
                }
                for table, answer in found.items()
                if answer.details or answer.reason not in {"", KEPT}
            },
        )

    def _unmeasured(self, found: Mapping[str, Finding]) -> tuple[str, ...]:
        """Return one sentence for each reason, naming the tables it is true of."""
        # Of kept tables the judge says so once, not each metric.
        reasons = dict.fromkeys(
            answer.reason for answer in found.values() if answer.reason not in {"", KEPT}
        )
        return tuple(
            f"Not measured: {self.title.lower()} of "
            f"{', '.join(t for t, answer in found.items() if answer.reason == reason)}: {reason}."
            for reason in reasons
        )
