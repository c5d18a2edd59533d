"""What is left goes to what is near."""

from __future__ import annotations

import numpy as np

from syntheflow_server.engine.sampling.nearest import pair_near

LINE = np.array([[0.0], [10.0], [11.0], [1.0]], np.float32)


def test_the_nearest_codes_are_paired_whatever_their_numbers():
    need, offer = np.array([0, 0, 1]), np.array([2, 3, 3])
    taken = pair_near(need, offer, LINE)
    assert offer[taken].tolist() == [3, 3, 2]


def test_nobody_takes_a_place_twice_and_too_few_places_leave_some_without():
    need, offer = np.array([0, 0, 0, 1, 2]), np.array([3, 1])
    taken = pair_near(need, offer, LINE)
    assert sorted(taken.tolist()) == [-1, -1, -1, 0, 1]
    assert taken[3] == 1


def test_nothing_needs_nothing():
    assert len(pair_near(np.zeros(0, int), np.array([1]), LINE)) == 0
