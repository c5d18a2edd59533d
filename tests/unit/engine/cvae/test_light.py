"""Few rows: drawn in another way than many, to the same distribution and the same rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae import TableNetwork, TableSampler
from syntheflow_server.engine.cvae.light import MOST_ROWS
from syntheflow_server.engine.encoding import Token

SIZES = (2, 70, 1, 5, 3)


def network(context_width: int = 0) -> TableNetwork:
    counts = [np.arange(size) + 2 for size in SIZES]
    tokens = [Token(size) for size in SIZES]
    net = TableNetwork.create(tokens, counts, 0, context_width=context_width)
    with torch.no_grad():
        for head in net.heads:
            head.weight.normal_(std=0.5)
    return net


def uniforms(rows: int) -> np.ndarray:
    return np.random.default_rng(1).random((rows, len(SIZES)), dtype=np.float32)


def in_parts(sampler: TableSampler, drawn: np.ndarray, context=None, **settings) -> np.ndarray:
    parts = [slice(at, at + MOST_ROWS) for at in range(0, len(drawn), MOST_ROWS)]
    made = [
        sampler.sample(drawn[p], context=None if context is None else context[p], **settings)
        for p in parts
    ]
    return np.concatenate(made)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("width", [0, 8])
def test_few_rows_come_out_as_they_would_among_many(width: int, temperature: float) -> None:
    sampler, drawn = TableSampler(network(width)), uniforms(40 * MOST_ROWS)
    context = torch.randn(len(drawn), width) if width else None
    many = sampler.sample(drawn, context=context, temperature=temperature)
    few = in_parts(sampler, drawn, context, temperature=temperature)
    # Only rounding differs: where a uniform lies on the edge between two codes.
    assert (many == few).all(axis=1).mean() > 0.9
    for token, size in enumerate(SIZES):
        shares = [
            np.bincount(codes[:, token], minlength=size) / len(drawn) for codes in (many, few)
        ]
        assert np.abs(shares[0] - shares[1]).max() < 0.01


class _Never:
    """The rule that code 0 of the last token does not go with code 1 of the first."""

    def broken(self, token: int, codes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        if token != len(SIZES) - 1:
            return np.zeros(0, np.int64)
        return np.flatnonzero((codes[:, 0] == 1) & (drawn == 0))

    def narrow(self, token: int, codes: np.ndarray, weights: np.ndarray) -> None:
        weights[:, 0] = 0


@pytest.mark.parametrize("rows", [MOST_ROWS, 50 * MOST_ROWS])
def test_rules_hold_beside_restrictions_of_single_tokens(rows: int) -> None:
    def only_low(token: int, part: slice, codes: np.ndarray, weights: np.ndarray) -> None:
        assert token == 1
        weights[:, 10:] = 0

    sampler, drawn = TableSampler(network()), uniforms(rows)
    codes = sampler.sample(drawn, restrict={1: only_low}, rules=_Never())
    free = sampler.sample(drawn)
    assert codes[:, 1].max() < 10 <= free[:, 1].max()
    assert not ((codes[:, 0] == 1) & (codes[:, 4] == 0)).any()
    assert ((free[:, 0] == 1) & (free[:, 4] == 0)).any()


@pytest.mark.parametrize("rows", [MOST_ROWS, 50 * MOST_ROWS])
def test_a_token_can_be_told_by_those_before_it(rows: int) -> None:
    def told(part: slice, codes: np.ndarray) -> np.ndarray:
        return np.where(codes[:, 0] == 1, codes[:, 1] % 5, -1)

    codes = TableSampler(network()).sample(uniforms(rows), given={3: told})
    tied = codes[:, 0] == 1
    assert (codes[tied, 3] == codes[tied, 1] % 5).all()
    assert (codes[~tied, 3] != codes[~tied, 1] % 5).any()
