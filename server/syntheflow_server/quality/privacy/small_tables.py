"""Do rows of small tables stand off the learned rows as real rows do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.columns import Codes, Kind, column_kinds, numbers
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.noise import ranks

SMALL = 300
FEWEST = 5
GOOD = 0.9
"""The ratio from which on the value is 1: medians of so few rows scatter."""
NEAR = 0.5
"""The ratio below which a warning is given."""


class SmallTables(TableMetric):
    """Nearest-neighbour ratio of tables of fewer than 300 rows, which are memorised easily.

    The median distance of synthetic rows to the nearest learned row, over that of held-out
    rows, or of each learned row to the others where too few are held out. Distance: mean
    over columns of differences of ranks (numbers, times) or of 'another value'. About 1 is
    right, 0 is copying. The total is that of the worst table. Shown, not counted.
    """

    name: ClassVar[str] = "small_tables"
    title: ClassVar[str] = "Distance in small tables"
    question: ClassVar[str] = "Do rows of small tables stand off the learned rows as real rows do?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.0
    cost: ClassVar[float] = 0.2

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Return the ratio of a small table."""
        del beat
        train, holdout = evidence.train(table), evidence.holdout(table)
        made = evidence.synthetic(table)
        if train.num_rows + holdout.num_rows >= SMALL:
            return Finding()
        kinds = {
            name: kind
            for name, kind in column_kinds(evidence.schema, table, train).items()
            if kind is not Kind.KEY
        }
        if not kinds:
            return Finding()
        if min(train.num_rows, made.num_rows) < FEWEST:
            return Finding(reason=f"fewer than {FEWEST} rows")
        made = evidence.sample(made, SMALL, table, "small")
        ratio = _ratio(kinds, train, holdout, made)
        if ratio is None:
            return Finding(reason="most real rows are equal to another")
        detail = (
            f"Rows of {table} ({train.num_rows} learned) stand {ratio:.2f} times as far off the "
            "learned rows as real rows do; 1 is right, 0 is copying."
        )
        near = f"Small table {table}: its rows stand nearer to the learned ones than real rows do"
        return Finding(
            score=self.score(ratio / GOOD, min(1.0, ratio), detail),
            warnings=(f"{near} (ratio {ratio:.2f}).",) if ratio < NEAR else (),
            details={"ratio": ratio, "train_rows": train.num_rows},
        )

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        return scores[worst].detail

    def total(self, scores: list[Score]) -> tuple[float, float]:  # type: ignore[override]
        """Return the figures of the worst table."""
        worst = min(scores, key=lambda score: score.value)
        return worst.value, worst.raw


def _ratio(
    kinds: Mapping[str, Kind], train: pa.Table, holdout: pa.Table, made: pa.Table
) -> float | None:
    """Return the median distance of made rows to the nearest learned one over that of real ones.

    None if real rows are equal anyway. Ranks are those among all rows together, so that
    rows of one truth stand equally far whatever side they are on.
    """
    every = pa.concat_tables([train, holdout, made])
    columns = [_places(kind, every.column(name)) for name, kind in kinds.items()]
    ends = np.cumsum([train.num_rows, holdout.num_rows, made.num_rows])
    learned, held_out, new = np.split(np.arange(every.num_rows), ends[:2])
    enough = len(held_out) >= FEWEST
    between = _distances(columns, held_out if enough else learned, learned)
    if not enough:
        np.fill_diagonal(between, np.inf)
    usual = float(np.median(between.min(axis=1)))
    if usual <= 0:
        return None
    return float(np.median(_distances(columns, new, learned).min(axis=1)) / usual)


def _distances(columns: list[np.ndarray], rows: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return distances 0..1 [rows, real rows]."""
    added = np.zeros((len(rows), len(real)))
    for places in columns:
        added += np.minimum(1.0, np.abs(places[rows][:, None] - places[real][None, :]))
    return added / len(columns)


def _places(kind: Kind, values: pa.ChunkedArray) -> np.ndarray:
    """Return ranks 0..1 of numbers and times, missing ones half a table off, or whole codes."""
    if kind not in {Kind.NUMBER, Kind.TIME}:
        return Codes.fit(values, values.length() + 1).encode(values).astype(np.float64)
    counted = numbers(values)
    places = np.full(len(counted), -0.5)
    present = ~np.isnan(counted)
    if present.any():
        places[present] = ranks(counted[present]) / present.sum()
    return places
