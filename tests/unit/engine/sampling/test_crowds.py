"""Numbers of children as unequal as the real ones."""

from __future__ import annotations

import numpy as np
import pytest

from syntheflow_server.engine.sampling.crowds import paired, spread_like, unpaired
from syntheflow_server.engine.training.crowds import crowd_of, tree_crowd

REAL = np.array([5, 7, 10, 12, 12, 13, 13, 90])
TOLD = crowd_of(REAL, 3)


def test_as_many_rows_have_exactly_the_real_numbers():
    made = spread_like(TOLD, np.arange(8)[::-1].copy(), np.random.default_rng(0))
    assert made.tolist() == REAL[::-1].tolist()


def test_the_order_is_that_of_the_proposals():
    proposed = np.array([3, 100, 0, 7])
    made = spread_like(TOLD, proposed, np.random.default_rng(0))
    assert (np.diff(made[np.argsort(proposed)]) >= 0).all()


def test_equal_proposals_share_the_numbers_by_chance():
    made = [spread_like(TOLD, np.zeros(8, np.int64), np.random.default_rng(s)) for s in range(20)]
    assert len({int(one.argmax()) for one in made}) > 3


@pytest.mark.parametrize("times", [2, 5])
def test_a_multiple_of_the_rows_has_each_number_so_many_times(times):
    made = spread_like(TOLD, np.arange(8 * times), np.random.default_rng(1))
    assert made.tolist() == np.repeat(REAL, times).tolist()


def test_fewer_rows_have_the_real_quantiles():
    made = spread_like(TOLD, np.arange(4), np.random.default_rng(1))
    assert made.tolist() == [7, 12, 13, 90]


def test_no_rows_get_no_numbers():
    assert len(spread_like(TOLD, np.zeros(0, np.int64), np.random.default_rng(0))) == 0


def test_among_many_rows_no_number_of_a_few_is_told():
    rng = np.random.default_rng(2)
    numbers = np.concatenate([rng.integers(0, 5, 400), 1000 + rng.permutation(9000)[:40]])
    told = crowd_of(numbers, 3)
    kept = {number for number, _ in told} & set(numbers.tolist())
    assert all((numbers == number).sum() >= 3 for number in kept if number < 1000)
    assert len([number for number in kept if number >= 1000]) < 20
    assert sum(rows for _, rows in told) == len(numbers)
    assert abs(sum(n * rows for n, rows in told) - numbers.sum()) < 0.01 * numbers.sum()
    spread = np.repeat([n for n, _ in told], [rows for _, rows in told])
    assert np.abs(np.sort(numbers) - spread).max() <= 600


def test_three_owners_of_all_rows_stay_three_and_alike():
    told = crowd_of(np.array([0] * 1500 + [683, 684, 683]), 3)
    made = spread_like(told, np.arange(1503), np.random.default_rng(0))
    assert (made > 0).sum() == 3
    assert abs(made.sum() - 2050) < 10
    assert made.max() < 700


def test_a_tree_keeps_level_and_degree_together():
    depth, degrees = np.array([0, 1, 1, 2]), np.array([2, 1, 0, 0])
    told = tree_crowd(depth, degrees, 3)
    made = spread_like(
        told, paired(np.array([5, 0, 1, 1]), np.zeros(4, int)), np.random.default_rng(0)
    )
    levels, sizes = unpaired(made)
    assert sorted(zip(levels.tolist(), sizes.tolist(), strict=True)) == [
        (0, 2),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    assert (levels[1], levels[0]) == (0, 2)


def test_three_giants_among_many_without_children_stay_three() -> None:
    real = [(0, 1400), (8700, 3)]
    made = spread_like(real, np.arange(1403), np.random.default_rng(0))
    assert (made > 0).sum() == 3


def test_many_rows_get_new_numbers_of_the_same_shape() -> None:
    real = [(number, 1) for number in range(100, 500)]
    made = spread_like(real, np.arange(400), np.random.default_rng(0))
    assert sorted(made.tolist()) != list(range(100, 500))
    assert np.abs(np.sort(made) - np.arange(100, 500)).max() < 20
