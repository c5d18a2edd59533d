"""Solve sums for the parts that are not known, one part after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.relations.arithmetic import Linear
from syntheflow_server.engine.relations.cells import (
    Cells,
    Mask,
    Tilt,
    limits,
    numbers_of,
    values_of,
)
from syntheflow_server.engine.relations.differences import Difference
from syntheflow_server.engine.relations.sheet import Sheet

Floats = npt.NDArray[np.float64]
_FEW = 20
_CLOSE = 1e-6
_SMOOTH = 200


@dataclass(frozen=True, slots=True)
class Sum:
    """`made` is the sum of `weights` times the `parts`, all in whole units of 10**-digits.

    Parts with large weights come first: what they leave, the fine ones make up. A
    product (`extra` >= 0) drops that many digits. `gap` is the part that is missing
    where the sum is.
    """

    made: str
    digits: int
    parts: tuple[str, ...]
    weights: tuple[float, ...]
    scales: tuple[int, ...]
    gap: str
    extra: int = -1

    @classmethod
    def of(cls, relation: Linear | Difference) -> Sum:
        """Return the relation as a sum."""
        made, needs = relation.makes[0], tuple(ref.column for ref in relation.needs)
        if isinstance(relation, Difference):
            hidden = relation.hidden[0].name
            return cls(made, 0, (hidden, *needs), (float(relation.unit), 1.0), (0, 0), hidden)
        if relation.product:
            extra = sum(relation.scales) - relation.digits
            return cls(made, relation.digits, needs, (1.0, 1.0), relation.scales, needs[-1], extra)
        weights = [
            float(factor * 10 ** (relation.digits - scale))
            for factor, scale in zip(relation.factors, relation.scales, strict=True)
        ]
        order = sorted(range(len(needs)), key=lambda i: -abs(weights[i]))
        return cls(
            made,
            relation.digits,
            tuple(needs[i] for i in order),
            tuple(weights[i] for i in order),
            tuple(relation.scales[i] for i in order),
            needs[order[-1]],
        )


def pick_made(total: Sum, sheet: Sheet) -> None:
    """Choose the sum where it must be one of some values (or none of some) by how usual it is."""
    made = sheet[total.made]
    rows = ~made.known & ((made.choice.of_row >= 0) | (made.apart.of_row >= 0))
    rows &= ~sheet.all_known(total.parts)
    if not rows.any():
        return
    usual = sheet.sample(total.made)
    kind, samples = made.signatures()
    uniforms = sheet.random(total.made)
    values = made.values
    for number, row in enumerate(samples.tolist()):
        mine = np.flatnonzero(rows & (kind == number))
        if not len(mine):
            continue
        pool = usual.filter(pa.array(made.admits(row, usual)))
        if made.choice.of_row[row] >= 0:
            among = made.choice.sets[made.choice.of_row[row]]
            among = among.filter(pa.array(made.admits(row, among)))
            pool = pa.concat_arrays([pool, among]) if len(pool) < _FEW else pool
        if not len(pool):
            sheet.fail(made.name)
            continue
        at = pa.array((uniforms[mine] * len(pool)).astype(np.int64))
        place = np.arange(sheet.rows)
        place[mine] = sheet.rows + np.arange(len(mine))
        values = pa.concat_arrays([values, pool.take(at)]).take(pa.array(place))
    made.know(rows & values.is_valid().to_numpy(zero_copy_only=False), values)


def solve(total: Sum, sheet: Sheet) -> list[tuple[str, Mask]]:
    """Solve for the only unknown part; of several, bound the first, which must be drawn next."""
    made = sheet[total.made]
    numbers, missing = _units(made.values, total.digits)
    fixed = made.known & ~missing
    ends = _ends(made, total.digits)
    low, high = np.where(fixed, numbers, ends[0]), np.where(fixed, numbers, ends[1])
    active = fixed | (made.bounded & ~made.known)
    units, unknown = [], []
    for name, scale in zip(total.parts, total.scales, strict=True):
        found, gone = _units(sheet[name].values, scale)
        known = sheet[name].known
        active &= ~(known & gone)
        units.append(np.where(known & ~gone, found, 0.0))
        unknown.append(~known)
    count = np.sum(unknown, axis=0)
    if total.extra >= 0:
        _divide(total, sheet, units, unknown, low, fixed & active & (count == 1))
        return []
    rest = sum(
        (w * u for w, u in zip(total.weights, units, strict=True)), start=np.zeros(sheet.rows)
    )
    only = active & (count == 1)
    for place, name in enumerate(total.parts):
        _finish(total, sheet, place, only & unknown[place], fixed, (low - rest, high - rest))
        del name
    wanted = []
    several = active & (count > 1)
    for place, name in enumerate(total.parts):
        rows = several & unknown[place]
        if rows.any():
            _prepare(total, sheet, place, rows, np.stack(unknown), (low - rest, high - rest))
            wanted.append((name, rows))
        several &= ~rows
    return wanted


def _units(values: pa.Array, digits: int) -> tuple[Floats, Mask]:
    numbers, missing = numbers_of(values)
    numbers = np.where(missing, 0, numbers).astype(np.float64)
    if pa.types.is_floating(values.type):
        numbers = np.round(numbers * 10.0**digits)
    return numbers, missing


def _ends(cells: Cells, digits: int) -> tuple[Floats, Floats]:
    """Return the cells' ranges in units, infinite where there is none."""
    none = limits(cells.values.type)
    low = np.where(cells.low <= none[0], -np.inf, cells.low.astype(np.float64))
    high = np.where(cells.high >= none[1], np.inf, cells.high.astype(np.float64))
    if pa.types.is_floating(cells.values.type):
        low = np.ceil(low * 10.0**digits - _CLOSE)
        high = np.floor(high * 10.0**digits + _CLOSE)
    return low, high


def _told(units: Floats, kind: pa.DataType, digits: int) -> npt.NDArray[np.generic]:
    """Return numbers of a column's own unit."""
    if pa.types.is_floating(kind):
        return units / 10.0**digits
    none = limits(kind)
    clipped = np.clip(units, -(2.0**62), 2.0**62).astype(np.int64)
    whole: npt.NDArray[np.generic] = np.where(
        np.isinf(units), np.where(units < 0, none[0], none[1]), clipped
    )
    return whole


def _finish(
    total: Sum, sheet: Sheet, place: int, rows: Mask, fixed: Mask, left: tuple[Floats, Floats]
) -> None:
    """Set, or bound, the one part that is not known."""
    if not rows.any():
        return
    cells, weight, scale = sheet[total.parts[place]], total.weights[place], total.scales[place]
    kind = cells.values.type
    ends = sorted_ends(left, weight)
    whole = np.where(rows & fixed, np.round(np.where(fixed, left[0], 0) / weight), 0.0)
    if sheet.domain(cells.name)[0] >= 0:
        whole = np.maximum(whole, 0)
    cells.know(rows & fixed, values_of(_told(whole, kind, scale), None, kind))
    cells.bound(
        rows & ~fixed,
        _told(np.ceil(ends[0] - _CLOSE), kind, scale),
        _told(np.floor(ends[1] + _CLOSE), kind, scale),
    )


def sorted_ends(left: tuple[Floats, Floats], weight: float) -> tuple[Floats, Floats]:
    """Return a range divided by a weight of either sign."""
    low, high = left[0] / weight, left[1] / weight
    return (low, high) if weight > 0 else (high, low)


def _prepare(
    total: Sum,
    sheet: Sheet,
    place: int,
    rows: Mask,
    unknown: npt.NDArray[np.bool_],
    left: tuple[Floats, Floats],
) -> None:
    """Bound the part so that the others can make up the rest, and lean it to likely rests."""
    cells, weight, scale = sheet[total.parts[place]], total.weights[place], total.scales[place]
    least, most = np.zeros(sheet.rows), np.zeros(sheet.rows)
    for other, name in enumerate(total.parts):
        if other == place:
            continue
        own = _ends(sheet[name], total.scales[other])
        domain = [end * 10.0 ** total.scales[other] for end in sheet.domain(name)]
        ends = (np.maximum(own[0], domain[0]), np.minimum(own[1], domain[1]))
        low, high = sorted_ends(ends, 1 / total.weights[other])
        least += np.where(unknown[other], low, 0)
        most += np.where(unknown[other], high, 0)
    kind = cells.values.type
    ends = sorted_ends((left[0] - most, left[1] - least), weight)
    cells.bound(
        rows,
        _told(np.ceil(ends[0] - _CLOSE), kind, scale),
        _told(np.floor(ends[1] + _CLOSE), kind, scale),
    )
    first = int(np.flatnonzero(rows)[0])
    others = [o for o in range(len(unknown)) if unknown[o, first] and o != place]
    sample, slope, level = _rests(total, sheet, place, others)
    spread = max(0.5, float(np.subtract(*np.quantile(sample, (0.9, 0.1)))) / _SMOOTH)
    low, high = left[0] - level - spread, left[1] - level + spread
    cells.tilt = Tilt(rows, sample, low, high, weight + slope, scale)


def _rests(total: Sum, sheet: Sheet, place: int, others: list[int]) -> tuple[Floats, float, float]:
    """Return what usual rows have as sum of the other parts, by the part at `place`.

    That sum is slope * part + level + one of the sorted sample.
    """
    mine, gone = _units(sheet.sample(total.parts[place]), total.scales[place])
    sums, fits = np.zeros(len(mine)), ~gone
    for other in others:
        name = total.parts[other]
        units, missing = _units(sheet.sample(name), total.scales[other])
        low, high = _ends(sheet[name], total.scales[other])
        fits &= ~missing & (units >= low.min()) & (units <= high.max())
        sums = sums + total.weights[other] * units
    if fits.sum() >= _FEW:
        mine, sums = mine[fits], sums[fits]
    varied = float(mine.var())
    slope = float(((mine - mine.mean()) * (sums - sums.mean())).mean()) / varied if varied else 0.0
    level = float(sums.mean() - slope * mine.mean())
    return np.sort(sums - slope * mine - level), slope, level


def _divide(
    total: Sum,
    sheet: Sheet,
    units: list[Floats],
    unknown: list[Mask],
    made: Floats,
    rows: Mask,
) -> None:
    """Solve a product for its unknown factor."""
    for place in (0, 1):
        mine, other = rows & unknown[place], units[1 - place]
        mine &= other != 0
        cells = sheet[total.parts[place]]
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = np.round(made * 10.0**total.extra / other)
        whole = np.where(mine, whole, 0.0)
        kind = cells.values.type
        cells.know(mine, values_of(_told(whole, kind, total.scales[place]), None, kind))
