"""What rows that refer to one parent have in common."""

from __future__ import annotations

import numpy as np

from syntheflow_server.engine.training.profiles import profiles_of


def planes(loyal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the parents of 3,000 rows, and their airline as a point of four dimensions."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 150, 3000)
    found[found == 7] = 8
    airline = found % 4 if loyal else rng.integers(0, 4, 3000)
    return found, np.eye(4, dtype=np.float32)[airline]


def test_parents_whose_rows_are_alike_share_a_code():
    found, points = planes(loyal=True)
    profiles = profiles_of([points], found, np.ones(150, bool), 3, 0)
    assert profiles is not None
    airline = np.arange(150) % 4
    for code in np.unique(profiles.codes[profiles.codes > 0]):
        assert len(set(airline[profiles.codes == code])) == 1


def test_a_parent_without_rows_has_a_code_of_its_own():
    found, points = planes(loyal=True)
    profiles = profiles_of([points], found, np.ones(150, bool), 3, 0)
    assert profiles is not None
    assert np.flatnonzero(profiles.codes == 0).tolist() == [7]


def test_no_code_stands_for_fewer_parents_than_a_value_needs():
    rng = np.random.default_rng(1)
    found = np.repeat(np.arange(100), 20)
    points = rng.normal(size=(100, 3))[found].astype(np.float32)
    profiles = profiles_of([points], found, np.ones(100, bool), 5, 0)
    assert profiles is not None
    assert np.bincount(profiles.codes)[1:].min() >= 5


def test_rows_of_one_parent_that_are_not_alike_give_no_profile():
    found, points = planes(loyal=False)
    assert profiles_of([points], found, np.ones(150, bool), 3, 0) is None
