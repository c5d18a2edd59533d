"""Judging: run all metrics over the tables and gather their answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from syntheflow_server.domain.resources import Score, TableScores
from syntheflow_server.domain.schema import Schema
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.metric import Beat, Measurement, Metric
from syntheflow_server.quality.profile import profiles
from syntheflow_server.quality.registry import METRICS
from syntheflow_server.quality.score import quality

_PICTURES_COST = 1.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What validation found, ready to be kept as a Report.

    `details` holds the figures behind the scores and the pictures; it is fit for JSON
    and holds no value that fewer than five real rows share.
    """

    quality: float
    parts: tuple[Score, ...]
    tables: tuple[TableScores, ...]
    warnings: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


def judge(
    schema: Schema,
    train: Mapping[str, pa.Table],
    holdout: Mapping[str, pa.Table],
    synthetic: Mapping[str, pa.Table],
    *,
    seed: int,
    report: Callable[[float, str], None],
    kept: Collection[str] = (),
    whole: bool = True,
) -> Judgement:
    """Compare synthetic tables with the rows trained on and the rows held out.

    `report(fraction, stage)` is called at least every second and may raise to cancel.
    What cannot be measured (too few held-out rows) is left out of the score and said in
    the warnings. Tables of `kept` come out as they are and are not judged; `whole` False
    says that the rows are a sample, entity by entity. Raises InvalidArgumentError if a
    table or column is missing.
    """
    evidence = Evidence(schema, train, holdout, synthetic, seed, kept=kept, whole=whole)
    costs = sum(metric.cost for metric in METRICS) + _PICTURES_COST
    measured: dict[Metric, Measurement] = {}
    done = 0.0
    for metric in METRICS:
        beat = _slice(report, done / costs, metric.cost / costs, metric.title)
        measured[metric] = metric.measure(evidence, beat)
        done += metric.cost
    pictures = profiles(evidence, _slice(report, done / costs, _PICTURES_COST / costs, "Pictures"))
    total, caps = quality(measured)
    report(1.0, "done")
    return Judgement(
        quality=total,
        parts=tuple(answer.score for answer in measured.values() if answer.score),
        tables=_by_table(schema, measured),
        warnings=(
            *caps,
            *(text for answer in measured.values() for text in answer.warnings),
            *(text for answer in measured.values() for text in answer.not_measured),
            *_scope(evidence),
        ),
        details=_details(seed, measured, pictures),
    )


def _scope(evidence: Evidence) -> Iterator[str]:
    """Say which rows were not looked at."""
    if evidence.kept:
        yield (
            f"Not judged: {', '.join(sorted(evidence.kept))}: kept, so that every row comes out "
            "as it is."
        )
    if not evidence.whole:
        yield (
            "Not all rows were looked at: the tables are large, so entities were drawn, each "
            "with all rows that belong to it and all rows that these refer to."
        )


def _details(
    seed: int, measured: Mapping[Metric, Measurement], pictures: dict[str, Any]
) -> dict[str, Any]:
    """Return the figures behind the scores: of the metrics, and of each table."""
    for name, page in pictures.items():
        page["metrics"] = {
            metric.name: answer.details[name]
            for metric, answer in measured.items()
            if name in answer.details
        }
    return {
        "seed": seed,
        "metrics": [
            {
                "name": metric.name,
                "title": metric.title,
                "question": metric.question,
                "goal": metric.goal.value,
                "minimum": metric.minimum,
                "maximum": metric.maximum,
                "weight": metric.weight,
                "strict": metric.strict,
                "measured": answer.score is not None,
                "cap": answer.cap,
            }
            for metric, answer in measured.items()
        ],
        "tables": pictures,
    }


def _slice(report: Callable[[float, str], None], start: float, share: float, title: str) -> Beat:
    def beat(fraction: float, at: str) -> None:
        report(min(1.0, start + share * fraction), f"{title}: {at}")

    beat(0.0, "starting")
    return beat


def _by_table(schema: Schema, measured: Mapping[Metric, Measurement]) -> tuple[TableScores, ...]:
    return tuple(
        TableScores(
            table=name,
            scores=tuple(a.tables[name] for a in measured.values() if name in a.tables),
        )
        for name in schema.table_names
    )
