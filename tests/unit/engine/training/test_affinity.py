"""Rows that refer to one parent resemble one another, beyond what its kind says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine import Sampler, SampleSpec
from syntheflow_server.engine.graph.affinity import axis_of, in_order, scattered
from syntheflow_server.engine.graph.structure import AffinityKind, Link, LinkKind
from syntheflow_server.engine.training.affinity import by_link, by_token, find_affinities

_ROWS = 4000


def _link(name: str) -> Link:
    key = ForeignKey(
        child_table="flight", child_columns=(name,), parent_table=name, parent_columns=("id",)
    )
    return Link(key=key, kind=LinkKind.CODED)


def _shared(groups: np.ndarray, parents: np.ndarray) -> float:
    """Return how often two rows of a group have one parent, over the groups."""
    pairs = np.unique(np.stack([groups, parents]), axis=1, return_counts=True)[1]
    return float((pairs * (pairs - 1)).sum() / (np.bincount(groups) ** 2).sum())


def test_every_parent_keeps_its_number_of_rows_and_every_row_its_kind_of_parent():
    rng = np.random.default_rng(0)
    parents = rng.integers(0, 30, _ROWS)
    kinds, key = parents % 4, rng.integers(0, 9, _ROWS)
    made = in_order(parents, kinds, [[key]], [0.2], scattered(parents, "x"), rng)
    assert (np.bincount(made) == np.bincount(parents)).all()
    assert (made % 4 == kinds).all()


def test_rows_in_a_run_have_one_parent_but_where_another_one_begins():
    rng = np.random.default_rng(0)
    parents = rng.integers(0, 20, 1000)
    runs = np.arange(1000) // 5 * 5
    kinds = np.zeros(1000, np.int64)
    made = in_order(parents, kinds, [], [], scattered(parents, "x"), rng, runs)
    torn = sum(len(np.unique(made[i : i + 5])) > 1 for i in range(0, 1000, 5))
    assert torn <= 20


def test_rows_follow_another_reference_as_much_as_they_really_do():
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 200, _ROWS)
    line = np.where(rng.random(_ROWS) < 0.8, plane % 10, rng.integers(0, 10, _ROWS))
    kinds = np.zeros(_ROWS, np.int64)
    lead = by_link("plane", plane, plane // 5)
    chance = by_token("delay", rng.integers(0, 50, _ROWS), ordered=True)
    found, worth = find_affinities(_link("line"), line, kinds, [*chance, lead], 0)
    assert [(affinity.kind, affinity.name) for affinity in found] == [(AffinityKind.LINK, "plane")]
    assert worth > 0.5
    keys, place = [lead.keys], scattered(line, "flight")
    made = in_order(line, kinds, keys, [found[0].noise], place, np.random.default_rng(2))
    assert _shared(plane, made) == pytest.approx(_shared(plane, line), abs=0.05)


def test_what_is_only_chance_guides_nobody():
    rng = np.random.default_rng(3)
    line, plane = rng.integers(0, 10, _ROWS), rng.integers(0, 200, _ROWS)
    lead = by_link("plane", plane, plane // 5)
    chance = by_token("delay", rng.integers(0, 50, _ROWS), ordered=True)
    kinds = line % 2
    assert find_affinities(_link("line"), line, kinds, [lead, *chance], 0) == ((), 0.0)


def test_texts_and_times_lie_where_they_lie_everywhere():
    days = pa.array([3, 1, None, 2], pa.date32())
    assert np.argsort(axis_of(days)).tolist() == [2, 1, 3, 0]
    texts = axis_of(pa.array(["b", "a", "b", None]))
    assert (texts[[0, 2]] == axis_of(pa.array(["c", "b"]))[1]).all()
    assert len(np.unique(texts)) == 3


def _fleet(make):
    rng = np.random.default_rng(5)
    lines, planes, flights = 12, 200, 3000
    plane = rng.integers(0, planes, flights)
    home = rng.integers(0, lines, planes)
    return make.world(
        {
            "line": (pa.table({"id": np.arange(lines)}), "id"),
            "plane": (pa.table({"id": np.arange(planes)}), "id"),
            "flight": (
                pa.table({"id": np.arange(flights), "line": home[plane], "plane": plane}),
                "id",
            ),
        },
        ["flight(line) -> line(id)", "flight(plane) -> plane(id)"],
    )


def test_a_plane_flies_for_one_line_whatever_tables_are_asked_for(make):
    model = make.learn(_fleet(make))
    flights = make.generate(model)["flight"]
    plane, line = flights["plane"].to_numpy(), flights["line"].to_numpy()
    pairs = np.unique(np.stack([plane, line]), axis=1)
    assert pairs.shape[1] < 1.6 * len(np.unique(plane))
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(), lambda: None, tables=frozenset({"flight"}))
    parts = [sampler.sample(plan, u, frozenset({"flight"})) for u in plan.units_of("flight")]
    assert pa.Table.from_batches([part[0].batch for part in parts]).equals(flights)
