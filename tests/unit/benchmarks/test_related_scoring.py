"""The judge of related_tables.py: it sees torn ties between tables, and nothing where none are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from _related_report import summary, table
from _shop import shop
from scoring import grouped
from scoring.aggregates import aggregates
from scoring.database import Database, database, kinds_of_tables
from scoring.frames import Column, Frame, kinds_in
from scoring.grouped import Groups, grouped_c2st, same_rows
from scoring.hops import hop_trends
from scoring.keys import NOTHING, Keys, Reference, keys_of
from scoring.related import judge, sides
from scoring.small import nearest_ratio
from scoring.stories import in_order, sequences

REFERENCE = Reference("visit", ("person",), "person", ("id",))
KEYS = Keys({"person": ("id",), "visit": ("id",)}, (REFERENCE,))


@pytest.fixture(autouse=True)
def _one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of rows and folds is enough for what is tested here."""
    monkeypatch.setattr(grouped, "_REPEATS", 1)


def _people(seed: int, *, tied: bool = True, ordered: bool = True, rows: int = 300) -> Database:
    """Persons of two kinds; the visits of one kind cost more, and follow each other in time."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b"], rows)
    count = rng.integers(1, 5, rows)
    owner = np.repeat(np.arange(rows), count)
    likeness = kind[owner] == "a" if tied else rng.random(len(owner)) < 0.5
    moments = rng.integers(0, 10**6, len(owner))
    if ordered:
        moments = moments[np.lexsort((moments, owner))]
    tables = {
        "person": pa.table({"id": range(rows), "kind": kind}),
        "visit": pa.table(
            {
                "id": range(len(owner)),
                "person": owner,
                "cost": np.where(likeness, 50.0, 10.0) + rng.normal(0, 5, len(owner)).round(2),
                "time": pa.array(moments * 10**6, pa.timestamp("us")),
            }
        ),
    }
    return database(KEYS, tables, kinds_of_tables(KEYS, tables))


def _apart(left: Frame, right: Frame) -> float:
    alone = [np.full(frame.rows, NOTHING) for frame in (left, right)]
    found = grouped_c2st(left, right, Groups(alone[0], alone[1]))
    assert found is not None
    return found


def test_aggregates_count_average_and_span_the_children():
    tables = {
        "person": pa.table({"id": [1, 2, 3], "kind": ["a", "b", "a"]}),
        "visit": pa.table(
            {
                "id": [1, 2, 3],
                "person": [2, 2, 1],
                "cost": [4.5, 6.5, 1.0],
                "way": ["x", "y", "x"],
                "time": pa.array([10, 40, 5], pa.timestamp("s")),
            }
        ),
    }
    kinds = kinds_of_tables(KEYS, tables)
    kinds["visit"]["way"] = ("category", False)
    found = aggregates(database(KEYS, tables, kinds), "person").columns
    assert found["count(visit)"].values.tolist() == [1, 2, 0]
    assert found["mean(visit.cost)"].values[:2].tolist() == [1.0, 5.5]
    assert found["distinct(visit.way)"].values[:2].tolist() == [1, 2]
    assert found["first(visit.time)"].values[1] == 10
    assert found["span(visit.time)"].values[1] == 30
    assert all(np.isnan(found[name].values[2]) for name in found if "visit." in name)


def test_other_references_of_the_children_are_counted_by_distinct_parents():
    meta, tables = shop()
    keys = keys_of(meta)
    whole = database(keys, tables, kinds_of_tables(keys, tables))
    found = aggregates(whole, "customers").columns["distinct(orders>seller)"].values
    first = next(at for at, count in enumerate(found) if count > 1)
    orders = tables["orders"].to_pylist()
    sellers = {o["seller"] for o in orders if o["customer"] == first + 1} - {None}
    assert found[first] == len(sellers)


def test_aggregates_of_the_same_source_cannot_be_told_and_torn_ties_can():
    real, same, torn = _people(1), _people(2), _people(3, tied=False)
    whole = aggregates(real, "person")
    assert _apart(whole, aggregates(same, "person")) < 0.6
    assert _apart(real.frames["visit"], torn.frames["visit"]) < 0.6
    assert _apart(whole, aggregates(torn, "person")) > 0.75


def test_trends_over_a_hop_fall_with_the_tie():
    real, same, torn = _people(1), _people(2), _people(3, tied=False)
    title = "visit>person"
    assert hop_trends(real, same)[1][title] > 0.9
    assert hop_trends(real, torn)[1][title] < hop_trends(real, same)[1][title] - 0.1


def test_a_table_that_is_kept_as_it_is_is_chance_and_not_less():
    frame = _people(1).frames["person"]
    codes = same_rows([frame, frame])
    shared = grouped_c2st(frame, frame, Groups(codes[0], codes[1], shared=True))
    assert shared == pytest.approx(0.5, abs=0.03)


def test_codes_of_parents_are_no_data_but_years_are():
    both = ("year", "team")
    keys = Keys({"team": both, "stint": (*both, "no")}, (Reference("stint", both, "team", both),))
    tables = {
        "team": pa.table({"year": [1, 2], "team": ["a", "b"], "name": ["x", "y"]}),
        "stint": pa.table({"year": [1, 1], "team": ["a", "a"], "no": [1, 2]}),
    }
    kinds = kinds_of_tables(keys, tables)
    assert {name: list(found) for name, found in kinds.items()} == {
        "team": ["year", "name"],
        "stint": ["year", "no"],
    }


def test_a_column_without_any_value_tells_nothing():
    empty = Column("number", np.full(60, np.nan))
    frame = Frame({"x": empty, "y": Column("number", np.arange(60.0))}, 60)
    assert _apart(frame, frame) < 0.6
    assert _apart(frame.only(["x"]), frame.only(["x"])) == 0.5


def test_entities_that_rows_share_are_not_learned_by_heart():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(40), 15)
    left, right = (
        Frame({"x": Column("number", rng.normal(size=40)[owner])}, len(owner)) for _ in range(2)
    )
    assert _apart(left, right) > 0.9
    found = grouped_c2st(left, right, Groups(owner, owner))
    assert found is not None
    assert found < 0.65


def test_a_sequence_is_found_and_its_disorder_is_seen():
    real = _people(1)
    assert list(sequences(real)) == [(REFERENCE, "time")]
    assert in_order(_people(2), (REFERENCE, "time")) == 1.0
    share = in_order(_people(2, ordered=False), (REFERENCE, "time"))
    assert share is not None
    assert share < 0.6


def test_times_of_a_day_after_midnight_are_numbers():
    rows = pa.table({"at": ["23:50:00", "24:10:00", None], "name": ["a", "b", "c"]})
    assert kinds_in(rows) == {"at": ("number", False), "name": ("text", False)}


def _places(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame({name: Column("number", rng.normal(size=80)) for name in "abc"}, 80)


def test_copies_of_a_small_table_stand_nearer_than_new_rows():
    train = _places(1)
    assert nearest_ratio(train, _places(2), train) == 0
    fresh = nearest_ratio(train, _places(2), _places(3))
    assert fresh is not None
    assert 0.8 < fresh < 1.25
    alone = nearest_ratio(train, None, _places(3))
    assert alone is not None
    assert 0.8 < alone < 1.25


def _judged(made: Mapping[str, pa.Table]) -> dict[str, object]:
    halves = [dict(_people(seed, rows=45).tables) for seed in (1, 2)]
    return judge(sides(KEYS, "person", halves[0], halves[1], made))


def test_the_judge_counts_what_does_not_resolve_and_repeats():
    made = dict(_people(3, rows=45).tables)
    visits = made["visit"]
    owners = [None, 999, *visits.column("person").to_pylist()[2:]]
    made["visit"] = visits.set_column(1, "person", pa.array(owners, pa.int64()))
    made["person"] = pa.concat_tables([made["person"], made["person"].slice(0, 1)])
    found = _judged(made)
    assert found["orphans"] == {REFERENCE.name: 1}
    assert found["repeated"] == {"person": 1}
    assert found["resolved"] == pytest.approx(1 - 1 / (visits.num_rows - 1))
    assert found["null_points_worst"] == pytest.approx(100 / visits.num_rows)
    assert found["fresh_links"] == 1
    assert found["in_order_least"] == 1


def test_the_learned_links_put_out_again_are_seen():
    found = _judged(_people(1, rows=45).tables)
    assert found["fresh_links"] == 0
    assert found["links_as_learned"] == [REFERENCE.name]


def _line(system: str, **figures: object) -> dict[str, object]:
    facts = {"set": "shop", "seed": 0, "root": "customers", "table_count": 6, "learned_rows": 9}
    return {**facts, "system": system, **figures}


def test_the_table_tells_ratios_and_why_a_peer_has_none():
    told = {"customers": {"auc": 0.7, "told_by": [["born", 0.66]]}}
    ours = _line("syntheflow", aggregates=told, c2st_aggregates=0.7, train_cpu_s=10.0)
    peer = _line("mostlyai", aggregates=told, c2st_aggregates=0.9, train_cpu_s=30.0)
    refused = _line("hma", reason="more than 5 tables")
    runs = [ours, peer, refused]
    summed = summary(runs)
    assert summed["against"]["mostlyai"]["training_times_faster"] == 3
    assert summed["against"]["mostlyai"]["aggregates_lower_on"] == 1
    assert summed["against"]["hma"]["sets"] == 0
    text = table(runs, summed)
    assert "shop, hma: more than 5 tables" in text
    assert "customers by born 0.66" in text
