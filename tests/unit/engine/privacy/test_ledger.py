"""The ledger: noise of the right size, an account that adds up, and no overdraft."""

from __future__ import annotations

import math

import numpy as np
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.engine.privacy.ledger import (
    Budget,
    Ledger,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_sigma,
    known_threshold,
)

BUDGET = Budget.of(3.0, 1e-6, 1000)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_a_gaussian_costs_what_its_loss_distribution_says(sigma):
    epsilon = gaussian_epsilon(sigma, 1e-5)
    losses = np.linspace(-12, 12, 400_001)
    density = np.exp(-(losses**2) / 2) / math.sqrt(2 * math.pi)
    loss = losses / sigma + 0.5 / sigma**2
    over = np.maximum(-np.expm1(epsilon - loss), 0) * density
    assert np.trapezoid(over, losses) == pytest.approx(1e-5, rel=1e-3)
    assert gaussian_sigma(epsilon, 1e-5) == pytest.approx(sigma, rel=1e-6)


def test_the_delta_of_a_large_epsilon_does_not_overflow():
    assert gaussian_delta(0.01, 5000.0) >= 0
    assert gaussian_epsilon(0.02, 1e-6) > 1000


def test_many_small_queries_cost_as_much_as_one_that_is_as_precise():
    ledger = Ledger(BUDGET, entropy=1)
    whole = ledger.precision
    for _ in range(100):
        ledger.noisy(np.zeros(3), whole / 100 * (1 - 1e-12), "counts")
    assert ledger.total()[0] == pytest.approx(3.0, rel=1e-6)
    assert ledger.total()[0] <= 3.0
    assert ledger.total()[1] <= 1e-6


def test_what_the_budget_does_not_cover_is_never_answered():
    ledger = Ledger(BUDGET, entropy=1)
    ledger.noisy(np.zeros(1), 0.9 * ledger.precision, "most")
    with pytest.raises(AssertionError, match="more"):
        ledger.noisy(np.zeros(1), 0.2 * ledger.precision, "more")
    with pytest.raises(AssertionError, match="values"):
        ledger.known(np.ones(1, int), 0.01 * ledger.precision, 1e-3, "values")


def test_noise_has_the_deviation_that_was_paid_for():
    ledger = Ledger(BUDGET, entropy=1)
    precision = ledger.precision / 4
    noise = ledger.noisy(np.zeros(20_000), precision, "counts", sensitivity=2.0)
    assert noise.std() == pytest.approx(2 / math.sqrt(precision), rel=0.03)


def test_a_value_that_one_row_holds_is_hardly_ever_told():
    ledger = Ledger(Budget.of(3.0, 0.5, 1000), entropy=1)
    precision = ledger.precision / 2
    kept, _, _ = ledger.known(np.ones(20_000, int), precision, 0.01, "values")
    assert len(kept) == pytest.approx(200, abs=60)
    assert known_threshold(precision**-0.5, 0.01) > 1


def test_common_values_are_told_with_their_counts():
    ledger = Ledger(BUDGET, entropy=1)
    kept, counts, missing = ledger.known(np.array([5000, 1, 800]), 0.05, 1e-8, "values", 400)
    assert kept.tolist() == [0, 2]
    assert counts == pytest.approx([5000, 800], abs=25)
    assert missing == pytest.approx(400, abs=25)


def test_two_fits_do_not_share_their_noise():
    one, two = (Ledger(BUDGET).noisy(np.zeros(4), 0.1, "counts") for _ in range(2))
    assert not np.array_equal(one, two)


def test_entries_name_what_was_spent_and_end_with_the_total():
    ledger = Ledger(BUDGET, entropy=1)
    ledger.noisy(np.zeros(1), 0.1, "counts")
    ledger.known(np.ones(1, int), 0.05, 1e-8, "values")
    entries = ledger.entries()
    assert [e.spent_on for e in entries] == ["counts", "values", "total"]
    assert entries[-1].epsilon < entries[0].epsilon + entries[1].epsilon
    assert entries[-1].delta == ledger.total()[1] < 1e-6


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0.0, 1e-6), (math.nan, 1e-6), (1.0, 0.0), (1.0, 1.0)]
)
def test_impossible_budgets_are_refused(epsilon, delta):
    with pytest.raises(InvalidArgumentError, match="privacy"):
        Budget.of(epsilon, delta, 10)


def test_delta_follows_the_order_of_magnitude_of_the_rows():
    assert Budget.of(1.0, None, 26_000).delta == pytest.approx(1e-6)
    assert Budget.of(1.0, None, 99_999).delta == Budget.of(1.0, None, 10_000).delta
