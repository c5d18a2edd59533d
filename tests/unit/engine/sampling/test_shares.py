"""Counts that must come to a given sum."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.engine.sampling.shares import (
    UNLIMITED,
    parts_by_multiplier,
    share_of,
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


def test_a_total_near_the_expected_one_stays_as_the_model_says():
    proposed = np.array([3, 1, 0, 6])
    share = share_of(parts_by_multiplier(proposed, UNLIMITED), 10, UNLIMITED, exact=False)
    assert np.array_equal(share.counts(proposed, 0), proposed)
