"""Exact relations between columns: named by the data set, or found in its real rows.

A relation counts only if every real row, held-out ones included, obeys it. The search is the
benchmark's own: it shares no code with the engine that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.frames import Column, Frame

Bools = npt.NDArray[np.bool_]
Test = Callable[[Frame], Bools]

_TOLERANCE = 1e-5
_CHANCE = 0.01
_ORDER_CHANCE = 0.05
_PROBE = 200
_MOST_COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Relation:
    """A rule in words, and which rows break it (True)."""

    words: str
    broken: Test


def relations(real: Frame, given: Sequence[Mapping[str, Any]] = ()) -> list[Relation]:
    """Return the relations that a data set names and those found in `real`, each once."""
    found: dict[str, Relation] = {}
    for relation in (*(_named(real, facts) for facts in given), *_search(real)):
        found.setdefault(relation.words, relation)
    return list(found.values())


def broken_shares(rules: Sequence[Relation], rows: Frame) -> tuple[float, dict[str, float]]:
    """Return the share of rows that break any rule, and each broken rule's own share."""
    any_broken = np.zeros(rows.rows, dtype=np.bool_)
    shares = {}
    for rule in rules:
        broken = rule.broken(rows)
        any_broken |= broken
        if broken.any():
            shares[rule.words] = float(broken.mean())
    shares = dict(sorted(shares.items(), key=lambda pair: -pair[1]))
    return float(any_broken.mean()) if rows.rows else 0.0, shares


def _named(real: Frame, facts: Mapping[str, Any]) -> Relation:
    """Build the relation that a data set's meta.json names."""
    match facts["kind"]:
        case "determines":
            return _determines(real, facts["from"], facts["to"])
        case "sum":
            return _sum(facts["total"], facts["parts"])
        case "order":
            return _order(facts["low"], facts["high"])
        case "one_of":
            return _one_of(facts["columns"])
        case kind:
            raise ValueError(
                f"relations: kind {kind!r} is not one of determines, sum, order, one_of"
            )


def _search(real: Frame) -> Iterator[Relation]:
    if len(real.columns) > _MOST_COLUMNS:
        return
    yield from _find_determined(real)
    names = [n for n, c in real.columns.items() if c.kind == "number"]
    flags = [n for n in names if set(np.unique(real.columns[n].values)) == {0.0, 1.0}]
    yield from _find_one_of(real, flags)
    amounts = [n for n in names if n not in flags]
    yield from _find_sums(real, amounts)
    yield from _find_orders(real, amounts)
    yield from _find_orders(real, [n for n, c in real.columns.items() if c.kind == "time"])


def _determines(real: Frame, source: str, target: str) -> Relation:
    """Each known value of `source` goes with the one value of `target` that it has in `real`."""
    pairs = zip(_keys(real.columns[source]), _keys(real.columns[target]), strict=True)
    known = dict(pairs)

    def broken(rows: Frame) -> Bools:
        left, right = _keys(rows.columns[source]), _keys(rows.columns[target])
        return np.array(
            [known.get(a, b) != b for a, b in zip(left, right, strict=True)], dtype=np.bool_
        )

    return Relation(f"{source} determines {target}", broken)


def _keys(column: Column) -> list[Any]:
    if column.kind in {"number", "time"}:
        return [None if value != value else value for value in column.values.tolist()]  # noqa: PLR0124
    return list(column.values)


def _find_determined(real: Frame) -> Iterator[Relation]:
    """Pairs where one column's values fix the other's, and shuffled rows would not."""
    rng = np.random.default_rng(0)
    codes = {name: _codes(column) for name, column in real.columns.items()}
    sizes = {name: int(code.max(initial=0)) + 1 for name, code in codes.items()}
    for source, target in permutations(codes, 2):
        if not 2 <= sizes[target] <= sizes[source] <= real.rows // 5:
            continue
        if _misfits(codes[source], codes[target], sizes[source]) > 0:
            continue
        shuffled = rng.permutation(codes[target])
        if _misfits(codes[source], shuffled, sizes[source]) >= _CHANCE * real.rows:
            yield _determines(real, source, target)


def _codes(column: Column) -> npt.NDArray[np.int64]:
    values = column.values
    if column.kind in {"category", "text"}:
        values = values.astype(str)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _misfits(source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], size: int) -> int:
    """Count rows whose target is not the last one seen with their source."""
    last = np.zeros(size, dtype=np.int64)
    last[source] = target
    return int((last[source] != target).sum())


def _sum(total: str, parts: Sequence[str]) -> Relation:
    def broken(rows: Frame) -> Bools:
        whole = rows.columns[total].values
        added = np.sum([rows.columns[name].values for name in parts], axis=0)
        size = np.maximum(
            np.abs(whole), np.max([np.abs(rows.columns[n].values) for n in parts], axis=0)
        )
        with np.errstate(invalid="ignore"):
            return np.asarray(np.abs(whole - added) > _TOLERANCE * size)

    return Relation(f"{total} = {' + '.join(parts)}", broken)


def _find_sums(real: Frame, names: Sequence[str]) -> Iterator[Relation]:
    """Triples a = b + c, first looked for in a few rows."""
    values = {n: real.columns[n].values for n in names}
    moving = [n for n in names if np.mean(np.nan_to_num(values[n]) != 0) > _CHANCE]
    rng = np.random.default_rng(0)
    probe = real.take(rng.permutation(real.rows)[:_PROBE])
    if len(moving) < 3:
        return
    block = np.stack([probe.columns[n].values for n in moving])
    for left, right in combinations(range(len(moving)), 2):
        added = block[left] + block[right]
        near = np.abs(block - added) <= _TOLERANCE * np.maximum(np.abs(block), np.abs(block[left]))
        fits = (near | np.isnan(block - added)).all(axis=1) & (near.mean(axis=1) > 0.1)
        for total in np.flatnonzero(fits):
            rule = _sum(moving[total], (moving[left], moving[right]))
            if total not in {left, right} and not rule.broken(real).any():
                yield rule


def _order(low: str, high: str) -> Relation:
    def broken(rows: Frame) -> Bools:
        return np.asarray(rows.columns[low].values > rows.columns[high].values)

    return Relation(f"{low} <= {high}", broken)


def _find_orders(real: Frame, names: Sequence[str]) -> Iterator[Relation]:
    """Pairs that are always in order though their ranges overlap: shuffled rows are not."""
    rng = np.random.default_rng(0)
    for low, high in permutations(names, 2):
        rule = _order(low, high)
        if rule.broken(real).any():
            continue
        shuffled = rng.permutation(real.columns[high].values)
        if np.mean(real.columns[low].values > shuffled) >= _ORDER_CHANCE:
            yield rule


def _one_of(columns: Sequence[str]) -> Relation:
    def broken(rows: Frame) -> Bools:
        return np.asarray(np.sum([rows.columns[n].values for n in columns], axis=0) != 1)

    words = f"exactly one of {columns[0]} .. {columns[-1]} ({len(columns)})"
    return Relation(words, broken)


def _find_one_of(real: Frame, flags: Sequence[str]) -> Iterator[Relation]:
    """Runs of three or more neighbouring 0/1 columns of which one is 1 in every row."""
    start = 0
    while start < len(flags):
        added = np.zeros(real.rows)
        for end in range(start, len(flags)):
            added = added + real.columns[flags[end]].values
            if added.max() > 1:
                break
            if added.min() == 1 and end - start >= 2:
                yield _one_of(flags[start : end + 1])
                start = end
                break
        start += 1
