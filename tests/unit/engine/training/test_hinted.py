"""What the owner decides about a row is told, not drawn, and needs no word on how it goes on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.relations.hinted import hinted, hinting

PLACES = 120


@pytest.fixture(scope="module")
def model(make):
    rng = np.random.default_rng(2)
    place = np.repeat(np.arange(PLACES), 8)
    start = np.repeat(rng.integers(15_000, 15_300, PLACES), 8)
    day = start + np.tile(np.arange(8) * 5, PLACES)
    slots = pa.table({"place": place, "day": _days(day), "wind": rng.integers(0, 40, len(place))})
    at = np.repeat(np.arange(len(place)), 4)
    kind = np.repeat(rng.integers(0, 9, len(place)), 4)
    visits = pa.table(
        {
            "id": np.arange(len(at)),
            "place": place[at],
            "day": _days(day[at]),
            "month": pc.month(_days(day[at])),
            "kind": pa.array(np.where(rng.random(len(at)) < 0.05, 9, kind)).cast(pa.string()),
        }
    )
    places = pa.table({"place": np.arange(PLACES), "size": rng.integers(1, 9, PLACES)})
    tables = {"places": (places, "place"), "slots": (slots, "place, day"), "visits": (visits, "id")}
    keys = ["slots(place) -> places(place)", "visits(place, day) -> slots(place, day)"]
    return make.learn(make.world(tables, keys), time_limit_seconds=3.0)


def _days(numbers) -> pa.Array:
    return pa.array(numbers.astype(np.int32)).cast(pa.date32())


def test_a_column_that_the_owners_day_decides_is_a_hint(model):
    relations = model.tables["visits"].relations
    assert hinting(model.family, "visits", relations) == {"day": "day"}
    known = [ref for relation in relations for ref in relation.needs if ref.column == "day"]
    assert [name for _, name in hinted(relations, known)] == ["month"]


def test_it_has_no_flag_that_says_it_is_the_siblings_as_others_have(model):
    layout = model.tables["visits"].layout
    assert layout.find(PieceKind.SAME, "kind") is not None
    assert layout.find(PieceKind.COLUMN, "month") is not None
    assert layout.find(PieceKind.SAME, "month") is None
    assert layout.find(PieceKind.DELTA, "month") is None


def test_it_holds_in_every_row(model, make):
    made = make.generate(model, seed=1)["visits"]
    assert pc.month(made["day"]).equals(made["month"])
