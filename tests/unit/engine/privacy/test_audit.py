"""The audit: noise that is paid for withstands it, noise that is too small does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae import TableNetwork, train
from syntheflow_server.engine.cvae.recipe import Recipe
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.privacy.audit import epsilon_bound
from syntheflow_server.engine.privacy.chain import fit_chain
from syntheflow_server.engine.privacy.ledger import Budget, Ledger
from syntheflow_server.engine.privacy.marginals import measure

CANARIES = 2000


def bound_of_counts(sigma: float) -> float:
    """Each canary has a cell of its own: the strongest attack on a noisy count."""
    rng = np.random.default_rng(2)
    included = rng.random(CANARIES) < 0.5
    return epsilon_bound(included + rng.normal(0, sigma, CANARIES), included, 1e-6)


def test_guesses_by_chance_prove_nothing():
    rng = np.random.default_rng(1)
    assert epsilon_bound(rng.random(CANARIES), rng.random(CANARIES) < 0.5, 1e-6) == 0


def test_perfect_guesses_prove_much():
    included = np.random.default_rng(1).random(CANARIES) < 0.5
    assert epsilon_bound(included.astype(float), included, 0.0) > 5


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_the_ledgers_noise_withstands_the_attack_that_half_of_it_does_not(epsilon):
    ledger = Ledger(Budget.of(epsilon, 1e-6, 1000), entropy=7)
    sigma = 1 / math.sqrt(ledger.precision)
    proven = bound_of_counts(sigma)
    assert 0.2 * epsilon < proven <= epsilon
    assert bound_of_counts(sigma / 3) > epsilon


def bound_of_marginals(epsilon: float) -> float:
    """Canary i is the only row with code i in three columns; the attacker adds up all he is told.

    Each answer counts by its precision, which is the most powerful test there is.
    """
    rng = np.random.default_rng(6)
    included = rng.random(CANARIES) < 0.5
    codes = np.repeat(np.flatnonzero(included), 3).reshape(-1, 3).astype(np.uint16)
    sizes = [CANARIES] * 3
    ledger = Ledger(Budget.of(epsilon, 1e-6, len(codes)), entropy=7)
    shares = tuple(ledger.precision * share * 0.99 for share in (0.3, 0.1, 0.6))
    told = measure(codes, sizes, float(len(codes)), shares, ledger)
    assert ledger.total()[0] <= epsilon
    score = sum(told.singles) / told.sigma**2
    for pair, table in told.pairs.items():
        score = score + np.diag(table) / told.sigmas[pair] ** 2
    return epsilon_bound(score, included, 1e-6)


@pytest.mark.parametrize("epsilon", [3.0, 8.0])
def test_all_answers_together_prove_no_more_than_the_ledger_says(epsilon):
    assert 0.1 * epsilon < bound_of_marginals(epsilon) <= epsilon


def test_answers_with_hardly_any_noise_give_the_canaries_away():
    assert bound_of_marginals(200.0) > 4


def test_a_network_that_learned_by_heart_is_found_out_and_a_private_one_is_not():
    rng = np.random.default_rng(3)
    odd = rng.integers(0, 12, (400, 5))
    included = rng.random(400) < 0.5
    codes = odd.astype(np.uint16)
    tokens = [Token(12)] * 5
    counts = [np.bincount(column, minlength=12) for column in odd[included].T]
    network = TableNetwork.create(tokens, counts, 1)
    inside = np.flatnonzero(included)
    recipe = Recipe(batch=16, epochs=25.0, rate=8e-3, forgetting=1000.0)
    train(network, codes, inside, inside, recipe=recipe, threads=1)
    assert bound_of_network(network, odd, included) > 1.5
    ledger = Ledger(Budget.of(1.0, 1e-6, len(inside)), entropy=7)
    shares = tuple(ledger.precision * share * 0.99 for share in (0.3, 0.1, 0.6))
    found = measure(codes[inside], [12] * 5, float(len(inside)), shares, ledger)
    links = fit_chain(tokens, found, 3000, 0, lambda _: None)
    likely = sum(
        torch.log_softmax(link.logits(torch.from_numpy(odd)), 1)[np.arange(len(odd)), odd[:, t]]
        for t, link in enumerate(links)
    )
    assert epsilon_bound(likely.double().numpy(), included, 1e-6) <= 1.0


def bound_of_network(network: TableNetwork, odd: np.ndarray, included: np.ndarray) -> float:
    with torch.no_grad():
        nats = network.loss(torch.from_numpy(odd)).sum(dim=1)
    return epsilon_bound(-nats.double().numpy(), included, 1e-6)
