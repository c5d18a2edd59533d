"""References by which the rows of one owner never meet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import learn, world

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine import FittedModel, Sampler, SampleSpec
from syntheflow_server.engine.graph.structure import Link, LinkKind
from syntheflow_server.engine.training.varied import never_shared

_STOPS = 25
_TRIPS = 120
_KEY = ForeignKey(
    child_table="calls", child_columns=("stop",), parent_table="stops", parent_columns=("id",)
)


@pytest.fixture(scope="module")
def model() -> FittedModel:
    """Return what is learned of trips that call at up to ten of 25 stops, at none twice."""
    rng = np.random.default_rng(0)
    calls = [
        (trip, stop) for trip in range(_TRIPS) for stop in rng.permutation(_STOPS)[: 4 + trip % 7]
    ]
    tables = {
        "trips": pa.table({"id": np.arange(_TRIPS), "line": rng.choice(["a", "b"], _TRIPS)}),
        "stops": pa.table({"id": np.arange(_STOPS), "zone": rng.integers(0, 3, _STOPS)}),
        "calls": pa.table(
            {
                "id": np.arange(len(calls)),
                "trip": [trip for trip, _ in calls],
                "stop": [int(stop) for _, stop in calls],
            }
        ),
    }
    references = ["calls(trip) -> trips(id)", "calls(stop) -> stops(id)"]
    return learn(world({n: (t, "id") for n, t in tables.items()}, references), time_limit_seconds=2)


def _calls(model: FittedModel, spec: SampleSpec) -> list[tuple[int, int]]:
    sampler = Sampler(model)
    plan = sampler.plan(spec, lambda: None)
    parts = [
        fragment.batch
        for unit in range(plan.unit_count)
        for fragment in sampler.sample(plan, unit)
        if fragment.table == "calls"
    ]
    made = pa.Table.from_batches(parts)
    return list(zip(made["trip"].to_pylist(), made["stop"].to_pylist(), strict=True))


def test_no_trip_calls_twice_at_a_stop_as_no_real_one_does(model) -> None:
    calls = _calls(model, SampleSpec(seed=1))
    assert len(set(calls)) == len(calls)


def test_with_too_few_stops_they_come_again_and_nothing_is_refused(model) -> None:
    calls = _calls(model, SampleSpec(seed=1, rows={"stops": 3}))
    assert len({stop for _, stop in calls}) == 3
    assert len(set(calls)) < len(calls)


def test_that_few_rows_never_met_is_chance() -> None:
    link = Link(key=_KEY, kind=LinkKind.CODED)
    owners = np.repeat(np.arange(10), 2)
    apart = np.arange(20) % 10
    assert never_shared([link], {_KEY: apart}, owners, ()) == ()
    many = np.tile(owners, 20) + np.repeat(np.arange(20) * 10, 20)
    assert never_shared([link], {_KEY: np.tile(apart, 20)}, many, ()) == (("stop",),)


def test_one_pair_that_meets_is_enough_to_let_all() -> None:
    link = Link(key=_KEY, kind=LinkKind.CODED)
    owners = np.repeat(np.arange(200), 5)
    parents = np.tile(np.arange(5), 200)
    assert never_shared([link], {_KEY: parents}, owners, ()) == (("stop",),)
    parents[-1] = parents[-2]
    assert never_shared([link], {_KEY: parents}, owners, ()) == ()
