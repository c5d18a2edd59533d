"""Numbers of children of few parents."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from syntheflow_server.engine.sampling.crowds import spread_like

REAL = (5, 7, 10, 12, 12, 13, 13, 90)


def told(numbers):
    return sorted(Counter(numbers).items())


@pytest.mark.parametrize("seed", range(5))
def test_as_many_rows_have_the_shape_of_the_real_ones(seed):
    rng = np.random.default_rng(seed)
    made = spread_like(told(REAL), np.arange(8), rng)
    assert np.abs(np.sort(made)[:-1] - REAL[:-1]).max() <= 3
    assert 70 < made.max() < 110
    assert abs(made.sum() - sum(REAL)) < 0.2 * sum(REAL)


def test_the_order_is_that_of_the_proposals():
    proposed = np.array([3, 100, 0, 7])
    made = spread_like(told(REAL), proposed, np.random.default_rng(0))
    assert (np.diff(made[np.argsort(proposed)]) >= 0).all()


def test_equal_proposals_share_the_numbers_by_chance():
    made = [
        spread_like(told(REAL), np.zeros(8, np.int64), np.random.default_rng(s)) for s in range(20)
    ]
    assert len({int(one.argmax()) for one in made}) > 3


def test_many_rows_follow_the_real_quantiles():
    made = spread_like(told(REAL), np.arange(8000), np.random.default_rng(1))
    assert np.abs(np.quantile(made, [0.2, 0.5, 0.8]) - np.quantile(REAL, [0.2, 0.5, 0.8])).max() < 2
    assert 0.1 < (made > 50).mean() < 0.15


def test_gaps_stay_empty():
    made = spread_like(told((0, 0, 0, 1000)), np.arange(4), np.random.default_rng(2))
    assert (made[:3] == 0).all()
    assert made[3] > 800


def test_no_rows_get_no_numbers():
    assert len(spread_like(told(REAL), np.zeros(0, np.int64), np.random.default_rng(0))) == 0


def test_without_blur_only_the_numbers_themselves_come():
    made = spread_like(told((0, 1, 1, 2)), np.arange(8), np.random.default_rng(0), blur=False)
    assert made.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_a_number_that_all_have_stays_as_it_is():
    assert set(spread_like([(20, 30)], np.arange(50), np.random.default_rng(0))) == {20}
