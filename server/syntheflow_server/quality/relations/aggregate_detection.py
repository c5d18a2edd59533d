"""Can a classifier tell synthetic parents from unseen real ones by their children."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.features import Features, FeatureSpace
from syntheflow_server.quality.fidelity.detection import detect
from syntheflow_server.quality.groups import row_groups
from syntheflow_server.quality.keys import NO_KEY, key_codes
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.separation import MAX_ROWS, Side

Rows = Callable[[str], pa.Table]


class AggregateDetection(TableMetric):
    """As detection, on parents: own columns plus count, means, distinct counts of children.

    Of a child table's other references the different parents are counted (teams of a
    player). Follows C2ST-Agg of the relational literature (Hudovernik et al., 2024; GCFM 2025).
    The children of real parents are looked up among all real rows, so that a held-out
    parent of rows that other entities own has all its children. Raw figure: the AUC.
    """

    name: ClassVar[str] = "aggregate_detection"
    title: ClassVar[str] = "Aggregate detection"
    question: ClassVar[str] = "Do parents and their children fit together as in real tables?"
    goal: ClassVar[Goal] = Goal.MINIMISE
    weight: ClassVar[float] = 0.15
    cost: ClassVar[float] = 4.0
    kept_too: ClassVar[bool] = True

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Separate held-out and synthetic parents."""
        references = evidence.schema.references_to(table)
        if not references:
            return Finding()
        spaces = {
            name: FeatureSpace(evidence.schema, name, evidence.train(name), lambda: beat(0.0))
            for name in dict.fromkeys([table, *(key.child_table for key in references)])
        }
        groups = row_groups(evidence, table)
        sides: list[Side] = []
        origins: tuple[tuple[str, Rows], ...] = (
            ("holdout", evidence.real),
            ("synthetic", evidence.synthetic),
            ("train", evidence.real),
        )
        for which, children in origins:
            parents, numbers = getattr(evidence, which)(table), getattr(groups, which)
            if parents.num_rows > MAX_ROWS:
                rng = evidence.rng(table, which, "aggregates")
                chosen = np.sort(rng.choice(parents.num_rows, MAX_ROWS, replace=False))
                parents, numbers = parents.take(chosen), numbers[chosen]
            blocks = [spaces[table].encode(parents)]
            blocks += [
                aggregates(
                    key,
                    parents,
                    children(key.child_table),
                    spaces[key.child_table],
                    evidence.schema.references_from(key.child_table),
                )
                for key in references
            ]
            sides.append(Side(_side_by_side(blocks), numbers))
        rng = evidence.rng(table, "aggregates")
        return detect(
            self,
            table,
            (sides[0], sides[1], sides[2]),
            rng,
            beat,
        )

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        text = scores[worst].detail
        return text.replace("rows of", "parents and their children in", 1)


def aggregates(
    key: ForeignKey,
    parents: pa.Table,
    children: pa.Table,
    space: FeatureSpace,
    references: Sequence[ForeignKey] = (),
) -> Features:
    """Return for each parent: number of children, means and distinct counts of their columns.

    Of the other `references` of the children the different keys are counted. Means are NaN
    for a parent without children.
    """
    (child, parent), count = key_codes(
        [(children, key.child_columns), (parents, key.parent_columns)]
    )
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[parent[parent != NO_KEY]] = True
    rows = np.flatnonzero((child != NO_KEY) & wanted[np.maximum(child, 0)])
    owner = child[rows]
    features = space.encode(children.take(pa.array(rows)))
    found = np.bincount(owner, minlength=count + 1).astype(np.float64)
    parts, names = [found], [f"number of {key.child_table}"]
    for place, column in enumerate(features.columns):
        values = features.matrix[:, place]
        present = ~np.isnan(values)
        if features.categorical[place]:
            pairs = np.unique(np.stack([owner[present], values[present].astype(np.int64)]), axis=1)
            parts.append(np.bincount(pairs[0], minlength=count + 1).astype(np.float64))
        else:
            total = np.bincount(owner[present], values[present], minlength=count + 1)
            held = np.bincount(owner[present], minlength=count + 1)
            mean = np.full(count + 1, np.nan)
            np.divide(total, held, out=mean, where=held > 0)
            parts.append(mean)
        names.append(f"{key.child_table}.{column}")
    for other in references:
        if not set(other.child_columns) & set(key.child_columns):
            (codes,), _ = key_codes([(children, other.child_columns)])
            known = codes[rows] != NO_KEY
            pairs = np.unique(np.stack([owner[known], codes[rows][known]]), axis=1)
            parts.append(np.bincount(pairs[0], minlength=count + 1).astype(np.float64))
            names.append(f"different {', '.join(other.child_columns)} of {key.child_table}")
    at = np.where(parent == NO_KEY, count, parent)
    matrix = np.stack([part[at] for part in parts], axis=1)
    return Features(matrix, tuple(names), np.zeros(len(names), dtype=bool))


def _side_by_side(blocks: list[Features]) -> Features:
    return Features(
        np.concatenate([block.matrix for block in blocks], axis=1),
        tuple(name for block in blocks for name in block.columns),
        np.concatenate([block.categorical for block in blocks]),
    )
