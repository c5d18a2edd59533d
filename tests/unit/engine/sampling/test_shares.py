"""Counts that must come to a given sum."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.engine.sampling.shares import (
    UNLIMITED,
    parts_by_multiplier,
    share_of,
    shared_out,
)

COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=60).map(np.array)


@given(COUNTS, st.integers(0, 500), st.sampled_from([1, 3, UNLIMITED]), st.integers(0, 60))
def test_shares_meet_the_total_within_the_cap_and_split_anywhere(proposed, target, cap, cut):
    proposed = np.minimum(proposed, cap)
    share = share_of(parts_by_multiplier(proposed, cap), target, cap, exact=True)
    counts = share.counts(proposed, 0)
    assert counts.sum() == min(target, cap * len(proposed))
    assert counts.max() <= cap
    first = proposed[:cut]
    rest = share.counts(proposed[cut:], int(share.parts(first).sum()))
    assert np.array_equal(np.concatenate([share.counts(first, 0), rest]), counts)


def test_a_total_that_is_right_already_changes_nothing():
    proposed = np.array([3, 1, 0, 6])
    assert np.array_equal(shared_out(proposed, 10, UNLIMITED), proposed)


@given(COUNTS, st.integers(0, 500), st.sampled_from([3, 20, UNLIMITED]))
def test_nobody_falls_below_the_least_number_if_there_is_enough(proposed, target, cap):
    proposed = np.clip(proposed, 1, cap)
    counts = shared_out(proposed, target, cap, floor=1)
    assert counts.sum() == min(target, cap * len(proposed))
    assert counts.min() >= (target >= len(proposed))
    assert counts.max() <= cap


def test_a_total_near_by_moves_every_count_by_little():
    proposed = np.random.default_rng(0).poisson(20, 1000)
    counts = shared_out(proposed, round(proposed.sum() * 0.96), UNLIMITED)
    assert np.abs(counts - 0.96 * proposed).max() <= 1
