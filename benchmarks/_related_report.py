"""Turns the runs of related_tables.py into medians, means, ratios, and one printed table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from _single_report import aligned, pairs
from peers.registry import OURS, REAL

Line = dict[str, Any]

_SHOWN: tuple[tuple[str, str, str], ...] = (
    ("train_cpu_s", "train s", "{:.0f}"),
    ("rows_per_s", "rows/s", "{:,.0f}"),
    ("peak_mb", "MB", "{:.0f}"),
    ("resolved", "resolve", "{:.1%}"),
    ("repeated_keys", "rep.keys", "{:.0f}"),
    ("null_points_worst", "nulls", "{:.1f}"),
    ("child_counts_mean", "counts", "{:.3f}"),
    ("child_counts_least", "least", "{:.3f}"),
    ("hop_trends", "k-hop", "{:.3f}"),
    ("c2st_tables", "C2ST", "{:.3f}"),
    ("c2st_aggregates", "C2ST agg", "{:.3f}"),
    ("in_order_mean", "order", "{:.3f}"),
    ("nearest_least", "nearest", "{:.2f}"),
    ("fresh_links", "new links", "{:.0%}"),
)
_BESIDE = {
    "child_counts_mean": "child_counts_real_mean",
    "child_counts_least": "child_counts_least_real",
    "hop_trends": "hop_trends_real",
    "c2st_tables": "c2st_tables_real",
    "c2st_aggregates": "c2st_aggregates_real",
}
_MEANS = tuple(key for key, *_ in _SHOWN[3:])


def medians(runs: Iterable[Line]) -> list[Line]:
    """Return one line for each set and system: medians over the seeds that ended.

    `reasons` holds why others did not, `told_by` the three aggregates that tell most in the
    worst parent table of the first seed.
    """
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for run in runs:
        groups[run["set"], run["system"]].append(run)
    return [_median(lines) for lines in groups.values()]


def _median(lines: list[Line]) -> Line:
    median: Line = {key: lines[0][key] for key in ("set", "system", "root", "table_count")}
    median["learned_rows"] = lines[0]["learned_rows"]
    for name in {*(key for key, *_ in _SHOWN), *_BESIDE.values(), "train_wall_s", "sample_wall_s"}:
        values = [line[name] for line in lines if line.get(name) is not None]
        if values:
            median[name] = statistics.median(values)
    judged = [line for line in lines if "aggregates" in line]
    median["seeds"] = len(judged)
    median["reasons"] = sorted({line["reason"] for line in lines if "reason" in line})
    median["left_out"] = sorted({what for line in lines for what in line.get("left_out", ())})
    parents = judged[0]["aggregates"] if judged else {}
    worst = max(parents, key=lambda name: parents[name]["auc"], default="")
    median["worst_parent"] = worst
    median["told_by"] = parents[worst]["told_by"][:3] if worst else []
    return median


def summary(runs: Sequence[Line]) -> dict[str, Any]:
    """Return medians by set and system, means over sets, and ours against each peer."""
    lines = medians(runs)
    by_system: dict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        by_system[line["system"]][line["set"]] = line
    means = {name: _mean(sets.values()) for name, sets in by_system.items()}
    ours = by_system.get(OURS, {})
    against = {
        name: _against(ours, sets) for name, sets in by_system.items() if name not in {OURS, REAL}
    }
    return {"sets": lines, "means": means, "against": against if ours else {}}


def _mean(lines: Iterable[Line]) -> dict[str, Any]:
    judged = [line for line in lines if line["seeds"]]
    found: dict[str, Any] = {"sets": len(judged)}
    for key in _MEANS:
        values = [line[key] for line in judged if key in line]
        found[key] = statistics.fmean(values) if values else None
    return found


def _against(ours: dict[str, Line], theirs: dict[str, Line]) -> dict[str, Any]:
    """Compare on the sets that both have: medians of the ratios, and who is told more easily."""

    def ratio(key: str, *, inverse: bool = False) -> float | None:
        both = [(o[key], t[key]) for o, t in pairs(ours, theirs) if key in o and key in t]
        found = [t / o if inverse else o / t for o, t in both if o and t]
        return statistics.median(found) if found else None

    judged = [(o, t) for o, t in pairs(ours, theirs) if o["seeds"] and t["seeds"]]
    key = "c2st_aggregates"
    both = [(o[key], t[key]) for o, t in judged if key in o and key in t]
    return {
        "sets": len(judged),
        "training_times_faster": ratio("train_cpu_s", inverse=True),
        "sampling_times_faster": ratio("rows_per_s"),
        "memory_ratio": ratio("peak_mb"),
        "aggregates_lower_on": sum(o < t for o, t in both),
        "aggregates_difference": statistics.fmean(o - t for o, t in both) if both else None,
    }


def table(runs: Sequence[Line], summed: dict[str, Any]) -> str:
    """Return the table as text: a line a set and system, then means, ratios and weaknesses."""
    headings = ["set (entity)", "system", *(title for _, title, _ in _SHOWN)]
    cells = [[_name(line), line["system"], *_cells(line)] for line in summed["sets"]]
    parts = [aligned([headings, *cells]), _notes(summed["sets"]), _told(summed["sets"])]
    names = [title for _, title, _ in _SHOWN[3:]]
    rows = [["mean over sets", "sets", *names]]
    for system, found in summed["means"].items():
        values = [_short(found[key]) for key in _MEANS]
        rows.append([system, str(found["sets"]), *values])
    parts.append(aligned(rows))
    if summed["against"]:
        names = list(next(iter(summed["against"].values())))
        rows = [[f"{OURS} against", *(name.replace("_", " ") for name in names)]]
        rows += [[n, *map(_short, found.values())] for n, found in summed["against"].items()]
        parts.append(aligned(rows))
    seeds = len({run["seed"] for run in runs})
    parts.append(
        f"Medians of {seeds} seed(s). Behind a bar: the learned half's own figure against the "
        "held-out half."
    )
    return "\n\n".join(part for part in parts if part)


def _name(line: Line) -> str:
    size = f"{line['table_count']} tables, {line['learned_rows']:,} rows"
    return f"{line['set']} ({line['root']}) {size}"


def _cells(line: Line) -> list[str]:
    cells = []
    for key, _, form in _SHOWN:
        text = form.format(line[key]) if line.get(key) is not None else "-"
        other = line.get(_BESIDE.get(key, ""))
        if other is not None and text != "-" and line["system"] != REAL:
            text += "|" + form.format(other)
        cells.append(text)
    return cells


def _notes(lines: Sequence[Line]) -> str:
    said = [
        f"  {line['set']}, {line['system']}: {reason}"
        for line in lines
        for reason in line["reasons"]
    ]
    said += [
        f"  {line['set']}, {line['system']}: could not be declared: {', '.join(line['left_out'])}"
        for line in lines
        if line["left_out"]
    ]
    return "\n".join(["Did not end well, or learned less:", *said]) if said else ""


def _told(lines: Sequence[Line]) -> str:
    said = [
        f"  {line['set']}, {line['system']}: {line['worst_parent']} by "
        + ", ".join(f"{name} {auc:.2f}" for name, auc in line["told_by"])
        for line in lines
        if line["told_by"] and line["system"] != REAL
    ]
    return (
        "\n".join(["Told most easily (aggregates, AUC of the column alone):", *said])
        if said
        else ""
    )


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
