"""Exact repeats: whole rows of the training data, and values that are nearly unique."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.quality.columns import Kind, numbers
from syntheflow_server.quality.evidence import MARGINAL_ROWS, Evidence
from syntheflow_server.quality.features import FeatureSpace
from syntheflow_server.quality.groups import Groups

_JUDGED = ("holdout", "synthetic")

NEAR_UNIQUE = 0.5
"""A column is nearly unique if its training rows hold more different values a row than this."""

FILLED = 0.25
"""Where a new value meets a known one this often (days of a few years), it tells of nobody."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Share of rows that repeat training data: synthetic, held out, and by chance alone."""

    what: str
    synthetic: float
    holdout: float
    chance: float
    error: float

    @property
    def excess(self) -> float:
        """The share beyond what held-out rows and chance give, at least 0."""
        return max(0.0, self.synthetic - max(self.holdout, self.chance))


def exact_copies(evidence: Evidence, table: str, space: FeatureSpace, groups: Groups) -> Repeat:
    """Return the share of rows that equal a training row in all columns but keys.

    Coarse rows (a day, a round amount) meet by chance: as often as a training row meets
    one of another entity.
    """
    names = [name for name, kind in space.kinds.items() if kind is not Kind.KEY]
    rows = [evidence.train(table), evidence.holdout(table), evidence.synthetic(table)]
    train, holdout, synthetic = _row_hashes([side.select(names) for side in rows])
    known = np.unique(train)
    found = [np.isin(side, known) for side in (holdout, synthetic)]
    chance = shared_between(train, groups.train)
    return _repeat("a training row exactly", found[0], found[1], chance, groups)


def shared_between(hashes: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of rows that another group holds too."""
    if not len(hashes):
        return 0.0
    pairs = np.unique(np.stack([hashes, groups.astype(np.uint64)], axis=1), axis=0)
    held, holders = np.unique(pairs[:, 0], return_counts=True)
    return float(np.isin(hashes, held[holders > 1]).mean())


def reused_values(
    evidence: Evidence, table: str, space: FeatureSpace, groups: Groups
) -> list[Repeat]:
    """Return the share of values that stand in the training rows, for each near-unique column.

    Surrogate keys and references are left out, keys made of text (an e-mail address) are
    not, and values that fill their range are (`FILLED`). A value may be met by chance: the
    number of possible values is taken from the characters at each place, or from range and
    grid.
    """
    referring = {n for key in evidence.schema.references_from(table) for n in key.child_columns}
    found: list[Repeat] = []
    for name, kind in space.kinds.items():
        train = evidence.train(table).column(name)
        text = pa.types.is_string(train.type)
        if name in referring or kind is Kind.CATEGORY or (kind is Kind.KEY and not text):
            continue
        sample = evidence.sample(pa.table({name: train}), MARGINAL_ROWS, table, name)[name]
        sample = sample.drop_null()
        if pc.count_distinct(sample).as_py() <= NEAR_UNIQUE * max(len(sample), 1):
            continue
        sides = [getattr(evidence, which)(table).column(name) for which in _JUDGED]
        sides = [side.drop_null() for side in sides]
        if min(len(side) for side in sides) == 0:
            continue
        if text:
            known = pc.unique(train.drop_null())
            seen = [np.asarray(pc.is_in(side, value_set=known)) for side in sides]
            chance = text_chance(sample, len(known))
        else:
            values = np.unique(numbers(train.drop_null()))
            seen = [np.isin(numbers(side), values) for side in sides]
            chance = number_chance(values)
        if chance >= FILLED:
            continue
        present = [np.asarray(getattr(evidence, w)(table).column(name).is_valid()) for w in _JUDGED]
        here = Groups(groups.train, groups.holdout[present[0]], groups.synthetic[present[1]])
        what = f"a training value of the nearly unique column {name}"
        found.append(_repeat(what, seen[0], seen[1], chance, here))
    return found


def _repeat(
    what: str, holdout: np.ndarray, synthetic: np.ndarray, chance: float, groups: Groups
) -> Repeat:
    errors = (_error(holdout, groups.holdout), _error(synthetic, groups.synthetic))
    return Repeat(
        what=what,
        synthetic=float(synthetic.mean()),
        holdout=float(holdout.mean()),
        chance=chance,
        error=float(np.hypot(*errors)),
    )


def _error(hits: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of the share, rows of one group counting as one witness."""
    share = (hits.sum() + 0.5) / (len(hits) + 1)
    _, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, hits - hits.mean())
    clustered = float((sums**2).sum()) / len(hits) ** 2
    return float(np.sqrt(max(clustered, share * (1 - share) / len(hits))))


def number_chance(values: np.ndarray) -> float:
    """Return how often a new number would meet one of the sorted different `values`.

    The density of values around each one, on the finest grid that holds them all.
    """
    reach = min(10, len(values) - 1)
    if reach < 1:
        return 0.0
    grid = float(np.diff(values).min())
    spans = values[reach:] - values[:-reach]
    return float(np.minimum(1.0, reach * grid / spans).mean())


def text_chance(values: pa.ChunkedArray, known: int) -> float:
    """Return how often a new string of the same make would meet one of `known` strings.

    Strings with the same pattern of letters and digits are taken as filled at random
    from the characters seen at each place: C0001 to C0999 fill their pattern, telephone
    numbers do not.
    """
    sample = values.slice(0, 20_000)
    patterns = sample
    for classes, mark in (("[0-9]", "9"), ("[A-Z]", "A"), ("[a-z]", "a")):
        patterns = pc.replace_substring_regex(patterns, classes, mark)
    coded = patterns.combine_chunks().dictionary_encode()
    codes = np.asarray(coded.indices)
    sizes = np.bincount(codes, minlength=1)
    texts = np.array(sample.to_pylist(), dtype=object)
    met = 0.0
    for pattern in np.argsort(-sizes)[:50]:
        rows = texts[codes == pattern].astype(np.str_)
        if not len(rows) or not rows.dtype.itemsize:
            continue
        letters = rows.view("U1").reshape(len(rows), -1)
        room = math.prod(len(np.unique(letters[:, place])) for place in range(letters.shape[1]))
        share = len(rows) / len(texts)
        met += share * min(1.0, share * known / room)
    return met


def _row_hashes(sides: list[pa.Table]) -> list[np.ndarray]:
    """Return one 64-bit hash a row; floats count at six significant digits."""
    together = pa.concat_tables(sides)
    total = np.zeros(together.num_rows, dtype=np.uint64)
    for column in together.columns:
        total = total * np.uint64(0x9E3779B97F4A7C15) + _hashes(column)
        total ^= total >> np.uint64(29)
    return np.split(total, np.cumsum([side.num_rows for side in sides])[:-1])


def _hashes(values: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(values.type):
        coded = values.cast(pa.large_string()).combine_chunks().dictionary_encode()
        bits = np.asarray(coded.indices.fill_null(-1), dtype=np.int64).view(np.uint64)
    else:
        bits = (np.nan_to_num(numbers(values), nan=-1.7e300) + 0.0).view(np.uint64)
    return (bits ^ (bits >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
