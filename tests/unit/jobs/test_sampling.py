from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tiny_engine import SamplePlan
from syntheflow_server.jobs.sampling import ModelRef, SelectTask, _Recent, _united

ranges = st.builds(
    lambda start, length: range(start, start + length), st.integers(0, 50), st.integers(0, 10)
)


@given(st.lists(ranges, max_size=8))
def test_united_ranges_hold_the_same_units_once_and_ascending(parts):
    units = [unit for part in _united(parts) for unit in part]
    assert units == sorted({unit for part in parts for unit in part})


def test_the_least_recently_used_thing_goes_first():
    made: list[str] = []
    recent: _Recent[str] = _Recent(2)

    def get(key: str) -> None:
        recent.get(key, lambda: made.append(key) or key)

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    assert len(recent) == 2


@pytest.mark.parametrize(
    ("have", "units"),
    [
        ({}, (range(5),)),
        ({"sales": 999}, (range(5),)),
        ({"sales": 1_000}, (range(1, 5),)),
        ({"sales": 2_500, "places": 0}, (range(3, 5),)),
        ({"sales": 1_500, "places": 1_200}, (range(1, 3), range(4, 5))),
        ({"sales": 2_500, "places": 1_300}, ()),
    ],
)
def test_units_of_rows_that_are_there_are_left_out(have, units):
    plan = SamplePlan(0, {"sales": 2_500, "places": 1_300})
    worker = SimpleNamespace(plan=lambda *_: plan)
    model = ModelRef("m", "neural", Path())
    chosen = SelectTask(model, Path(), ("sales", "places"), None, have).run(worker)
    assert chosen.units == units
    assert chosen.rows == {"sales": 2_500, "places": 1_300}
