"""Checks keys: primary keys unique and present, references resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.domain.schema import ForeignKey, Table
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import NO_KEY, ORPHAN, key_codes, parent_rows
from syntheflow_server.quality.metric import Beat, Goal, Measurement, Metric

BROKEN_CAP = 0.5
"""The total score of tables with a broken key: no loader would take them."""


@dataclass(frozen=True, slots=True)
class _Rule:
    table: str
    text: str
    share: float


class KeyIntegrity(Metric):
    """Share of synthetic rows that keep the worst-kept rule; anything below 1 is a fault.

    Rules: primary keys are unique and not missing, references resolve to a synthetic
    parent row (a reference with a missing part refers to nothing), columns that may
    not be missing are not. All rows are looked at, not a sample. Real rows that refer to
    no row (orphans) are counted and told.
    """

    name: ClassVar[str] = "key_integrity"
    title: ClassVar[str] = "Keys and references"
    question: ClassVar[str] = "Are primary keys unique and do all references resolve?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.10
    strict: ClassVar[bool] = True

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Check all rules of all synthetic tables."""
        rules: list[_Rule] = []
        references: dict[str, list[dict[str, Any]]] = {}
        for number, table in enumerate(evidence.schema.tables):
            beat(number / len(evidence.schema.tables), table.name)
            rules += _table_rules(table, evidence.synthetic(table.name))
            for key in evidence.schema.references_from(table.name):
                beat(number / len(evidence.schema.tables), str(key))
                rule, figures = _reference_rule(evidence, key)
                rules.append(rule)
                references.setdefault(key.child_table, []).append(figures)
        if not rules:
            return Measurement()
        broken = sorted((rule for rule in rules if rule.share < 1), key=lambda rule: rule.share)
        worst = min(rule.share for rule in rules)
        detail = (
            f"{len(broken)} of {len(rules)} rules are broken; worst: {_sentence(broken[0])}"
            if broken
            else f"All {len(rules)} rules on keys, references and required columns hold."
        )
        return Measurement(
            score=self.score(worst, worst, detail),
            tables=dict(self._by_table(rules)),
            warnings=tuple(f"Broken rule: {_sentence(rule)}" for rule in broken[:10]),
            not_measured=tuple(_orphan_notes(references)),
            cap=BROKEN_CAP if broken else 1.0,
            details={
                table: {
                    "rules": [
                        {"rule": r.text, "share": r.share} for r in rules if r.table == table
                    ],
                    "references": references.get(table, []),
                }
                for table in evidence.schema.table_names
            },
        )

    def _by_table(self, rules: list[_Rule]) -> Iterator[tuple[str, Score]]:
        for table in dict.fromkeys(rule.table for rule in rules):
            worst = min((rule for rule in rules if rule.table == table), key=lambda r: r.share)
            detail = _sentence(worst) if worst.share < 1 else "All rules hold."
            yield table, self.score(worst.share, worst.share, detail)


def _sentence(rule: _Rule) -> str:
    return f"{rule.text} in {_percent(rule.share)} of the rows of {rule.table}."


def _percent(share: float) -> str:
    """Return the share for reading; below 1 never reads as 100%."""
    return "all" if share == 1 else f"only {np.floor(share * 10_000) / 100:g}%"


def _table_rules(table: Table, rows: pa.Table) -> Iterator[_Rule]:
    if table.primary_key:
        (codes,), count = key_codes([(rows, table.primary_key)])
        repeated = np.bincount(codes[codes != NO_KEY], minlength=count) > 1
        good = (codes != NO_KEY) & ~repeated[np.maximum(codes, 0)] if count else codes != NO_KEY
        text = f"primary key ({', '.join(table.primary_key)}) is unique and present"
        yield _Rule(table.name, text, _share(good))
    for column in table.columns:
        if not column.nullable:
            present = 1 - rows.column(column.name).null_count / max(rows.num_rows, 1)
            yield _Rule(table.name, f"column {column.name} is present", present)


def _reference_rule(evidence: Evidence, key: ForeignKey) -> tuple[_Rule, dict[str, Any]]:
    """Return the rule of a reference and its figures: rows, missing, orphans of both sides."""
    figures: dict[str, Any] = {"reference": str(key), "parent_table": key.parent_table}
    share = 1.0
    for which, rows in (("real", evidence.real), ("synthetic", evidence.synthetic)):
        child, parent = rows(key.child_table), rows(key.parent_table)
        found = parent_rows(child, key.child_columns, parent, key.parent_columns)
        figures[f"{which}_rows"] = len(found)
        figures[f"{which}_missing"] = int((found == NO_KEY).sum())
        figures[f"{which}_orphans"] = int((found == ORPHAN).sum())
        share = _share(found != ORPHAN)
    return _Rule(key.child_table, f"reference {key} resolves", share), figures


def _orphan_notes(references: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    for table, entries in references.items():
        for one in entries:
            if one["real_orphans"]:
                yield (
                    f"Not reproduced: {one['real_orphans']:,} of {one['real_rows']:,} real rows of "
                    f"{table} refer to no row of {one['parent_table']} ({one['reference']}); "
                    f"{one['synthetic_orphans']:,} synthetic rows do."
                )


def _share(good: np.ndarray) -> float:
    return float(good.mean()) if len(good) else 1.0
