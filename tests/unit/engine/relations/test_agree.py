"""A day that a bin gives by chance moves to a neighbour that its hints describe."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from syntheflow_server.engine.relations import Ref, agreed
from syntheflow_server.engine.relations.moments import Part


@pytest.fixture
def weekday():
    part = {"type": "int64", "part": "day_of_week", "zone": "", "shift": 0, "base": 0}
    return Part(makes=("weekday",), needs=(Ref("day"),), hints=True, **part)


def test_a_day_moves_to_the_nearest_one_of_its_weekday(weekday):
    days = pa.array([date(2024, 5, 1), date(2024, 5, 1), None], pa.date32())
    hinted = {"weekday": pa.array([2, 0, 4])}
    moved = agreed(days, (weekday,), hinted).to_pylist()
    assert moved == [date(2024, 5, 1), date(2024, 4, 29), None]


def test_a_day_that_no_neighbour_can_make_right_stays(weekday):
    days = pa.array([date(2024, 5, 1)], pa.date32())
    assert agreed(days, (weekday,), {"weekday": pa.array([9])}).equals(days)


def test_the_time_of_day_stays(weekday):
    at = pa.array([1_714_567_890_123_456], pa.timestamp("us"))
    moved = agreed(at, (weekday,), {"weekday": pa.array([6])})
    assert (
        moved.cast(pa.int64())[0].as_py() - at.cast(pa.int64())[0].as_py()
    ) % 86_400_000_000 == 0
    assert moved[0].as_py().weekday() == 6
