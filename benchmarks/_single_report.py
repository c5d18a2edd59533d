"""Turns the runs of single_table.py into medians, ratios to the peers, and one printed table."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from peers.registry import OURS, REAL

Line = dict[str, Any]

_SHOWN: tuple[tuple[str, str, str], ...] = (
    ("train_cpu_s", "train s", "{:.1f}"),
    ("rows_per_s", "rows/s", "{:,.0f}"),
    ("peak_mb", "MB", "{:.0f}"),
    ("c2st_hgb", "C2ST", "{:.3f}"),
    ("c2st_xgb", "XGB", "{:.3f}"),
    ("c2st_with_ids", "+ids", "{:.3f}"),
    ("shapes", "shapes", "{:.3f}"),
    ("trends", "trends", "{:.3f}"),
    ("utility", "utility", "{:.3f}"),
    ("nearer", "nearer", "{:.3f}"),
    ("copies", "copies", "{:.3%}"),
    ("reuse", "reuse", "{:.1%}"),
    ("broken", "broken", "{:.1%}"),
)
# Figures that held-out rows have too are shown with theirs behind a bar.
_BESIDE = {"utility": "utility_real", "copies": "copies_holdout", "reuse": "reuse_holdout"}
_MEANS = ("c2st_hgb", "c2st_xgb", "shapes", "trends", "nearer", "broken")


def medians(runs: Iterable[Line]) -> list[Line]:
    """Return one line for each set and system: the medians over the seeds that ended.

    `seeds` counts them, `reasons` holds why others did not, `told_by` the three columns that
    give the rows away, by their mean AUC alone and how much the C2ST falls without them.
    """
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for run in runs:
        groups[run["set"], run["system"]].append(run)
    return [_median(lines) for lines in groups.values()]


def _median(lines: list[Line]) -> Line:
    first = lines[0]
    median: Line = {key: first[key] for key in ("set", "system", "rows", "columns")}
    names = {key for line in lines for key, value in line.items() if isinstance(value, float)}
    for name in sorted(names):
        values = [line[name] for line in lines if isinstance(line.get(name), int | float)]
        values = [value for value in values if not math.isnan(value)]
        if values:
            median[name] = statistics.median(values)
    judged = [line for line in lines if "columns_auc" in line]
    median["seeds"] = len(judged)
    median["reasons"] = sorted({line["reason"] for line in lines if "reason" in line})
    alone = _means([line["columns_auc"] for line in judged])
    falls = _means([line["drops"] for line in judged])
    worst = sorted(alone, key=lambda name: -alone[name])[:3]
    median["told_by"] = [(name, alone[name], falls.get(name)) for name in worst]
    return median


def _means(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for part in parts:
        for name, value in part.items():
            values[name].append(value)
    return {name: statistics.fmean(found) for name, found in values.items()}


def summary(runs: Sequence[Line]) -> dict[str, Any]:
    """Return medians by set and system, means over sets, and ours against each peer."""
    lines = medians(runs)
    by_system: dict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        by_system[line["system"]][line["set"]] = line
    means = {
        name: {
            "sets": sum("c2st_hgb" in line for line in sets.values()),
            **{key: _mean(sets.values(), key) for key in _MEANS},
            "utility_loss": _mean(sets.values(), _loss),
        }
        for name, sets in by_system.items()
    }
    ours = by_system.get(OURS, {})
    against = {
        name: _against(ours, sets) for name, sets in by_system.items() if name not in {OURS, REAL}
    }
    return {"sets": lines, "means": means, "against": against if ours else {}}


def _loss(line: Line) -> float | None:
    if "utility" not in line or "utility_real" not in line:
        return None
    return float(line["utility_real"] - line["utility"])


def _mean(lines: Iterable[Line], key: str | Callable[[Line], float | None]) -> float | None:
    found = [key(line) if callable(key) else line.get(key) for line in lines]
    values = [value for value in found if value is not None]
    return statistics.fmean(values) if values else None


def _against(ours: dict[str, Line], theirs: dict[str, Line]) -> dict[str, Any]:
    """Compare on the sets that both have: medians of the ratios, and who is told more easily."""

    def ratios(key: str, *, inverse: bool) -> float | None:
        both = [(o[key], t[key]) for o, t in pairs(ours, theirs) if key in o and key in t]
        found = [t / o if inverse else o / t for o, t in both if o and t]
        return statistics.median(found) if found else None

    judged = [(o, t) for o, t in pairs(ours, theirs) if "c2st_hgb" in o and "c2st_hgb" in t]
    return {
        "sets": len(judged),
        "training_times_faster": ratios("train_cpu_s", inverse=True),
        "sampling_times_faster": ratios("rows_per_s", inverse=False),
        "memory_ratio": ratios("peak_mb", inverse=False),
        "c2st_lower_on": sum(o["c2st_hgb"] < t["c2st_hgb"] for o, t in judged),
        "c2st_difference": statistics.fmean(o["c2st_hgb"] - t["c2st_hgb"] for o, t in judged)
        if judged
        else None,
    }


def pairs(ours: dict[str, Line], theirs: dict[str, Line]) -> list[tuple[Line, Line]]:
    return [(ours[name], theirs[name]) for name in ours if name in theirs]


def table(runs: Sequence[Line], summed: dict[str, Any]) -> str:
    """Return the table as text: a line a set and system, then means, then ratios."""
    headings = ["set", "system", *(title for _, title, _ in _SHOWN), "told by (alone, drop)"]
    cells = [[_name(line), line["system"], *_cells(line), _told(line)] for line in summed["sets"]]
    parts = [aligned([headings, *cells])]
    notes = [
        f"{line['set']}, {line['system']}: {reason}"
        for line in summed["sets"]
        for reason in line["reasons"]
    ]
    if notes:
        parts.append("Did not end well:\n" + "\n".join(f"  {note}" for note in notes))
    parts.extend((_mean_lines(summed["means"]), _against_lines(summed["against"])))
    seeds = len({run["seed"] for run in runs})
    parts.append(
        f"Medians of {seeds} seed(s). utility, copies, reuse: synthetic | held-out rows' own "
        "(utility: trained on real rows)."
    )
    return "\n\n".join(part for part in parts if part)


def _name(line: Line) -> str:
    return f"{line['set']} {line['rows']:,} x {line['columns']}"


def _cells(line: Line) -> list[str]:
    if not line["seeds"] and "train_cpu_s" not in line:
        return ["-"] * len(_SHOWN)
    cells = []
    for key, _, form in _SHOWN:
        text = form.format(line[key]) if key in line else "-"
        other = _BESIDE.get(key)
        if other in line and key in line:
            text += "|" + form.format(line[other])
        cells.append(text)
    return cells


def _told(line: Line) -> str:
    if line["reasons"] and not line["seeds"]:
        return str(line["reasons"][0])
    return ", ".join(
        f"{name} {alone:.2f}" + (f" {fall:+.3f}" if fall is not None else "")
        for name, alone, fall in line["told_by"]
    )


def _mean_lines(means: dict[str, dict[str, Any]]) -> str:
    names = ["sets", *_MEANS, "utility_loss"]
    rows = [["mean over sets", *names]]
    for system, values in means.items():
        rows.append([system, *(_short(values[name]) for name in names)])
    return aligned(rows)


def _against_lines(against: dict[str, dict[str, Any]]) -> str:
    if not against:
        return ""
    names = list(next(iter(against.values())))
    rows = [[f"{OURS} against", *(name.replace("_", " ") for name in names)]]
    for peer, values in against.items():
        rows.append([peer, *(_short(values[name]) for name in names)])
    return aligned(rows)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
