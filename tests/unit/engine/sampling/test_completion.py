"""Given cells come out bit for bit, the others are drawn for them, relations hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.engine import SamplePlan, Sampler, SampleSpec

from .conftest import people, whole_rows
from .test_conditions import relations_hold

SETS = [
    ("education",),
    ("cnt",),
    ("cnt", "casual"),
    ("cnt", "city", "weight", "max"),
    ("max", "month", "way_1"),
    ("min", "max", "day"),
    ("education_num", "way_0", "way_1", "way_2", "way_3"),
    ("month", "registered", "income"),
]


@pytest.fixture(scope="module")
def fresh() -> pa.Table:
    """Rows that the model has not seen."""
    return people(1200, 77)


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_given_columns_come_out_as_they_are_and_all_relations_hold(ask, fresh, names):
    rows = ask(given=fresh.select(names))
    assert len(rows) == len(fresh)
    for name in names:
        assert rows[name].combine_chunks().equals(fresh[name].combine_chunks())
    assert relations_hold(rows)


def test_rows_given_whole_are_only_copied(ask, fresh):
    assert ask(given=fresh).equals(fresh.cast(ask(given=fresh).schema))


def test_values_that_nobody_has_seen_stay(ask):
    given = pa.table(
        {"city": ["Atlantis", None, "Oslo"], "casual": [9999, 1, 2], "weight": [0.1, 1e9, None]}
    )
    rows = ask(given=given)
    assert rows.select(["city", "casual", "weight"]).to_pydict() == given.to_pydict()
    assert relations_hold(rows)


def test_given_cells_win_over_relations_that_they_contradict(ask):
    given = pa.table(
        {
            "education": ["none", "doctor"],
            "education_num": [10, 10],
            "cnt": [10, 300],
            "casual": [90, 90],
            "registered": [5, 210],
            "way_0": [True, True],
            "way_1": [True, False],
        }
    )
    rows = ask(given=given)
    assert rows.select(given.column_names).to_pydict() == given.to_pydict()
    assert relations_hold(rows.slice(1))


def test_gaps_are_filled_where_that_is_asked(ask, fresh):
    rng = np.random.default_rng(5)
    names = [name for name in fresh.column_names if name != "id"]
    holes = {name: pa.array(rng.random(len(fresh)) < 0.3) for name in names}
    given = pa.table(
        {
            name: pc.if_else(holes[name], pa.scalar(None, fresh[name].type), fresh[name])
            for name in names
        }
    )
    rows = ask(given=given, fill_missing=True)
    for name in names:
        assert rows[name].null_count == 0
        kept = pc.is_valid(given[name])
        assert rows[name].filter(kept).to_pylist() == given[name].filter(kept).to_pylist()
    assert relations_hold(rows)
    assert ask(given=given.select(["weight"]))["weight"].to_pylist() == given["weight"].to_pylist()


def test_conditions_rule_the_cells_that_are_not_given(ask, fresh):
    given = fresh.select(["education", "registered"])
    rows = ask({"column": "cnt", "low": 250}, {"column": "city", "values": ["Rome"]}, given=given)
    assert rows["registered"].to_pylist() == fresh["registered"].to_pylist()
    assert set(rows["city"].to_pylist()) == {"Rome"}
    assert min(rows["cnt"].to_pylist()) >= 250
    assert relations_hold(rows)


def test_units_are_pure_and_the_plan_file_holds_the_given_rows(trained, tmp_path):
    given = people(1000, 79).select(["cnt", "city"])
    model = replace(trained)
    model.__dict__["blocks"] = {"person": 300}
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(seed=2), lambda: None, None, {"person": given})
    assert len(plan.units_of("person")) == 4
    assert plan.table_rows["person"] == 1000
    plan.save(tmp_path / "plan")
    kept = SamplePlan.load(tmp_path / "plan")
    last = plan.units_of("person")[-1]
    (alone,) = Sampler(model).sample(kept, last, None)
    rows = whole_rows(sampler, plan)
    assert rows.slice(alone.first_row) == pa.Table.from_batches([alone.batch])
    assert rows["cnt"].to_pylist() == given["cnt"].to_pylist()
    assert kept.window("person", 500, 200) == plan.window("person", 500, 200) == range(1, 3)


def test_given_keys_are_taken_and_must_be_unique(ask):
    rows = ask(given=pa.table({"id": [70, 5, 900], "city": ["Oslo", "Rome", "Bern"]}))
    assert rows["id"].to_pylist() == [70, 5, 900]
    for keys in ([1, 1], [1, None]):
        with pytest.raises(InvalidArgumentError, match="'id' of table 'person'"):
            ask(given=pa.table({"id": keys}))


def test_references_find_given_keys(models):
    sampler = Sampler(models["shop"])
    given = pa.table({"id": ["C900x", "C901x", "C902x"], "city": ["Rome", "Rome", "Oslo"]})
    plan = sampler.plan(SampleSpec(), lambda: None, None, {"customer": given})
    assert whole_rows(sampler, plan, "customer")["city"].to_pylist() == ["Rome", "Rome", "Oslo"]
    owners = set(whole_rows(sampler, plan, "order")["customer"].to_pylist())
    assert owners <= {"C900x", "C901x", "C902x"}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"nothing": [1]}, "no such column"),
        ({"cnt": ["many"]}, "not all of type int64"),
        ({"weight": [float("inf")]}, "infinite"),
    ],
)
def test_given_rows_of_another_shape_are_refused(ask, given, rule):
    with pytest.raises(InvalidArgumentError, match=rule):
        ask(given=pa.table(given))


def test_rows_of_owned_tables_are_completed_only_with_their_owners(models):
    sampler = Sampler(models["shop"])
    seeds = {"line": pa.table({"amount": [1, 2]})}
    with pytest.raises(InvalidArgumentError, match="they belong to rows of 'order'"):
        sampler.plan(SampleSpec(), lambda: None, None, seeds)
