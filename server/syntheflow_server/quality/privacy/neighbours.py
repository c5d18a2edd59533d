"""Which real row is nearest to each synthetic row: one trained on, or one held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.features import Features, FeatureSpace
from syntheflow_server.quality.groups import Groups

REAL_ROWS = 20_000
SYNTHETIC_ROWS = 2_000
_BLOCK = 128
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Attraction:
    """`share` of synthetic rows nearer to training rows at equal sizes, and its standard error."""

    share: float
    error: float


def attraction(
    evidence: Evidence,
    table: str,
    space: FeatureSpace,
    groups: Groups,
    beat: Callable[[float], None],
) -> Attraction:
    """Return how much more often the nearest real row is a training row.

    Each synthetic row gives one vote to its nearest real row, shared among ties. Votes
    per training row over votes per training plus held-out row is 1/2 without copying.
    The error comes from the exact variance of that figure when the label 'held out' is
    dealt anew among groups of rows (randomisation test), so that rows of one parent do
    not count as independent.
    """
    rng = evidence.rng(table, "neighbours")
    train, holdout = evidence.train(table), evidence.holdout(table)
    keep = min(1.0, REAL_ROWS / (train.num_rows + holdout.num_rows))
    chosen = [
        np.sort(rng.choice(rows.num_rows, max(1, int(rows.num_rows * keep)), replace=False))
        for rows in (train, holdout)
    ]
    synthetic = evidence.sample(
        evidence.synthetic(table), SYNTHETIC_ROWS, table, "neighbours of synthetic"
    )
    real = pa.concat_tables([train.take(chosen[0]), holdout.take(chosen[1])])
    with threadpool_limits(limits=1):
        votes = _votes(space.encode(real), space.encode(synthetic), beat)
    held_out = np.repeat([False, True], [len(chosen[0]), len(chosen[1])])
    owners = np.concatenate([groups.train[chosen[0]], groups.holdout[chosen[1]]])
    # A parent with rows on both sides is two groups.
    _, owners = np.unique(owners * 2 + held_out, return_inverse=True)
    return _share(votes, held_out, owners, rng)


def _share(
    votes: np.ndarray, held_out: np.ndarray, owners: np.ndarray, rng: np.random.Generator
) -> Attraction:
    count = int(owners.max()) + 1
    votes_of = np.bincount(owners, votes, minlength=count)
    rows_of = np.bincount(owners, minlength=count).astype(np.float64)
    out = np.zeros(count, dtype=bool)
    out[owners[held_out]] = True
    dealt = np.array(
        [_figure(votes_of, rows_of, rng.permutation(out)) for _ in range(200)], dtype=np.float64
    )
    # Few synthetic rows add their own counting error, which dealing labels does not show.
    counting = 0.5 / np.sqrt(votes.sum())
    return Attraction(
        share=_figure(votes_of, rows_of, out),
        error=float(np.hypot(dealt.std(ddof=1), counting)),
    )


def _figure(votes: np.ndarray, rows: np.ndarray, out: np.ndarray) -> float:
    seen = votes[~out].sum() / max(rows[~out].sum(), 1)
    unseen = votes[out].sum() / max(rows[out].sum(), 1)
    return float(seen / (seen + unseen)) if seen + unseen > 0 else 0.5


def _votes(real: Features, synthetic: Features, beat: Callable[[float], None]) -> np.ndarray:
    """Return the votes of each real row: one for each synthetic row it is nearest to."""
    numeric = ~real.categorical
    weight = _weights(real)
    left, right = _embedded(real, synthetic, numeric, weight)
    votes = np.zeros(len(real.matrix))
    square = (left**2).sum(axis=1)
    codes = [
        (np.nan_to_num(real.matrix[:, i], nan=-1), np.nan_to_num(synthetic.matrix[:, i], nan=-1))
        for i in np.flatnonzero(~numeric)
    ]
    heavy = weight[~numeric]
    for start in range(0, len(synthetic.matrix), _BLOCK):
        beat(start / len(synthetic.matrix))
        block = slice(start, start + _BLOCK)
        apart = square[None, :] - 2 * right[block] @ left.T + (right[block] ** 2).sum(1)[:, None]
        for (one, two), share in zip(codes, heavy, strict=True):
            apart += share * (two[block, None] != one[None, :])
        nearest = apart <= apart.min(axis=1, keepdims=True) + _TIE
        votes += (nearest / nearest.sum(axis=1, keepdims=True)).sum(axis=0)
    return votes


def _weights(features: Features) -> np.ndarray:
    """Return one weight a feature: the features of one column share the weight 1."""
    sizes = {name: features.columns.count(name) for name in features.columns}
    return np.array([1 / sizes[name] for name in features.columns])


def _embedded(
    real: Features, synthetic: Features, numeric: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers as real ranks 0..1 plus a mark for missing, scaled by weight.

    The factor 3 makes the mean squared distance of two random ranks (1/6) that of a
    random yes or no (1/2).
    """
    left, right = [np.zeros((len(real.matrix), 1))], [np.zeros((len(synthetic.matrix), 1))]
    for place in np.flatnonzero(numeric):
        values, others = real.matrix[:, place], synthetic.matrix[:, place]
        present = np.sort(values[~np.isnan(values)])
        scale = np.sqrt(3 * weight[place])
        for source, target in ((values, left), (others, right)):
            missing = np.isnan(source)
            if len(present):
                middle = np.searchsorted(present, source, "left") + np.searchsorted(
                    present, source, "right"
                )
                target.append((np.where(missing, 0.5, middle / 2 / len(present)) * scale)[:, None])
            target.append((missing * np.sqrt(weight[place]))[:, None])
    return np.concatenate(left, axis=1), np.concatenate(right, axis=1)
