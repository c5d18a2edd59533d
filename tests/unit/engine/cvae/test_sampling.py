"""Sampling: exact inversion of the network's distribution, repeatable, steerable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae import TableNetwork, TableSampler
from syntheflow_server.engine.encoding import Token

SIZES = (2, 4, 3)


def network(
    sizes=SIZES, context_width: int = 0, seed: int = 0, *, any_given: bool = False
) -> TableNetwork:
    tokens = [Token(size) for size in sizes]
    counts = [np.arange(size) + 2 for size in sizes]
    net = TableNetwork.create(
        tokens, counts, seed, context_width=context_width, any_given=any_given
    )
    with torch.no_grad():
        for head in net.heads:
            head.weight.normal_(std=0.5)
        for prefix in net.prefixes:
            prefix.far.normal_(std=0.2)
            prefix.late.normal_(std=0.5)
            prefix.far_late.normal_(std=0.2)
    return net


def every_row() -> torch.Tensor:
    return torch.from_numpy(np.stack(np.unravel_index(np.arange(24), SIZES), axis=1))


def uniforms(rows: int, tokens: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, tokens), dtype=np.float32)


def test_samples_follow_the_network_s_own_probabilities() -> None:
    net = network()
    codes = TableSampler(net).sample(uniforms(60_000))
    index = np.ravel_multi_index(codes.T, SIZES)
    made = np.bincount(index, minlength=24) / len(codes)
    with torch.no_grad():
        wanted = torch.exp(-net.loss(every_row()).sum(dim=1)).numpy()
    assert np.abs(made - wanted).max() < 0.01


def test_chosen_tokens_come_first_and_the_rest_follows_from_all_of_them() -> None:
    net = network(any_given=True)
    first = np.tile([False, True, True], (60_000, 1))
    codes = TableSampler(net).sample(uniforms(60_000), first=first)
    made = np.bincount(np.ravel_multi_index(codes.T, SIZES), minlength=24) / len(codes)
    with torch.no_grad():
        nats = net.loss(every_row(), chosen=torch.from_numpy(first[:24])).sum(dim=1)
        plain = torch.exp(-net.loss(every_row()).sum(dim=1)).numpy()
    assert np.abs(made - torch.exp(-nats).numpy()).max() < 0.01
    assert np.abs(made - plain).max() > 0.02, "the test would not see a sampler that ignores it"


def test_each_row_may_choose_and_give_tokens_of_its_own() -> None:
    net = network(any_given=True)
    first = np.zeros((40_000, 3), bool)
    first[::2, 2] = True
    given = {2: np.where(first[:, 2], 1, -1)}
    codes = TableSampler(net).sample(uniforms(40_000), given=given, first=first)
    assert (codes[::2, 2] == 1).all()
    assert len(np.unique(codes[1::2, 2])) == 3
    rows = every_row()[every_row()[:, 2] == 1]
    with torch.no_grad():
        nats = net.loss(rows, chosen=torch.tensor([[False, False, True]]).expand(8, -1))
    wanted = torch.exp(-nats[:, :2].sum(dim=1)).numpy()
    made = np.bincount(codes[::2, 0] * 4 + codes[::2, 1], minlength=8) / 20_000
    assert np.abs(made - wanted).max() < 0.02


@pytest.mark.parametrize("count", [20, 100])
def test_far_chosen_tokens_are_seen_as_in_training(count: int) -> None:
    net = network((3,) * count, any_given=True)
    first = np.zeros((400, count), bool)
    first[:, count // 2 :] = True
    codes = TableSampler(net).sample(uniforms(400, count), first=first)
    turned = codes.astype(np.int64)
    turned[:, count // 2 :] = np.roll(turned[:, count // 2 :], 1, axis=0)
    chosen = torch.from_numpy(first)
    with torch.no_grad():
        own = net.loss(torch.from_numpy(codes.astype(np.int64)), chosen=chosen)
        other = net.loss(torch.from_numpy(turned), chosen=chosen)
    free = slice(0, count // 2)
    assert own[:, free].sum() < other[:, free].sum()


def test_a_network_not_trained_for_it_refuses_to_choose() -> None:
    with pytest.raises(ValueError, match="not trained"):
        TableSampler(network()).sample(uniforms(3), first=np.ones((3, 3), bool))


def test_a_low_temperature_favours_the_frequent_a_high_one_the_rare() -> None:
    sampler = TableSampler(network())
    cold, plain, hot = (
        sampler.sample(uniforms(20_000), temperature=t)[:, 0].mean() for t in (0.3, 1.0, 3.0)
    )
    assert abs(cold - 0.5) > abs(plain - 0.5) > abs(hot - 0.5)


@pytest.mark.parametrize("count", [20, 90])
def test_blocks_and_far_summaries_are_the_ones_of_training(count: int) -> None:
    net = network((3,) * count, context_width=4)
    context = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    codes = TableSampler(net).sample(uniforms(500, count), context)
    with torch.no_grad():
        own = net.loss(torch.from_numpy(codes.astype(np.int64)), context).sum(dim=1).mean()
        turned = context.roll(1, dims=0)
        other = net.loss(torch.from_numpy(codes.astype(np.int64)), turned).sum(dim=1).mean()
    # A row's own surprise equals its entropy only under the very distribution that drew it.
    assert own < other
    assert own / count < np.log(3)


def test_equal_uniforms_give_equal_rows() -> None:
    sampler = TableSampler(network())
    first = sampler.sample(uniforms(5000))
    assert first.dtype == np.uint16
    assert (first == sampler.sample(uniforms(5000))).all()
    assert (first != sampler.sample(uniforms(5000, seed=2))).any()


def test_given_tokens_are_kept_and_condition_the_rest() -> None:
    net = network()
    sampler = TableSampler(net)
    fixed = np.resize([0, 3], 20_000)
    codes = sampler.sample(uniforms(20_000), given={1: fixed})
    assert (codes[:, 1] == fixed).all()
    rows = torch.tensor([[first, 0, third] for first in range(2) for third in range(3)])
    with torch.no_grad():
        nats = net.loss(rows)
    wanted = torch.exp(-(nats[:, 0] + nats[:, 2])).numpy()
    own = codes[fixed == 0]
    made = np.bincount(own[:, 0] * 3 + own[:, 2], minlength=6) / len(own)
    assert np.abs(made - wanted).max() < 0.02


def test_a_restriction_masks_codes_and_sees_the_row_so_far() -> None:
    seen: list[tuple[int, int]] = []

    def restrict(token: int, rows: slice, codes: np.ndarray, weights: np.ndarray) -> None:
        assert weights.shape == (rows.stop - rows.start, SIZES[token])
        seen.append((token, rows.start))
        if token == 2:
            weights[codes[:, 0] == 1, 1:] = 0

    codes = TableSampler(network()).sample(uniforms(9000), restrict=restrict)
    assert (codes[codes[:, 0] == 1, 2] == 0).all()
    assert len(np.unique(codes[codes[:, 0] == 0, 2])) == 3
    assert {start for _, start in seen} == {0, 4096, 8192}


class Apart:
    """Rules by which the third token is never 1 where the first is 0."""

    def broken(self, token: int, codes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return np.flatnonzero((codes[:, 0] == 0) & (drawn == 1)) if token == 2 else np.zeros(0, int)

    def narrow(self, token: int, codes: np.ndarray, weights: np.ndarray) -> None:
        assert token == 2
        weights[codes[:, 0] == 0, 1] = 0


def test_rules_leave_the_other_codes_their_proportions() -> None:
    net = network()
    codes = TableSampler(net).sample(uniforms(100_000), rules=Apart())
    made = np.bincount(np.ravel_multi_index(codes.T, SIZES), minlength=24) / len(codes)
    with torch.no_grad():
        each = torch.exp(-net.loss(every_row())).double().numpy().reshape(*SIZES, 3)
    third = each[..., 2]
    third[0, :, 1] = 0
    third /= third.sum(axis=2, keepdims=True)
    wanted = each[..., 0] * each[..., 1] * third
    assert (made.reshape(SIZES)[0, :, 1] == 0).all()
    assert np.abs(made.reshape(SIZES) - wanted).max() < 0.01


def test_rules_and_a_restriction_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="rules"):
        TableSampler(network()).sample(uniforms(3), rules=Apart(), restrict=lambda *_: None)


@pytest.mark.parametrize("sizes", [(2, 3, 1, 4, 60, 3, 2, 70, 3, 1), (1, 2) * 45, (300, 2, 2)])
def test_rows_that_begin_alike_come_out_as_if_each_were_made_alone(sizes: tuple[int, ...]) -> None:
    sampler = TableSampler(network(sizes))
    drawn, given = uniforms(6000, len(sizes)), {1: np.arange(6000) % (sizes[1] + 1) - 1}
    together = sampler.sample(drawn, given=given)
    alone = sampler.sample(drawn, given=given, restrict=lambda *_: None)
    # Sums in another order end elsewhere in rare rows, which are other rows from there on.
    assert (together == alone).all(axis=1).mean() > 0.8
    first = np.bincount(together[:, -2], minlength=sizes[-2]) / 6000
    assert np.abs(first - np.bincount(alone[:, -2], minlength=sizes[-2]) / 6000).max() < 0.01


def test_a_pause_comes_between_tokens() -> None:
    paused: list[int] = []
    TableSampler(network()).sample(uniforms(9000), pause=lambda: paused.append(1))
    assert len(paused) >= len(SIZES)


@pytest.mark.parametrize("rows", [0, 1, 4095, 4097])
def test_any_number_of_rows_can_be_made(rows: int) -> None:
    codes = TableSampler(network()).sample(uniforms(rows))
    assert codes.shape == (rows, 3)
    assert (codes < np.array(SIZES)).all()


def test_a_table_without_tokens_yields_rows_without_codes() -> None:
    assert TableSampler(network(())).sample(uniforms(7, 0)).shape == (7, 0)


def test_extreme_uniforms_stay_inside_the_codes() -> None:
    edge = np.stack([np.zeros(3), np.full(3, np.nextafter(np.float32(1), np.float32(0)))])
    codes = TableSampler(network()).sample(edge.astype(np.float32))
    assert (codes[0] == 0).all()
    assert (codes[1] == np.array(SIZES) - 1).all()
