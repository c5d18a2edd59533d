"""What the pictures of a report show: shares of bins and labels, never one person's value.

A bin or label is shown only if at least FEW real rows, of at least FEW different
parents, share it; the others are merged with their neighbours or into 'other'. Bins have
round bounds and open ends, so that no smallest or largest value shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from syntheflow_server.quality.columns import (
    MISSING,
    Codes,
    Kind,
    column_kinds,
    numbers,
    text_parts,
)
from syntheflow_server.quality.evidence import MARGINAL_ROWS, Evidence
from syntheflow_server.quality.groups import row_groups
from syntheflow_server.quality.metric import Beat

FEW = 5
MAX_LABELS = 10
MAX_LABEL_LENGTH = 40
_BINS = 16
_DAY = 86_400.0
_TIME_STEPS = np.array([1, 5, 15, 60, 240, 720]) * 60.0
_DAY_STEPS = np.array([1, 2, 7, 14, 30.4375, 91.3125, 182.625, 365.25, 730.5, 1826.25, 3652.5])


def profiles(evidence: Evidence, beat: Beat) -> dict[str, Any]:
    """Return rows and column pictures of every table, fit for JSON."""
    found: dict[str, Any] = {}
    names = evidence.schema.table_names
    for number, table in enumerate(names):
        beat(number / len(names), table)
        found[table] = {
            "rows": {
                "train": evidence.train(table).num_rows,
                "holdout": evidence.holdout(table).num_rows,
                "synthetic": evidence.synthetic(table).num_rows,
            },
            "columns": (
                []
                if table in evidence.kept
                else _columns(evidence, table, _within(beat, table, number, len(names)))
            ),
            "kept": table in evidence.kept,
        }
    return found


def _within(beat: Beat, table: str, number: int, count: int) -> Callable[[float], None]:
    return lambda done: beat((number + done) / count, table)


def _columns(evidence: Evidence, table: str, beat: Callable[[float], None]) -> list[dict[str, Any]]:
    real, synthetic = evidence.marginals(table)
    kinds = column_kinds(evidence.schema, table, evidence.train(table))
    groups = row_groups(evidence, table)
    owners = np.concatenate([groups.train, groups.holdout])
    owners = owners[evidence.places(len(owners), MARGINAL_ROWS, table, "real")]
    found: list[dict[str, Any]] = []
    for name, kind in kinds.items():
        beat(len(found) / len(kinds))
        picture: dict[str, Any] | None = None
        if kind is not Kind.KEY and real.num_rows and synthetic.num_rows:
            picture = _picture(kind, _Sides(real.column(name), synthetic.column(name), owners))
        found.append({"column": name, "kind": kind.value, "picture": picture})
    return found


@dataclass(frozen=True, slots=True)
class _Sides:
    real: pa.ChunkedArray
    synthetic: pa.ChunkedArray
    owners: np.ndarray


def _picture(kind: Kind, sides: _Sides) -> dict[str, Any] | None:
    """Return bars (labels) or a histogram (bounds) with shares of all rows, or nothing."""
    missing = {
        "real": sides.real.null_count / len(sides.real),
        "synthetic": sides.synthetic.null_count / len(sides.synthetic),
    }
    if kind is Kind.CATEGORY:
        body = _bars(sides)
    else:
        if kind is Kind.TEXT:
            left, right = (text_parts(s)["length"] for s in (sides.real, sides.synthetic))
        else:
            left, right = numbers(sides.real), numbers(sides.synthetic)
        unit = "length" if kind is Kind.TEXT else _unit(kind, sides.real.type)
        body = _histogram(left, right, sides.owners, unit)
    return {**body, "missing": missing} if body else None


def _unit(kind: Kind, arrow: pa.DataType) -> str:
    if kind is not Kind.TIME:
        return "whole" if pa.types.is_integer(arrow) else "number"
    if pa.types.is_time64(arrow):
        return "time of day"
    return "day" if pa.types.is_date32(arrow) else "instant"


def _witnesses(codes: np.ndarray, owners: np.ndarray, size: int) -> np.ndarray:
    """Return for each code 0..size-1 how many different owners hold it."""
    present = codes >= 0
    pairs = np.unique(np.stack([codes[present], owners[present]]), axis=1)
    return np.bincount(pairs[0], minlength=size)


def _bars(sides: _Sides) -> dict[str, Any] | None:
    top = Codes.fit(sides.real, MAX_LABELS)
    codes = top.encode(sides.real)
    witnesses = _witnesses(codes, sides.owners, len(top.values) + 1)[: len(top.values)]
    shown = np.flatnonzero(witnesses >= FEW)
    place = np.full(len(top.values) + 2, len(shown))
    place[shown] = np.arange(len(shown))
    place[MISSING] = len(shown) + 1
    counts = [
        np.bincount(place[top.encode(side)], minlength=len(shown) + 2)[: len(shown) + 1] / len(side)
        for side in (sides.real, sides.synthetic)
    ]
    labels = [_label(top.values[int(code)]) for code in shown]
    kept = len(shown) + (1 if any(count[-1] > 0 for count in counts) else 0)
    return (
        {
            "form": "bars",
            "labels": [*labels, "all others"][:kept],
            "real": counts[0][:kept].tolist(),
            "synthetic": counts[1][:kept].tolist(),
        }
        if kept
        else None
    )


def _label(value: pa.Scalar) -> str:
    text = str(value.as_py())
    if pa.types.is_boolean(value.type):
        text = "yes" if value.as_py() else "no"
    return text if len(text) <= MAX_LABEL_LENGTH else text[: MAX_LABEL_LENGTH - 1] + "…"


def _histogram(
    real: np.ndarray, synthetic: np.ndarray, owners: np.ndarray, unit: str
) -> dict[str, Any] | None:
    present = real[~np.isnan(real)]
    if len(present) < FEW:
        return None
    bounds = _merged(_bounds(present, unit), real, owners)
    shares = [
        np.bincount(_bin(side, bounds)[~np.isnan(side)], minlength=len(bounds) + 1) / len(side)
        for side in (real, synthetic)
    ]
    return {
        "form": "histogram",
        "unit": unit,
        "bounds": [float(bound) for bound in bounds],
        "labels": _bin_labels(bounds, unit),
        "real": shares[0].tolist(),
        "synthetic": shares[1].tolist(),
    }


def _bin(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the bin of each value: 0 lies below the first bound, len(bounds) above the last."""
    return np.searchsorted(bounds, values, side="right")


def _bounds(present: np.ndarray, unit: str) -> np.ndarray:
    """Return round bounds inside the middle 98 % of the values."""
    low, high = np.quantile(present, [0.01, 0.99])
    step = _step((high - low) / _BINS, unit)
    first, last = np.floor(low / step) + 1, np.floor(high / step)
    if last < first:
        return np.array([first * step])
    return np.arange(first, last + 1) * step


def _step(width: float, unit: str) -> float:
    if unit in {"time of day", "instant", "day"}:
        steps = np.concatenate([_TIME_STEPS, _DAY_STEPS * _DAY])
        if unit == "time of day":
            steps = _TIME_STEPS
        if unit == "day":
            steps = _DAY_STEPS
        return float(steps[min(int(np.searchsorted(steps, width)), len(steps) - 1)])
    least = 1.0 if unit in {"whole", "length"} else 0.0
    if width <= 0:
        return max(least, 1.0)
    power = 10.0 ** np.floor(np.log10(width))
    nice = next(step for step in (1, 2, 2.5, 5, 10) if step * power >= width * 0.999)
    return float(max(least, np.ceil(nice * power) if least else nice * power))


def _merged(bounds: np.ndarray, real: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the bounds without those that would set apart fewer than FEW owners.

    Bins without any real row are kept: they tell nothing of anyone.
    """
    present = ~np.isnan(real)
    while len(bounds):
        codes = _bin(real, bounds)
        held = _witnesses(np.where(present, codes, -1), owners, len(bounds) + 1)
        poor = np.flatnonzero((held > 0) & (held < FEW))
        if not len(poor):
            break
        # Every other poor bin joins the bin above it, or the last one the bin below.
        drop = {min(int(place), len(bounds) - 1) for place in poor[::2]}
        bounds = np.delete(bounds, sorted(drop))
    return bounds


def _bin_labels(bounds: np.ndarray, unit: str) -> list[str]:
    if not len(bounds):
        return ["all values"]
    texts = [_bound_text(float(bound), unit) for bound in bounds]
    if unit in {"whole", "length"}:
        lasts = [_bound_text(float(bound) - 1, unit) for bound in bounds[1:]]
        middle = [
            low if low == last else f"{low} to {last}"
            for low, last in zip(texts, lasts, strict=False)
        ]
    else:
        middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"below {texts[0]}", *middle, f"{texts[-1]} and above"]


def _bound_text(bound: float, unit: str) -> str:
    if unit == "time of day":
        return f"{int(bound) // 3600:02d}:{int(bound) // 60 % 60:02d}"
    if unit == "day":
        return str(np.datetime64(int(np.floor(bound)), "D"))
    if unit == "instant":
        moment = np.datetime64(int(np.floor(bound)), "s")
        return str(moment.astype("datetime64[D]" if bound % _DAY == 0 else "datetime64[m]"))
    return f"{bound:,.0f}" if abs(bound) >= 1000 else f"{bound:.6g}"
