"""Are the rows connected anew, or does the synthetic key graph repeat the real one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import parent_rows
from syntheflow_server.quality.metric import Beat, Goal, Measurement, Metric, percent

ROUNDS = 3
MIN_SHAPES = 10
"""Different surroundings without which any two graphs are alike (all parents have one child)."""

_ODD = 0x9E3779B97F4A7C15
_BITS = (1 << 64) - 1


class KeyGraph(Metric):
    """Share of rows whose surroundings in the graph of references a real row has as well.

    Surroundings of 3 references by the colour refinement of Weisfeiler and Lehman (1968),
    without any value of a column. All of them alike, each as often as in the real tables,
    means that the real graph was taken over with new rows hung into it: who belongs to whom
    is then known. Shown, not counted; 1 is another graph, 0 the same.
    """

    name: ClassVar[str] = "key_graph"
    title: ClassVar[str] = "Graph of references"
    question: ClassVar[str] = "Are the rows connected anew, instead of as the real ones are?"
    goal: ClassVar[Goal] = Goal.MINIMISE
    weight: ClassVar[float] = 0.0
    cost: ClassVar[float] = 0.3

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Colour both graphs and compare how often each colour comes."""
        keys = [key for key in evidence.schema.foreign_keys if key.child_table not in evidence.kept]
        if not keys:
            return Measurement()
        if not evidence.whole:
            reason = "Not measured: graph of references: only a part of the rows is looked at."
            return Measurement(not_measured=(reason,))
        beat(0.0, "real rows")
        real = _colours(evidence, keys, real=True)
        beat(0.5, "synthetic rows")
        synthetic = _colours(evidence, keys, real=False)
        names, counts = np.unique(real, return_counts=True)
        made_names, made = np.unique(synthetic, return_counts=True)
        _, mine, other = np.intersect1d(names, made_names, return_indices=True)
        alike = np.minimum(counts[mine], made[other]).sum() / max(len(real), len(synthetic), 1)
        if len(names) < MIN_SHAPES:
            reason = (
                "Not measured: graph of references: rows have too few different surroundings to "
                "tell one graph from another."
            )
            return Measurement(not_measured=(reason,))
        repeated = alike == 1.0
        detail = (
            "The rows refer to each other exactly as the real ones do: the graph was taken over."
            if repeated
            else f"The rows are connected anew: {percent(alike)} of them have surroundings of "
            f"{ROUNDS} references like a real row, all would if the graph were taken over."
        )
        warning = f"Key graph: {detail}"
        return Measurement(
            score=self.score(0.0 if repeated else 1.0, float(alike), detail),
            warnings=(warning,) if repeated else (),
        )


def _colours(evidence: Evidence, keys: list[ForeignKey], *, real: bool) -> np.ndarray:
    """Return a colour for each row of all tables that the references join."""
    rows = evidence.real if real else evidence.synthetic
    names = list(
        dict.fromkeys(name for key in keys for name in (key.child_table, key.parent_table))
    )
    tables = {name: rows(name) for name in names}
    colours = {
        name: np.full(table.num_rows, number + 1, dtype=np.uint64)
        for number, (name, table) in enumerate(tables.items())
    }
    links = []
    for key in keys:
        child, parent = tables[key.child_table], tables[key.parent_table]
        target = parent_rows(child, key.child_columns, parent, key.parent_columns)
        there = np.flatnonzero(target >= 0)
        links.append((key.child_table, key.parent_table, there, target[there]))
    for _ in range(ROUNDS):
        fresh = {name: _mixed(colour, 0) for name, colour in colours.items()}
        for number, (child_name, parent_name, at, target) in enumerate(links):
            seen = _mixed(colours[parent_name][target], 2 * number + 1)
            np.add.at(fresh[child_name], at, seen)
            np.add.at(fresh[parent_name], target, _mixed(colours[child_name][at], 2 * number + 2))
        colours = fresh
    return np.concatenate(list(colours.values()))


def _mixed(colours: np.ndarray, salt: int) -> np.ndarray:
    """Return 64 well mixed bits for each colour (splitmix64), another set for each salt."""
    mixed = colours + np.uint64((salt + 1) * _ODD & _BITS)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
