"""First children that come in a season after a date of their owner."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import generate, learn, world

from syntheflow_server.engine import load
from syntheflow_server.engine.layout import PieceKind

_OWNERS = 400


@pytest.fixture(scope="module")
def staff():
    """People hired on any day, reviewed each spring from the next year on."""
    rng = np.random.default_rng(3)
    hired = [date(2010, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 3000, _OWNERS)]
    who, day = [], []
    for number, begin in enumerate(hired):
        for year in range(begin.year + 1, begin.year + 1 + int(rng.integers(2, 6))):
            who.append(number)
            day.append(date(year, 2, 1) + timedelta(days=int(rng.integers(0, 40))))
    people = pa.table({"id": range(_OWNERS), "hired": hired})
    reviews = pa.table({"no": range(len(day)), "who": who, "day": day})
    tables = {"people": (people, "id"), "reviews": (reviews, "no")}
    return learn(world(tables, ["reviews(who) -> people(id)"]))


def test_the_first_review_comes_in_spring_after_the_hiring(staff, tmp_path):
    first = staff.tables["people"].layout.find(PieceKind.FIRST, "reviews")
    assert first.base == "hired"
    assert first.by_cycle
    staff.save(tmp_path)
    made = generate(load(tmp_path))
    hired = dict(zip(*(made["people"][c].to_pylist() for c in ("id", "hired")), strict=True))
    rows = list(zip(*(made["reviews"][c].to_pylist() for c in ("who", "day")), strict=True))
    assert all(day >= hired[who] for who, day in rows)
    begins = {}
    for who, day in rows:
        begins[who] = min(day, begins.get(who, day))
    spring = [day.month in {2, 3} for day in begins.values()]
    assert np.mean(spring) > 0.97
    assert np.mean([day.year - hired[who].year for who, day in begins.items()]) < 1.3
