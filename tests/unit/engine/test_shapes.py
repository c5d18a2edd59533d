"""Every shape of keys, alone and together: references resolve, keys stay unique."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.shapes import faults, random_database

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.engine.graph.structure import LinkKind

_QUICK = {"time_limit_seconds": 0.2}


def _real(data) -> dict[str, pa.Table]:
    return {
        name: pa.table({c: source.column(c) for c in names})
        for name, (source, names) in data.items()
    }


def _columns(made) -> dict[str, pa.Table]:
    schema, data = made
    return _real({name: (data[name], schema.table(name).column_names) for name in data})


@settings(derandomize=True, max_examples=5, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_any_database_comes_back_with_whole_keys_at_any_scale(make, seed):
    made = random_database(seed)
    model = make.learn(made, seed=seed, **_QUICK)
    for scale in (1.0, 0.5, 3.0):
        rows = make.generate(model, seed=seed, scale=scale)
        assert faults(made[0], _columns(made), rows) == []


@pytest.fixture(scope="module")
def trade(make):
    """Tenants with buyers and goods; deals name a buyer and a good of the same tenant."""
    rng = np.random.default_rng(5)
    buyers = [(f"T{t}", n) for t in range(40) for n in range(1, 5)]
    goods = [(f"T{t}", n) for t in range(40) for n in range(1, 4)]
    chosen = rng.integers(0, len(buyers), 600)
    deal = {
        "id": np.arange(600),
        "tenant": [buyers[i][0] for i in chosen],
        "buyer": [buyers[i][1] for i in chosen],
        "good": [int(rng.integers(1, 4)) if rng.random() > 0.2 else None for _ in chosen],
    }
    tables = {
        "tenant": (pa.table({"id": [f"T{t}" for t in range(40)]}), "id"),
        "buyer": (_pairs(buyers), "tenant, no"),
        "goods": (_pairs(goods), "tenant, no"),
        "deal": (pa.table(deal), "id"),
    }
    keys = [
        "buyer(tenant) -> tenant(id)",
        "goods(tenant) -> tenant(id)",
        "deal(tenant, buyer) -> buyer(tenant, no)",
        "deal(tenant, good) -> goods(tenant, no)",
    ]
    made = make.world(tables, keys)
    return made, make.learn(made, **_QUICK)


def _pairs(rows: list[tuple[str, int]]) -> pa.Table:
    return pa.table({"tenant": [t for t, _ in rows], "no": [n for _, n in rows]})


def test_references_that_share_a_column_agree_in_it(make, trade):
    made, model = trade
    for scale in (1.0, 4.0):
        rows = make.generate(model, scale=scale)
        assert faults(made[0], _columns(made), rows) == []
    link = model.family["deal"].links[-1]
    assert link.shared == ("tenant",)
    assert 0 < rows["deal"]["good"].null_count < len(rows["deal"])
    assert rows["deal"]["tenant"].null_count == 0


def test_the_card_says_how_a_table_hangs_together(trade):
    _, model = trade
    words = {card.table: card.keys for card in model.cards}["deal"]
    assert any(
        text.startswith("(tenant, buyer) refer to buyer; rows are made for each") for text in words
    )
    assert any("to a row with the same tenant" in text and "null in" in text for text in words)


@pytest.fixture(scope="module")
def flights(make):
    """Flights of planes and of weather hours; some planes and few hours do not exist."""
    rng = np.random.default_rng(6)
    planes = [f"N{i:03d}A" for i in range(30)]
    hours = [(a, h) for a in ("EWR", "JFK") for h in range(60)]
    at = np.sort(rng.integers(0, len(hours), 400))
    tail = [planes[i] if i < 30 else f"X{i:03d}Q" for i in rng.integers(0, 36, 400)]
    hour = [hours[i][1] if k % 50 else 99 for k, i in enumerate(at)]
    tables = {
        "plane": (pa.table({"tail": planes, "seats": rng.integers(2, 300, 30)}), "tail"),
        "weather": (
            pa.table({"place": [a for a, _ in hours], "hour": [h for _, h in hours]}),
            "place, hour",
        ),
        "flight": (
            pa.table(
                {
                    "id": np.arange(400),
                    "tail": [t if k % 10 else None for k, t in enumerate(tail)],
                    "place": [hours[i][0] for i in at],
                    "hour": hour,
                }
            ),
            "id",
        ),
    }
    keys = ["flight(tail) -> plane(tail)", "flight(place, hour) -> weather(place, hour)"]
    return make.world(tables, keys)


def test_orphans_get_real_parents_and_are_no_nulls(make, flights):
    model = make.learn(flights, **_QUICK)
    assert model.family["flight"].owner is not None  # in spite of eight rows without weather
    assert faults(flights[0], _columns(flights), make.generate(model)) == []
    words = " ".join(next(card.keys for card in model.cards if card.table == "flight"))
    assert "8 of 400 rows refer to no row (not reproduced" in words
    assert "tail refers to plane" in words
    with pytest.raises(InvalidArgumentError, match="did not learn which rows"):
        make.generate(model, orphans=True)


def test_orphans_come_back_only_where_they_are_asked_for(make, flights):
    model = make.learn(flights, orphans=True, **_QUICK)
    assert faults(flights[0], _columns(flights), make.generate(model)) == []
    rows = make.generate(model, orphans=True)
    real, made = (t["flight"]["tail"].to_pylist() for t in (_columns(flights), rows))
    was, now = (
        sum(x is not None and x not in set(known["plane"]["tail"].to_pylist()) for x in tails)
        for known, tails in ((_columns(flights), real), (rows, made))
    )
    assert was / 3 < now < was * 3
    strange = {x for x in made if x and x not in set(rows["plane"]["tail"].to_pylist())}
    assert not strange & set(real)


def test_keys_that_refer_to_each_other_in_a_ring_stay_pairs(make):
    first = {"id": [f"K{i:03d}" for i in range(40)], "x": ["a", "b"] * 20}
    second = {"id": list(first["id"]), "y": ["c", "d"] * 20}
    made = make.world(
        {"first": (pa.table(first), "id"), "second": (pa.table(second), "id")},
        ["first(id) -> second(id)", "second(id) -> first(id)"],
    )
    model = make.learn(made, **_QUICK)
    kinds = [link.kind for name in ("first", "second") for link in model.family[name].links]
    assert kinds == [LinkKind.RETURNED]
    rows = make.generate(model, scale=2.0)
    assert sorted(rows["first"]["id"].to_pylist()) == sorted(rows["second"]["id"].to_pylist())
    assert len(set(rows["first"]["id"].to_pylist())) == 80


def test_trees_within_owners_stay_within_them(make):
    rng = np.random.default_rng(7)
    owner = np.repeat(np.arange(120), rng.integers(1, 6, 120))
    above = [
        None if owner[i - 1] != owner[i] or rng.random() < 0.2 else i - 1 for i in range(len(owner))
    ]
    above[0] = None
    made = make.world(
        {
            "post": (pa.table({"id": np.arange(120)}), "id"),
            "reply": (
                pa.table(
                    {
                        "post": owner,
                        "no": np.arange(len(owner)),
                        "to": above,
                    }
                ),
                "no",
            ),
        },
        ["reply(post) -> post(id)", "reply(to) -> reply(no)"],
    )
    model = make.learn(made, **_QUICK)
    rows = make.generate(model, scale=3.0)
    # Each owner's forest has a top, so the share of nulls follows how many owners have rows.
    found = faults(made[0], _columns(made), rows)
    assert [fault for fault in found if "are null" not in fault] == []
    post = dict(zip(*(rows["reply"][c].to_pylist() for c in ("no", "post")), strict=True))
    pairs = zip(*(rows["reply"][c].to_pylist() for c in ("no", "to")), strict=True)
    assert all(post[child] == post[parent] for child, parent in pairs if parent is not None)


def test_composite_references_are_null_in_part_as_the_real_ones(make):
    rng = np.random.default_rng(8)
    cells = [(a, b) for a in "nsew" for b in range(2000, 2020)]
    found = rng.integers(0, len(cells), 300)
    kind = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    tables = {
        "cell": (
            pa.table({"side": [a for a, _ in cells], "year": [b for _, b in cells]}),
            "side, year",
        ),
        "note": (
            pa.table(
                {
                    "id": np.arange(300),
                    "side": [
                        cells[i][0] if k < 2 else None for i, k in zip(found, kind, strict=True)
                    ],
                    "year": [
                        cells[i][1] if k < 1 else None for i, k in zip(found, kind, strict=True)
                    ],
                }
            ),
            "id",
        ),
    }
    made = make.world(tables, ["note(side, year) -> cell(side, year)"])
    rows = make.generate(make.learn(made, **_QUICK))
    assert faults(made[0], _columns(made), rows) == []
    shares = Counter(
        (a is None, b is None)
        for a, b in zip(*(rows["note"][c].to_pylist() for c in ("side", "year")), strict=True)
    )
    assert shares[True, False] == 0
    assert 0.15 < shares[False, True] / 300 < 0.45
