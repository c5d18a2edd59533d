"""Keys that keep the real spacing: a cell of its own for each row, no real key in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.keys.spread import SpreadKey

KEY = Column(name="k", type="int64", semantic_type=SemanticType.IDENTIFIER)


def keys(maker, rows, seed=3):
    return maker.make(np.asarray(rows), seed)["k"].to_numpy()


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=60, unique=True),
    st.integers(1, 7),
)
def test_keys_rise_and_never_repeat_whatever_the_examples(values, seed):
    maker = SpreadKey.fit(KEY, pa.array(values))
    made = keys(maker, np.arange(4 * len(values)), seed)
    assert (np.diff(made) > 0).all()
    assert made[0] >= 0


def test_keys_that_count_go_on_counting():
    maker = SpreadKey.fit(KEY, pa.array(np.arange(1, 1001)))
    assert keys(maker, np.arange(2500)).tolist() == list(range(1, 2501))


def test_keys_are_as_dense_as_the_real_ones_where_they_are():
    real = np.concatenate([np.arange(0, 5000, 5), np.arange(100_000, 2_100_000, 1000)])
    made = keys(SpreadKey.fit(KEY, pa.array(real)), np.arange(len(real)))
    assert (made < 6000).sum() == pytest.approx(1000, abs=5)


def test_no_real_key_comes_back_where_there_is_room():
    real = np.sort(np.random.default_rng(0).choice(10_000_000, 20_000, replace=False))
    made = keys(SpreadKey.fit(KEY, pa.array(real)), np.arange(20_000))
    assert not np.isin(made, real).any()


def test_few_rows_are_spread_over_all_keys_and_many_go_on_above():
    maker = SpreadKey.fit(KEY, pa.array(np.arange(1000)))
    assert maker.places(np.arange(4), 4).tolist() == [0, 250, 500, 750]
    assert maker.places(np.array([4, 5]), 4).tolist() == [1000, 1250]
    assert maker.places(np.array([999, 1000]), 5000).tolist() == [999, 1000]


def test_a_maker_survives_its_state():
    maker = SpreadKey.fit(KEY, pa.array([3, 9, 400, 70_000]))
    facts, arrays = maker.to_state()
    assert keys(SpreadKey.from_state(facts, arrays), range(9)).tolist() == (
        keys(maker, range(9)).tolist()
    )
