"""Key makers never give two rows the same key, in the real shape."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.keys.grid import GridKey
from syntheflow_server.engine.keys.number import NumberKey
from syntheflow_server.engine.keys.pattern import PatternKey
from syntheflow_server.engine.keys.permute import permute


@given(st.integers(1, 3000), st.integers(0, 2**40))
def test_a_permutation_visits_every_place_once(size, key):
    assert sorted(permute(np.arange(size), size, key)) == list(range(size))


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=30, unique=True))
def test_text_keys_never_repeat_whatever_the_examples(values):
    made = PatternKey.fit("k", values).make(np.arange(1500), 9)["k"].to_pylist()
    assert len(set(made)) == 1500


def test_text_keys_look_like_the_real_ones():
    real = [f"N{i:03d}{a}B-2024" for i in range(100) for a in "KLM"]
    made = PatternKey.fit("k", real).make(np.arange(500), 1)["k"].to_pylist()
    assert all(
        re.fullmatch(r"N\d{3}[A-Z]B-2024", value) or re.fullmatch(r"N\d{3}[A-Z]{2}-2024", value)
        for value in made
    )
    assert made != real[:500]


@pytest.mark.parametrize("values", [[5, 6, 7, 8], [10, 20, 30], [3, 900, 77_000], [4]])
def test_number_keys_rise_without_repeats(values):
    column = Column(name="k", type="int64", semantic_type=SemanticType.IDENTIFIER)
    made = NumberKey.fit(column, pa.array(values)).make(np.arange(1000), 2)["k"].to_numpy()
    assert (np.diff(made) > 0).all()
    assert made[0] >= min(values)


def test_date_keys_step_by_the_real_step():
    column = Column(name="k", type="date32", semantic_type=SemanticType.DATE)
    weeks = pa.array([0, 7, 14, 21], pa.int32()).cast(pa.date32())
    made = NumberKey.fit(column, weeks).make(np.arange(6), 0)["k"]
    assert made.cast(pa.int32()).to_pylist() == [0, 7, 14, 21, 28, 35]


def test_a_grid_gives_every_cell_once():
    columns = [Column(name=n, type="string", semantic_type=SemanticType.CATEGORY) for n in "ab"]
    maker = GridKey.fit(columns, [pa.array(["x", "y", "z"]), pa.array(["p", "q"])])
    made = maker.make(np.arange(6), 5)
    cells = set(zip(made["a"].to_pylist(), made["b"].to_pylist(), strict=True))
    assert maker.capacity == len(cells) == 6
