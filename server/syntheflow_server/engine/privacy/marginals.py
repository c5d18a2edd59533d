"""Noisy tables of pairs of tokens: which pairs are worth their price, and the tables themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.privacy.ledger import Account

Codes = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]

_DEPENDENCE_SENSITIVITY = 4.0
_NOISE_FELT = 0.3
_MEAN_NOISE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Marginals:
    """Noisy counts: of each token's codes, and by pair (earlier, later) of both tokens' codes.

    `sigmas` are the deviations of the pairs' noise, `sigma` that of single tokens.
    """

    rows: float
    singles: tuple[Floats, ...]
    sigma: float
    pairs: Mapping[Pair, Floats]
    sigmas: Mapping[Pair, float]


def measure(
    codes: Codes,
    sizes: Sequence[int],
    rows: float,
    shares: tuple[float, float, float],
    ledger: Account,
    given: int = 0,
) -> Marginals:
    """Return noisy marginals of `codes` [n, T] for token `sizes`.

    `shares` are the precisions for single tokens, for choosing pairs, and for pairs;
    `rows` is the noisy number of rows. The first `given` tokens are of the rows' owners:
    nothing is asked about them alone.
    """
    single = shares[0] / max(len(sizes) - given, 1)
    singles = tuple(
        ledger.noisy(np.bincount(codes[:, i], minlength=size), single, "distributions of columns")
        if i >= given
        else np.zeros(size)
        for i, size in enumerate(sizes)
    )
    chosen = _choose(codes, sizes, shares[1], shares[2], ledger, given)
    weights = np.array([sizes[a] * sizes[b] for a, b in chosen], np.float64) ** (2 / 3)
    weights *= shares[2] / max(weights.sum(), 1.0)
    pairs, sigmas = {}, {}
    for (a, b), precision in zip(chosen, weights.tolist(), strict=True):
        table = _table(codes, sizes, a, b)
        pairs[a, b] = ledger.noisy(table, precision, "distributions of pairs of columns")
        sigmas[a, b] = precision**-0.5
    return Marginals(rows, singles, single**-0.5, pairs, sigmas)


def _table(codes: Codes, sizes: Sequence[int], a: int, b: int) -> npt.NDArray[np.int64]:
    cell = codes[:, a].astype(np.int64) * sizes[b] + codes[:, b]
    return np.bincount(cell, minlength=sizes[a] * sizes[b]).reshape(sizes[a], sizes[b])


def _choose(
    codes: Codes,
    sizes: Sequence[int],
    asking: float,
    measuring: float,
    ledger: Account,
    given: int,
) -> list[Pair]:
    """Return the pairs whose dependence outweighs the noise that measuring them brings.

    Dependence is the L1 distance of the pair's counts from those of independent columns,
    which one row changes by 4 at most (Zhang et al., PrivSyn, 2021).
    """
    every = [(a, b) for a, b in combinations(range(len(sizes)), 2) if b >= given]
    if not every:
        return []
    told = np.empty(len(every))
    for i, (a, b) in enumerate(every):
        table = _table(codes, sizes, a, b)
        alone = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1)
        told[i] = np.abs(table - alone).sum()
    sensitivity = _DEPENDENCE_SENSITIVITY * len(every) ** 0.5
    told = ledger.noisy(told, asking, "which columns depend on each other", sensitivity)
    cells = np.array([sizes[a] * sizes[b] for a, b in every], np.float64)
    order = np.argsort(-told / cells**0.5)
    # With pairs measured at cells^(2/3), noise of pair i is sqrt(sum / cells_i^(2/3)) a cell.
    spread = np.cumsum(cells[order] ** (2 / 3)) / measuring
    noise = _NOISE_FELT * _MEAN_NOISE * np.cumsum(cells[order] ** (2 / 3)) * spread**0.5
    lost = told[order].clip(min=0)[::-1].cumsum()[::-1]
    error = np.append(lost, 0.0) + np.append(0.0, noise)
    return sorted(every[i] for i in order[: int(np.argmin(error))])
