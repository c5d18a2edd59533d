"""Find out how the children of one owner follow one another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import SemanticType, Table
from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.days import MONTH, YEAR, closed_weekdays, to_slots
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import Sequence

_FEW_PAIRS = 20
_HOLDERS = 3
_LONG_MEAN = 200
_LONG_MOST = 5000
_LONGEST_MEAN = 2000
_FEW_SERIES = 20
_COUNTED_MEAN = 1.2
_APART = 0.5
_APART_NUMBER = 0.8
_RISING = 0.98
_DAY_MICROSECONDS = 86_400_000_000
_USUAL_DAYS = 3
_USUAL_SHARE = 0.5
_CLEARLY = 0.1
_FEW_SHARE = 0.05
_SEASON_SHARE = 0.9
_SEASON = 0.25
_MANY_FOR_SEASON = 2


def order_numbers(source: TableSource, column: str) -> npt.NDArray[np.int64] | None:
    """Return a date, time stamp or integer column as int64; None if it has gaps or is neither."""
    values = combined(source.column(column))
    kind = values.type
    if values.null_count or not (
        pa.types.is_int64(kind) or pa.types.is_date32(kind) or pa.types.is_timestamp(kind)
    ):
        return None
    return to_numbers(values, column)[0].astype(np.int64)


def find_sequence(
    table: Table,
    source: TableSource,
    owners: Rows,
    candidates: Iterable[str],
    key: tuple[str, ...],
    referring: frozenset[str] = frozenset(),
) -> Sequence | None:
    """Return how siblings follow one another; None if owners have hardly more than one child.

    `owners` [n] are the owner rows, `candidates` the columns that may give the order,
    `key` the columns that must differ between siblings, `referring` those that hold
    references and so must be counted as their parents are.
    """
    counts = np.bincount(owners)
    counts = counts[counts > 0]
    if not len(counts):
        return None
    long = _is_long(counts, len(table.columns) - len(key) - 1)
    best: tuple[tuple[bool, bool, float, float], str, npt.NDArray[np.int64]] | None = None
    for name in candidates:
        numbers = order_numbers(source, name)
        if numbers is None or len(numbers) < 2:
            continue
        score = _score(table, name, numbers, owners, key)
        if score and (best is None or score > best[0]):
            best = (score, name, numbers)
    if best:
        _, name, numbers = best
        day = _day_of(source, name)
        free = name not in referring
        cycle = 0
        if day and free and not long and not (numbers % day).any():
            cycle = _cycle(to_slots(numbers, day), owners)
        counted = to_slots(numbers, day) if cycle else numbers
        highest = max(0, len(numbers) - _HOLDERS)
        unit = 1 if cycle else int(np.gcd.reduce(numbers - numbers.min())) or 1
        strict = set(key) == {name}
        backward = _ends_together(counted, owners)
        return Sequence(
            order=name,
            unit=unit,
            high=int(np.partition(counted, highest)[highest]),
            strict=strict,
            long=long,
            cycle=cycle,
            day=day,
            closed=closed_weekdays(numbers // day) if day and free else (),
            backward=backward,
            apart=max(int(strict), _apart(counted, owners, cycle) // unit),
            pace=0 if cycle or backward or long else _pace(counted, owners, unit),
        )
    return Sequence(long=long) if counts.mean() >= _COUNTED_MEAN else None


def _is_long(counts: npt.NDArray[np.int64], others: int) -> bool:
    """Return whether siblings are made at once; `counts` are the owners' numbers of rows.

    Made one after another they take as many steps as the longest series has rows. Rows
    that know the ones before are also less like real ones, each by itself: few series show
    too little of how `others`, the columns beside the order, go together after all that
    can come before. Many series are worth it.
    """
    series = float(counts.sum() ** 2 / (counts.astype(np.float64) ** 2).sum())
    few = series < _FEW_SERIES and others > 1
    mean = _LONG_MEAN if few else _LONGEST_MEAN
    return bool(counts.mean() > mean or counts.max() > _LONG_MOST)


def _day_of(source: TableSource, name: str) -> int:
    """Return one day in the column's unit; 0 if it has no calendar."""
    kind = combined(source.column(name)).type
    if pa.types.is_int64(kind):
        return 0
    return 1 if pa.types.is_date32(kind) else _DAY_MICROSECONDS


def _apart(numbers: npt.NDArray[np.int64], owners: Rows, cycle: int) -> int:
    """Return what all but few neighbours lie apart at least; 0 where many coincide.

    Where days of a `cycle` return, whole cycles.
    """
    order = np.lexsort((numbers, owners))
    steps = np.diff(numbers[order])[np.diff(owners[order]) == 0]
    if len(steps) < _FEW_PAIRS:
        return 0
    apart = float(np.quantile(steps, _FEW_SHARE))
    return round(apart / cycle) * cycle if cycle else int(apart)


def _pace(numbers: npt.NDArray[np.int64], owners: Rows, unit: int) -> int:
    """Return the step in units that at least half of the siblings take, 0 if there is none."""
    order = np.lexsort((numbers, owners))
    steps = np.diff(numbers[order])[owners[order][1:] == owners[order][:-1]] // unit
    if len(steps) < _FEW_PAIRS:
        return 0
    values, rows = np.unique(steps, return_counts=True)
    return int(values[rows.argmax()]) if rows.max() >= _USUAL_SHARE * len(steps) else 0


def _ends_together(numbers: npt.NDArray[np.int64], owners: Rows) -> bool:
    """Return whether the last sibling depends less on the first than the span between does."""
    order = np.lexsort((numbers, owners))
    edge = np.flatnonzero(np.diff(owners[order]))
    first = numbers[order[np.append(0, edge + 1)]]
    last = numbers[order[np.append(edge, len(order) - 1)]]
    several = last > first
    if several.sum() < _FEW_PAIRS:
        return False
    ranks = [np.argsort(np.argsort(x[several])) for x in (first, last, last - first)]
    to_last, to_span = (abs(np.corrcoef(ranks[0], other)[0, 1]) for other in ranks[1:])
    return bool(to_last < to_span - _CLEARLY)


def _cycle(slots: npt.NDArray[np.int64], owners: Rows) -> int:
    """Return YEAR or MONTH if later siblings keep to few days, or a season, of one; else 0."""
    order = np.lexsort((slots, owners))
    later = slots[order[1:]][owners[order[1:]] == owners[order[:-1]]]
    if len(later) < _FEW_PAIRS:
        return 0
    for cycle in (YEAR, MONTH):
        held = np.sort(np.bincount(later % cycle, minlength=cycle))[::-1].cumsum() / len(later)
        season = round(_SEASON * cycle)
        many = len(later) >= _MANY_FOR_SEASON * cycle
        if held[_USUAL_DAYS - 1] >= _USUAL_SHARE or (many and held[season] >= _SEASON_SHARE):
            return cycle
    return 0


def _score(
    table: Table, name: str, numbers: npt.NDArray[np.int64], owners: Rows, key: tuple[str, ...]
) -> tuple[bool, bool, float, float] | None:
    """Return how well a column orders siblings, None if it does not."""
    apart, rising, pairs = _order_shares(numbers, owners)
    temporal = table.column(name).semantic_type in {SemanticType.DATE, SemanticType.DATETIME}
    inside = name in key
    if not inside and pairs < _FEW_PAIRS:
        return None
    number_orders = rising >= _RISING and apart >= _APART_NUMBER
    if not (inside or (temporal and apart >= _APART) or number_orders):
        return None
    if inside and not temporal and set(key) != {name} and apart < _APART:
        return None
    return (inside, temporal, round(rising, 2), apart)


def _order_shares(numbers: npt.NDArray[np.int64], owners: Rows) -> tuple[float, float, int]:
    """Return the shares of neighbours that differ and that rise in file order, and their number."""
    by_value = np.lexsort((numbers, owners))
    same = owners[by_value][1:] == owners[by_value][:-1]
    pairs = int(same.sum())
    if not pairs:
        return 1.0, 1.0, 0
    ordered = numbers[by_value]
    apart = float((ordered[1:] != ordered[:-1])[same].mean())
    by_file = np.argsort(owners, kind="stable")
    filed = numbers[by_file]
    rising = float((filed[1:] >= filed[:-1])[same].mean())
    return apart, rising, pairs
