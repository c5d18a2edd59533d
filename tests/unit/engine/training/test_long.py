"""Series of some hundred rows: dates keep to their range, rows know the one before."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import learn, world

from syntheflow_server.engine import Sampler, SampleSpec
from syntheflow_server.engine.training import siblings

_DAYS = 300
_BEGIN = date(2020, 1, 1)


def _made(tables: dict[str, tuple[pa.Table, str]], reference: str, name: str) -> pa.Table:
    model = learn(world(tables, [reference]), time_limit_seconds=3)
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(seed=2), lambda: None)
    parts = [
        fragment.batch
        for unit in range(plan.unit_count)
        for fragment in sampler.sample(plan, unit)
        if fragment.table == name
    ]
    return pa.Table.from_batches(parts)


@pytest.mark.parametrize("long", [False, True])
def test_nearly_all_days_of_a_range_are_made_inside_it(
    long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:
        monkeypatch.setattr(siblings, "_LONG_MOST", 100)
    days = [_BEGIN + timedelta(d) for d in range(_DAYS)]
    open_days = [day for day in days if day.weekday() != 5]
    few = days[40::60]
    dates = pa.table(
        {
            "service": [1] * len(open_days) + [2] * len(few) + [3] * len(few),
            "day": [datetime.combine(day, time()) for day in (*open_days, *few, *few)],
            "kind": [2] * len(open_days) + [1] * 2 * len(few),
        }
    )
    services = pa.table({"id": [1, 2, 3], "name": ["daily", "rare", "rarer"]})
    made = _made(
        {"services": (services, "id"), "dates": (dates, "service, day")},
        "dates(service) -> services(id)",
        "dates",
    )
    assert made.num_rows == dates.num_rows
    found = [moment.date() for moment in made["day"].to_pylist()]
    assert all(moment.hour == moment.minute == 0 for moment in made["day"].to_pylist())
    assert _BEGIN - timedelta(60) < min(found)
    assert max(found) <= days[-1]
    assert len(set(zip(made["service"].to_pylist(), found, strict=True))) == made.num_rows


def test_a_walk_of_hundreds_of_steps_goes_on_from_where_it_was() -> None:
    rng = np.random.default_rng(0)
    walkers = 12
    steps = rng.uniform(0.5, 1.5, (walkers, _DAYS)) * rng.choice([-1, 1], (walkers, 1))
    walks = np.cumsum(steps, axis=1) + rng.uniform(0, 300, (walkers, 1))
    points = pa.table(
        {
            "walker": np.repeat(np.arange(walkers), _DAYS),
            "place": np.tile(np.arange(_DAYS), walkers),
            "height": walks.ravel() * np.pi,
        }
    )
    made = _made(
        {
            "walkers": (pa.table({"id": np.arange(walkers)}), "id"),
            "points": (points, "walker, place"),
        },
        "points(walker) -> walkers(id)",
        "points",
    )
    order = np.lexsort((made["place"].to_numpy(), made["walker"].to_numpy()))
    height, same = made["height"].to_numpy()[order], np.diff(made["walker"].to_numpy()[order]) == 0
    assert np.quantile(np.abs(np.diff(height)[same]), 0.9) < 2 * np.pi
