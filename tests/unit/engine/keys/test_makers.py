"""Key makers never give two rows the same key, in the real shape."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.keys.cells import cell_chances
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


def test_number_keys_leave_out_as_many_as_the_real_ones():
    column = Column(name="k", type="int64", semantic_type=SemanticType.IDENTIFIER)
    real = np.random.default_rng(0).permutation(np.arange(5, 1005))[:800]
    made = NumberKey.fit(column, pa.array(real)).make(np.arange(800), 3)["k"].to_numpy()
    assert made.max() - made.min() > 950
    assert len(set(made.tolist())) == 800


def _panel() -> npt.NDArray[np.int64]:
    """Return the cells of 6 illnesses in 20 places and 30 years, four in five of them.

    Each illness is only looked for from a year of its own on; place 0 seldom answers.
    """
    every = np.stack(np.meshgrid(range(6), range(20), range(30), indexing="ij"), -1).reshape(-1, 3)
    begun = every[:, 2] >= 4 * every[:, 0]
    share = np.where(every[:, 1] == 0, 0.2, 0.8)
    return every[begun & (np.random.default_rng(1).random(len(every)) < share)]


def test_the_rows_of_a_grid_lie_where_the_real_ones_lie_but_not_on_them():
    rows, sizes = _panel(), (6, 20, 30)
    chances = cell_chances(rows, sizes, (False, False, True), 3)
    names = [Column(name=n, type="int64", semantic_type=SemanticType.CATEGORY) for n in "abc"]
    maker = GridKey.fit(names, [pa.array(range(s)) for s in sizes], len(rows), chances)
    made = maker.make(np.arange(len(rows)), 4)
    cells = np.stack([made[name].to_numpy() for name in "abc"], axis=1)
    assert len(np.unique(cells, axis=0)) == len(rows)
    assert (cells[:, 2] < 4 * cells[:, 0]).mean() < 0.01
    assert (cells[:, 1] == 0).mean() == pytest.approx((rows[:, 1] == 0).mean(), abs=0.01)
    known = set(map(tuple, rows.tolist()))
    copied = np.mean([tuple(cell) in known for cell in cells.tolist()])
    assert copied < 0.84
    again = GridKey.from_state(*maker.to_state()).make(np.arange(9, 20), 4)
    assert again["c"].equals(made["c"].slice(9, 11))


def test_all_cells_come_in_the_end_and_few_rows_are_a_sample_of_many():
    rows = _panel()
    chances = cell_chances(rows, (6, 20, 30), (False, False, True), 3)
    names = [Column(name=n, type="int64", semantic_type=SemanticType.CATEGORY) for n in "abc"]
    maker = GridKey.fit(names, [pa.array(range(s)) for s in (6, 20, 30)], len(rows), chances)
    made = maker.make(np.arange(maker.capacity), 4)
    assert len(set(zip(*(made[n].to_pylist() for n in "abc"), strict=True))) == maker.capacity
    few = made["a"].to_numpy()[:300]
    assert few.mean() == pytest.approx(rows[:, 0].mean(), abs=0.3)


def test_two_columns_of_a_grid_begin_together_in_stretches():
    every = np.stack(np.meshgrid(range(40), range(50), indexing="ij"), -1).reshape(-1, 2)
    rows = every[every[:, 1] >= every[:, 0]]
    chances = cell_chances(rows, (40, 50), (False, True), 3).reshape(50, 40).T
    late = every[every[:, 1] < every[:, 0] - 10]
    assert chances[late[:, 0], late[:, 1]].mean() < 0.05
    assert chances[rows[:, 0], rows[:, 1]].mean() > 0.85
