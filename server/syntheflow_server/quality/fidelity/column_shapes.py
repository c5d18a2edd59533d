"""Does each column have the distribution of the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.columns import Codes, Kind, column_kinds, numbers, text_parts
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.groups import halves
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.noise import between_halves, beyond, kolmogorov, variation

MAX_CATEGORIES = 500


class ColumnShapes(TableMetric):
    """1 - Kolmogorov-Smirnov distance (numbers, times), 1 - total variation (categories).

    Missing values count as a value of their own. Near-unique strings are compared by
    length, words and kinds of characters. Keys are left out. The value forgives what two
    real samples of this size differ by; raw figure: the plain mean over columns.
    """

    name: ClassVar[str] = "column_shapes"
    title: ClassVar[str] = "Column shapes"
    question: ClassVar[str] = "Does each column have the distribution of the real one?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.08

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Compare all real rows with the synthetic ones, column by column."""
        real, synthetic = evidence.marginals(table)
        if not real.num_rows:
            return Finding(reason="no real rows to compare with")
        if not synthetic.num_rows:
            return Finding(score=self.score(0.0, 0.0, f"There are no synthetic rows of {table}."))
        kinds = column_kinds(evidence.schema, table, evidence.train(table))
        mask = halves(evidence, table)
        half = None if mask is None else pa.array(mask)
        plain: dict[str, float] = {}
        values: dict[str, float] = {}
        for number, (name, kind) in enumerate(kinds.items()):
            beat(number / len(kinds))
            if kind is not Kind.KEY:
                column = real.column(name)
                distance, noise = distances(kind, column, synthetic.column(name))
                if half is not None:
                    apart, _ = distances(kind, column.filter(half), column.filter(pc.invert(half)))
                    noise = max(noise, between_halves(apart, real.num_rows, synthetic.num_rows))
                plain[name], values[name] = 1 - distance, 1 - beyond(distance, noise)
        if not values:
            return Finding()
        worst = min(values, key=lambda name: (values[name], plain[name]))
        return Finding(
            score=self.score(
                float(np.mean(list(values.values()))),
                float(np.mean(list(plain.values()))),
                f"Columns of {table} agree by {np.mean(list(plain.values())):.3f} on average; "
                f"worst: {worst} ({plain[worst]:.3f}).",
            ),
            details={
                "columns": {
                    name: {"raw": plain[name], "value": values[name], "kind": kinds[name].value}
                    for name in values
                }
            },
        )

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        return scores[worst].detail


def distances(kind: Kind, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> tuple[float, float]:
    """Return the distance 0..1 of two columns and what noise alone gives."""
    if kind is Kind.CATEGORY:
        codes = Codes.fit(real, MAX_CATEGORIES)
        size = len(codes.values) + 2
        counts = [np.bincount(codes.encode(side) + 1, minlength=size) for side in (real, synthetic)]
        return variation(counts[0], counts[1])
    if kind is Kind.TEXT:
        left, right = text_parts(real), text_parts(synthetic)
        found = [kolmogorov(left[part], right[part]) for part in left]
        return float(np.mean([d for d, _ in found])), float(np.mean([n for _, n in found]))
    return kolmogorov(numbers(real), numbers(synthetic))
