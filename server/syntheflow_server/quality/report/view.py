"""What the page says, worked out of report and details before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from syntheflow_server.domain.resources import Report, Score
from syntheflow_server.quality.report import pictures, relations
from syntheflow_server.quality.report.relations import Grid

MAX_MAPPED = 24
"""Columns in a heat map: those whose pairs are off most."""

_BANDS = ((0.9, "good"), (0.7, "fair"), (0.0, "poor"))
_VERDICTS = (
    (0.9, "Very close to the real data."),
    (0.75, "Close to the real data; look at the weakest part before relying on details."),
    (0.5, "Usable with care: some of what the real data show is lost."),
    (0.0, "Clearly different from the real data."),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One score as the page shows it."""

    title: str
    question: str
    score: Score
    band: str
    weight: str


@dataclass(frozen=True, slots=True)
class ColumnCard:
    """One column with its picture."""

    name: str
    kind: str
    agreement: str
    band: str
    note: str
    missing: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class References:
    """Children per parent of one reference."""

    title: str
    note: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class TableView:
    """One table."""

    name: str
    rows: str
    parts: Sequence[Part]
    unmeasured: Sequence[str]
    give_away: str
    columns: Sequence[ColumnCard]
    heat: Markup | None
    references: Sequence[References]
    grids: Sequence[Grid]
    kept: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    verdict: str
    band: str
    ring: Markup
    parts: Sequence[Part]
    notes: Sequence[str]
    alarms: Sequence[str]
    tables: Sequence[TableView] = field(default_factory=list)


def page(report: Report, details: Mapping[str, Any]) -> Page:
    """Return the page; a report without details shows its scores only."""
    metrics = {metric["name"]: metric for metric in details.get("metrics", [])}
    total = sum(metrics.get(part.name, {}).get("weight", 0.0) for part in report.parts)
    notes = [text for text in report.warnings if text.startswith("Not ")]
    tables = details.get("tables", {})
    return Page(
        verdict=_verdict(report.quality, metrics),
        band=_band(report.quality),
        ring=pictures.ring(report.quality),
        parts=[_part(part, metrics, total) for part in report.parts],
        notes=notes,
        alarms=[text for text in report.warnings if text not in notes],
        tables=[
            _table(scores.table, scores.scores, tables.get(scores.table, {}), metrics)
            for scores in report.tables
        ],
    )


def _band(value: float) -> str:
    return next(name for least, name in _BANDS if value >= least)


def _verdict(quality: float, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if metrics.get("copying", {}).get("cap", 1.0) < 1:
        return "Do not share: rows or values repeat the training data."
    if metrics.get("key_integrity", {}).get("cap", 1.0) < 1:
        return "Not usable as it is: keys or references are broken."
    return next(text for least, text in _VERDICTS if quality >= least)


def _part(score: Score, metrics: Mapping[str, Mapping[str, Any]], total: float = 0.0) -> Part:
    metric = metrics.get(score.name, {})
    weight = metric.get("weight", 0.0)
    return Part(
        title=metric.get("title", score.name.replace("_", " ")),
        question=metric.get("question", ""),
        score=score,
        band="poor" if metric.get("strict") and score.value < 1 else _band(score.value),
        weight=f"{weight / total:.0%} of the total" if weight and total else "not counted",
    )


def _table(
    name: str,
    scores: Sequence[Score],
    details: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
) -> TableView:
    rows = details.get("rows", {})
    found = details.get("metrics", {})
    losses = _losses(found)
    counts = found.get("child_counts", {}).get("references", [])
    return TableView(
        name=name,
        rows=", ".join(
            f"{rows[key]:,} {text}"
            for key, text in (
                ("train", "training"),
                ("holdout", "held-out"),
                ("synthetic", "synthetic"),
            )
            if key in rows
        ),
        parts=[_part(score, metrics) for score in scores],
        unmeasured=[
            f"{metrics.get(key, {}).get('title', key)}: {figures['not_measured']}"
            for key, figures in found.items()
            if "not_measured" in figures
        ],
        give_away=", ".join(f"{column} ({loss:.3f})" for column, loss in losses.items()),
        columns=[
            _card(column, found.get("column_shapes", {}).get("columns", {}), losses)
            for column in details.get("columns", [])
            if column["picture"]
        ],
        heat=_heat(found.get("pair_trends", {}).get("pairs", [])),
        references=[_references(entry) for entry in counts],
        grids=relations.grids(found),
        kept=bool(details.get("kept")),
    )


def _losses(found: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the columns that give synthetic rows away, strongest first."""
    detection = found.get("detection", {})
    if detection.get("auc_low", 0.0) <= 0.5:
        return {}
    losses = [(e["column"], e["auc_loss"]) for e in detection.get("give_away", [])]
    return {column: loss for column, loss in losses[:6] if loss > 0.005}


def _card(
    column: Mapping[str, Any], shapes: Mapping[str, Any], losses: Mapping[str, float]
) -> ColumnCard:
    name, picture = column["column"], column["picture"]
    shape = shapes.get(name)
    draw = pictures.bars if picture["form"] == "bars" else pictures.histogram
    missing = picture["missing"]
    return ColumnCard(
        name=name,
        kind="text, by length" if column["kind"] == "text" else column["kind"],
        agreement=f"{shape['raw']:.3f}" if shape else "",
        band=_band(shape["value"]) if shape else "good",
        note="gives synthetic rows away" if name in losses else "",
        missing=(
            f"missing: real {pictures.percent(missing['real'])}, "
            f"synthetic {pictures.percent(missing['synthetic'])}"
            if missing["real"] or missing["synthetic"]
            else ""
        ),
        picture=draw(picture["labels"], picture["real"], picture["synthetic"]),
    )


def _heat(pairs: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Return the heat map of the columns whose pairs are off most, in their order."""
    names = list(dict.fromkeys(n for pair in pairs for n in (pair["left"], pair["right"])))
    if len(names) < 3:
        return None
    off = {n: sum(p["error"] for p in pairs if n in {p["left"], p["right"]}) for n in names}
    kept = set(sorted(names, key=lambda n: -off[n])[:MAX_MAPPED])
    shown = [name for name in names if name in kept]
    place = {name: i for i, name in enumerate(shown)}
    cells = {
        (max(place[p["left"]], place[p["right"]]), min(place[p["left"]], place[p["right"]])): p
        for p in pairs
        if p["left"] in place and p["right"] in place
    }
    return pictures.heat_map(shown, cells)


def _references(entry: Mapping[str, Any]) -> References:
    return References(
        title=entry["reference"],
        note=(
            f"{entry['mean_real']:.2f} children per parent in the real tables, "
            f"{entry['mean_synthetic']:.2f} in the synthetic ones"
        ),
        picture=pictures.histogram(entry["labels"], entry["real"], entry["synthetic"]),
    )
