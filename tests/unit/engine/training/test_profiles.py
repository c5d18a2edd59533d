"""What rows that refer to one parent have in common."""

from __future__ import annotations

import numpy as np

from syntheflow_server.engine.training.profiles import profiles_of, profiles_of_children


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


def test_owners_whose_rows_are_alike_share_a_code_though_rows_differ_within():
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 2, 200)
    owners = np.repeat(np.arange(200), 2)
    points = np.stack([np.tile([1.0, -1.0], 200), kind[owners] * 4.0], axis=1)
    points += rng.normal(scale=0.1, size=points.shape)
    found = profiles_of_children(points.astype(np.float32), owners, np.ones(201, bool), 3, 0)
    assert found is not None
    assert found.codes[200] == 0
    shared = set(found.codes[:200][kind == 0]) & set(found.codes[:200][kind == 1])
    assert not shared
