"""The most random rows that agree with noisy marginals: a chain of softmax regressions.

Token t given the tokens before it is a softmax that is linear in them. Its weights
maximise the entropy subject to the noisy tables of (s, t), s < t, over rows made by the
chain itself up to t: a convex problem in which only noisy tables enter, so that all of
it is free post-processing. A Gaussian prior on the weights keeps noise from being
learned; where codes have an order, weights vary smoothly along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.privacy.marginals import Marginals

_STEPS = 120
_RATE = 0.1
_PRIOR = 1.0
_LEAST_SHARE = 1e-6
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Softmax of one token: `bias` [K] and by earlier token its weights [K_s, K]."""

    bias: Tensor
    weights: dict[int, Tensor]

    def logits(self, codes: Tensor) -> Tensor:
        """Return logits [n, K] for codes [n, T] long, of which only earlier tokens are read."""
        total = self.bias.expand(len(codes), -1)
        for token, weight in self.weights.items():
            total = total + weight[codes[:, token]]
        return total


def fit_chain(
    tokens: Sequence[Token],
    marginals: Marginals,
    rows: int,
    seed: int,
    tick: Callable[[float], None],
    given: npt.NDArray[np.uint16] | None = None,
) -> list[Link]:
    """Return the chain for `tokens`, fitted on `rows` rows of its own making.

    `given` [rows, G] are the first tokens, of the rows' owners: the chain is of the others.
    """
    random = torch.Generator().manual_seed(seed)
    codes = _begun(rows, len(tokens), given)
    links: list[Link] = []
    bases = [_basis(token) for token in tokens]
    for t in range(0 if given is None else given.shape[1], len(tokens)):
        parents = [a for a, b in marginals.pairs if b == t]

        def told(done: float, t: int = t) -> None:
            tick((t + done) / len(tokens))

        links.append(_fit_link(t, parents, codes, marginals, bases, told))
        codes[:, t] = draw(links[-1].logits(codes), random)
    return links


def _begun(rows: int, tokens: int, given: npt.NDArray[np.uint16] | None) -> Tensor:
    """Return codes [rows, tokens] of which the `given` ones are filled."""
    codes = torch.zeros(rows, tokens, dtype=torch.long)
    if given is not None:
        codes[:, : given.shape[1]] = torch.from_numpy(given.astype(np.int64))
    return codes


def make_rows(
    links: Sequence[Link], rows: int, seed: int, given: npt.NDArray[np.uint16] | None = None
) -> npt.NDArray[np.uint16]:
    """Return `rows` new rows [rows, T] of the chain, after the `given` tokens if any."""
    random = torch.Generator().manual_seed(seed)
    first = 0 if given is None else given.shape[1]
    codes = _begun(rows, first + len(links), given)
    for t, link in enumerate(links, first):
        for block in range(0, rows, _BLOCK):
            some = slice(block, block + _BLOCK)
            codes[some, t] = draw(link.logits(codes[some]), random)
    made: npt.NDArray[np.uint16] = codes.numpy().astype(np.uint16)
    return made


def draw(logits: Tensor, random: torch.Generator) -> Tensor:
    """Return one code [n] for each row of logits [n, K]."""
    cumulated = torch.softmax(logits, dim=1).cumsum(dim=1)
    target = torch.rand(len(logits), 1, generator=random) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, target, right=True)[:, 0].clamp_(max=logits.shape[1] - 1)


def shares_of(t: int, marginals: Marginals) -> Tensor:
    """Return the best estimate [K] of token t's distribution, from all tables that hold it."""
    total = marginals.singles[t] / marginals.sigma**2
    precision = np.full(len(total), marginals.sigma**-2.0)
    for (a, b), table in marginals.pairs.items():
        if t in (a, b):
            axis = 1 if t == a else 0
            weight = 1 / (marginals.sigmas[a, b] ** 2 * table.shape[axis])
            total = total + table.sum(axis=axis) * weight
            precision += weight
    counts = np.maximum(total / precision, _LEAST_SHARE * marginals.rows)
    return torch.from_numpy(counts / counts.sum()).float()


def _basis(token: Token) -> tuple[Tensor, Tensor]:
    """Return orthonormal directions [K, K] of a token's codes and their prior deviations [K]."""
    size = token.size
    if token.places is None:
        return torch.eye(size), torch.ones(size)
    placed = np.flatnonzero(~np.isnan(token.places))
    count = len(placed)
    basis, deviation = torch.eye(size), torch.ones(size)
    wave = torch.arange(count)[:, None] + 0.5
    cosine = torch.cos(torch.pi / count * wave * torch.arange(count)[None, :])
    cosine /= cosine.norm(dim=0, keepdim=True)
    basis[np.ix_(placed, placed)] = cosine
    # A wave of unit norm in K codes is as high as one code alone when its weight is sqrt(K).
    deviation[placed] = count**0.5 / (1 + torch.arange(count).float())
    return basis, deviation


def _fit_link(
    t: int,
    parents: Sequence[int],
    codes: Tensor,
    marginals: Marginals,
    bases: Sequence[tuple[Tensor, Tensor]],
    tick: Callable[[float], None],
) -> Link:
    share = shares_of(t, marginals)
    bias = share.log()
    if not parents:
        return Link(bias, {})
    rows, own = len(codes), bases[t]
    features = torch.cat([bases[s][0][codes[:, s]] for s in parents], dim=1)
    target, penalty = [], []
    for s in parents:
        basis, deviation = bases[s]
        seen = torch.bincount(codes[:, s], minlength=len(basis)) / rows
        table = torch.from_numpy(marginals.pairs[s, t] / marginals.rows).float()
        table = table + (seen - table.sum(dim=1))[:, None] * share
        target.append(basis.T @ table @ own[0])
        noise = (marginals.sigmas[s, t] / marginals.rows) ** 2
        spread = _PRIOR * deviation[:, None] * own[1]
        # Information of a unit weight is about the mass it moves: the mean cell's.
        mass = 1 / table.numel()
        penalty.append(noise / (mass * spread**2) + 1 / (marginals.rows * spread**2))
    wanted, shrink = torch.cat(target), torch.cat(penalty)
    weights = _ascend(features, wanted, shrink, share, own[0], tick)
    bias, pieces = weights[0], torch.split(weights[1], [len(bases[s][0]) for s in parents])
    full = {s: bases[s][0] @ w @ own[0].T for s, w in zip(parents, pieces, strict=True)}
    return Link(bias, full)


def _ascend(
    features: Tensor,
    wanted: Tensor,
    shrink: Tensor,
    share: Tensor,
    own: Tensor,
    tick: Callable[[float], None],
) -> tuple[Tensor, Tensor]:
    """Return bias [K] and rotated weights [D, K] at which the moments agree."""
    bias, weight = share.log(), torch.zeros_like(wanted)
    state = [torch.zeros_like(v) for v in (bias, bias, weight, weight)]
    rows = len(features)
    for step in range(_STEPS):
        tick(step / _STEPS)
        chance = torch.softmax(bias + (features @ weight) @ own.T, dim=1)
        steep_bias = chance.mean(dim=0) - share
        steep = features.T @ (chance @ own) / rows - wanted + shrink * weight
        rate = _RATE * min(1.0, 3 * (1 - step / _STEPS))
        _adam(bias, steep_bias, state[0], state[1], step, rate)
        _adam(weight, steep, state[2], state[3], step, rate)
    return bias, weight


def _adam(
    value: Tensor, steep: Tensor, mean: Tensor, square: Tensor, step: int, rate: float
) -> None:
    mean.lerp_(steep, 0.1)
    square.lerp_(steep**2, 0.02)
    height = (square / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8
    value -= rate / (1 - 0.9 ** (step + 1)) * mean / height
