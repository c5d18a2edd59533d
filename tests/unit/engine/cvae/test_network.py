"""The network: a proper distribution over rows, each token seeing only those before it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae import NetworkShape, TableNetwork, network_shape
from syntheflow_server.engine.encoding import Token

PLACES = np.array([0.1, 0.4, 0.8, np.nan], np.float32)
TOKENS = (Token(2), Token(4, PLACES), Token(3))


def network(tokens=TOKENS, seed: int = 0, **settings) -> TableNetwork:
    counts = [np.arange(token.size) + 1 for token in tokens]
    return TableNetwork.create(tokens, counts, seed, **settings)


def every_row(tokens=TOKENS) -> torch.Tensor:
    return torch.tensor(list(itertools.product(*(range(token.size) for token in tokens))))


def test_the_probabilities_of_all_rows_sum_to_one() -> None:
    with torch.no_grad():
        total = torch.exp(-network().loss(every_row()).sum(dim=1)).sum()
    assert abs(float(total) - 1) < 1e-3


def test_a_fresh_network_starts_at_the_marginals() -> None:
    token = Token(4)
    with torch.no_grad():
        shares = torch.exp(-network((token,)).loss(every_row((token,))))[:, 0]
    wanted = (np.arange(4) + 1.5) / (10 + 2)
    # The head's small random start moves each share by a few per cent at most.
    assert np.abs(shares.numpy() - wanted).max() < 0.06


@pytest.mark.parametrize("count", [3, 20, 100])
def test_a_token_sees_only_what_stands_before_it(count: int) -> None:
    tokens = tuple(Token(3) for _ in range(count))
    net = network(tokens)
    codes = torch.randint(0, 3, (8, count), generator=torch.Generator().manual_seed(0))
    for changed in {0, count // 2, count - 1}:
        other = codes.clone()
        other[:, changed] = (other[:, changed] + 1) % 3
        with torch.no_grad():
            moved = (net.loss(codes) - net.loss(other)).abs().amax(dim=0)
        assert (moved[:changed] == 0).all()


def test_a_token_far_back_is_seen_through_the_summary() -> None:
    tokens = tuple(Token(3) for _ in range(100))
    net = network(tokens)
    far = [prefix.far for prefix in net.prefixes if len(prefix.far)]
    assert far
    with torch.no_grad():
        for weight in far:
            weight.normal_()
        codes = torch.zeros(4, 100, dtype=torch.long)
        other = codes.clone()
        other[:, 0] = 1
        assert float((net.loss(codes) - net.loss(other))[:, 99].abs().max()) > 0


def with_late_weights(tokens=TOKENS) -> TableNetwork:
    net = network(tokens, any_given=True)
    with torch.no_grad():
        for prefix in net.prefixes:
            prefix.late.normal_()
            prefix.far_late.normal_()
    return net


@pytest.mark.parametrize("chosen", list(itertools.product([False, True], repeat=3)))
def test_whatever_is_chosen_first_the_probabilities_of_all_rows_sum_to_one(
    chosen: tuple[bool, ...],
) -> None:
    rows = every_row()
    mask = torch.tensor(chosen).expand(len(rows), -1)
    with torch.no_grad():
        nats = with_late_weights().loss(rows, chosen=mask).sum(dim=1)
    assert abs(float(torch.exp(-nats).sum()) - 1) < 1e-3


def test_rows_beyond_those_with_a_choice_are_as_without_one() -> None:
    net, rows = with_late_weights(), every_row()
    with torch.no_grad():
        plain = net.loss(rows)
        mixed = net.loss(rows, chosen=torch.ones(5, 3, dtype=torch.bool))
    assert torch.equal(plain[5:], mixed[5:])


@pytest.mark.parametrize("count", [3, 20, 100])
def test_a_token_sees_the_chosen_ones_and_of_the_rest_those_before_it(count: int) -> None:
    net = with_late_weights(tuple(Token(3) for _ in range(count)))
    codes = torch.randint(0, 3, (8, count), generator=torch.Generator().manual_seed(0))
    chosen = torch.zeros(8, count, dtype=torch.bool)
    chosen[:, count - 1] = True

    def moved(token: int) -> torch.Tensor:
        other = codes.clone()
        other[:, token] = (other[:, token] + 1) % 3
        with torch.no_grad():
            change = net.loss(codes, chosen=chosen) - net.loss(other, chosen=chosen)
        return change.abs().amax(dim=0)

    assert (moved(count - 1)[: count - 1] > 0).all()
    early = moved(1)
    assert early[0] == 0
    assert early[count - 1] == 0, "a chosen token sees no token that is not chosen"


def test_the_context_reaches_every_token() -> None:
    net = network(context_width=5)
    codes = torch.zeros(2, 3, dtype=torch.long)
    with torch.no_grad():
        losses = [net.loss(codes, torch.full((2, 5), value)) for value in (0.0, 2.0)]
    assert (losses[0] != losses[1]).all()


def test_equal_seeds_give_equal_networks_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, third = network(seed=1), network(seed=1), network(seed=2)
    assert torch.equal(first.embedding, second.embedding)
    assert not torch.equal(first.embedding, third.embedding)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_network_is_rebuilt_from_its_shape_and_weights() -> None:
    net = network(context_width=2)
    again = TableNetwork(NetworkShape.from_json(net.shape.to_json()))
    again.load_state_dict(net.state_dict())
    codes, context = every_row(), torch.ones(24, 2)
    with torch.no_grad():
        assert torch.equal(net.loss(codes, context), again.loss(codes, context))


def test_neighbouring_bins_start_near_each_other_and_missing_apart() -> None:
    places = np.append(np.linspace(0, 1, 100), np.nan).astype(np.float32)
    net = network((Token(101, places), Token(2)))
    rows = net.table().detach()[:100]
    near = (rows[1:] - rows[:-1]).norm(dim=1).mean()
    far = (rows[50:] - rows[:50]).norm(dim=1).mean()
    assert near < far / 1.5


def test_only_codes_that_many_rows_hold_stand_out_from_the_curves() -> None:
    places = np.append(np.linspace(0, 1, 99), np.nan).astype(np.float32)
    touching = np.arange(100) < 50
    counts = np.full(100, 100)
    counts[60] = 100_000
    net = TableNetwork.create((Token(100, places, touching),), [counts], 0)
    free = net.heads[0].freedom[0]
    assert (free[:51] == 0).all(), "stretches of a continuum"
    assert free[60] > 0.9, "a spike"
    assert 0 < free[70] < 0.5, "a value of a grid"
    assert free[99] == 1, "missing has no place"


def test_shared_probability_never_crosses_a_spike() -> None:
    touching = np.array([True, False, False])
    token = Token(3, np.array([0.2, 0.5, 0.8], np.float32), touching)
    net = network((token,))
    codes = torch.arange(3)[:, None]
    with torch.no_grad():
        hard = net.loss(codes)[:, 0]
        soft = net.loss(codes, smooth=True)[:, 0]
    assert torch.allclose(soft[0], 0.8 * hard[0] + 0.2 * hard[1], atol=1e-5)
    assert torch.allclose(soft[2], hard[2], atol=1e-5)


def test_wide_tables_get_a_narrower_network() -> None:
    assert network_shape([Token(2)] * 20).width > network_shape([Token(2)] * 200).width


def test_a_table_of_constants_has_no_loss() -> None:
    net = network(())
    assert net.loss(torch.zeros(5, 0, dtype=torch.long)).shape == (5, 0)
