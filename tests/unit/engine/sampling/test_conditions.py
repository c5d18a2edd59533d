"""Conditions hold in every row, and so do the relations of the columns they are about."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError, UnsupportedError
from syntheflow_server.engine import SamplePlan, Sampler, SampleSpec

from .conftest import CODES, people, whole_rows

SICK = (0.1, 0.4, 0.9)


def relations_hold(rows: pa.Table) -> bool:
    """Return whether all that is exact in the real rows is so in these."""
    numbers = {
        name: rows[name].to_numpy() for name in ("cnt", "casual", "registered", "min", "max")
    }
    names = rows["education"].to_pylist()
    flags = np.stack([rows[f"way_{i}"].to_numpy() for i in range(4)])
    return bool(
        (numbers["cnt"] == numbers["casual"] + numbers["registered"]).all()
        and (numbers["min"] <= numbers["max"]).all()
        and rows["education_num"].to_pylist() == [CODES[name] for name in names]
        and (flags.sum(axis=0) == 1).all()
        and pc.all(pc.equal(pc.month(rows["day"]), rows["month"])).as_py()
    )


def test_the_fixture_has_the_relations_that_are_inverted_here(trained):
    kinds = {type(relation).__name__ for relation in trained.tables["person"].relations}
    assert {"Linear", "Mapping", "OneHot", "Bounded", "Part"} <= kinds


@pytest.mark.parametrize(
    ("condition", "admits"),
    [
        ({"column": "income", "values": ["high"]}, lambda v: v == "high"),
        ({"column": "city", "values": ["Bern", None]}, lambda v: v in {"Bern", None}),
        ({"column": "city", "values": [None]}, lambda v: v is None),
        ({"column": "weight", "low": 55.05, "high": 57}, lambda v: 55.05 <= v <= 57),
        ({"column": "weight", "values": ["70.5", 71]}, lambda v: v in {70.5, 71}),
        ({"column": "education_num", "values": [10]}, lambda v: v == 10),
        ({"column": "education_num", "low": 5}, lambda v: v >= 5),
        ({"column": "way_2", "values": [True]}, lambda v: v),
        ({"column": "way_2", "values": ["false"]}, lambda v: not v),
        ({"column": "cnt", "values": [220]}, lambda v: v == 220),
        ({"column": "cnt", "values": [190, 240]}, lambda v: v in {190, 240}),
        ({"column": "cnt", "low": 300}, lambda v: v >= 300),
        ({"column": "max", "low": 10.5, "high": 12}, lambda v: 10.5 <= v <= 12),
        ({"column": "max", "values": [20, 25.5]}, lambda v: v in {20, 25.5}),
        ({"column": "min", "low": 40}, lambda v: v >= 40),
        ({"column": "month", "values": [2]}, lambda v: v == 2),
        ({"column": "month", "low": 6, "high": 7}, lambda v: v in {6, 7}),
        (
            {"column": "day", "low": "2012-02-03", "high": "2012-02-05"},
            lambda v: date(2012, 2, 3) <= v <= date(2012, 2, 5),
        ),
        ({"column": "day", "values": ["2013-03-14"]}, lambda v: v == date(2013, 3, 14)),
    ],
)
def test_a_condition_holds_in_every_row_and_breaks_no_relation(ask, condition, admits):
    rows = ask(condition)
    assert len(rows) == 500
    assert all(admits(value) for value in rows[condition["column"]].to_pylist())
    assert relations_hold(rows)


def test_several_conditions_hold_together(ask):
    rows = ask(
        {"column": "day", "low": "2012-01-01", "high": "2012-12-31"},
        {"column": "month", "values": [6, 8]},
        {"column": "cnt", "low": 250},
        {"column": "casual", "high": 100},
        {"column": "way_1", "values": [False]},
        {"column": "way_3", "values": [False]},
    )
    assert set(rows["month"].to_pylist()) == {6, 8}
    assert {day.year for day in rows["day"].to_pylist()} == {2012}
    assert min(rows["cnt"].to_pylist()) >= 250
    assert max(rows["casual"].to_pylist()) <= 100
    assert not any(rows["way_1"].to_pylist() + rows["way_3"].to_pylist())
    assert relations_hold(rows)


@pytest.fixture(scope="module")
def pair(make):
    """A model of two columns, of which the network makes `sick` before `dose`."""
    rng = np.random.default_rng(1)
    dose = rng.integers(0, 3, 12_000)
    sick = rng.random(12_000) < np.array(SICK)[dose]
    data = pa.table({"dose": np.array(["a", "b", "c"])[dose], "sick": sick})
    return make.learn(make.world({"person": (data, "")}, []), time_limit_seconds=3.0)


def test_earlier_columns_follow_conditions_and_given_cells_of_later_ones(pair):
    assert [piece.name for piece in pair.tables["person"].layout.pieces] == ["sick", "dose"]
    sampler, size = Sampler(pair), 9000
    given = pa.table({"dose": ["a", "b", "c"] * (size // 3)})
    plan = sampler.plan(SampleSpec(), lambda: None, None, {"person": given})
    completed = whole_rows(sampler, plan)
    for name, share in zip("abc", SICK, strict=True):
        spec = SampleSpec(
            rows={"person": size // 3},
            conditions={"person": [{"column": "dose", "values": [name]}]},
        )
        conditioned = whole_rows(sampler, sampler.plan(spec, lambda: None))
        told = completed.filter(pc.equal(completed["dose"], name))
        sigma = (share * (1 - share) / (size // 3)) ** 0.5
        for rows in (conditioned, told):
            found = pc.mean(rows["sick"].cast(pa.int64())).as_py()
            # What the network has learned may itself be some way off.
            assert abs(found - share) < 3 * sigma + 0.05


def test_the_parts_of_a_given_sum_are_as_usual(ask):
    rows = ask({"column": "cnt", "values": [220]}, rows=4000)
    real = people(60_000, 9)
    near = real.filter(pc.less(pc.abs(pc.subtract(real["cnt"], 220)), 5))
    own, theirs = rows["casual"].to_numpy(), near["casual"].to_numpy()
    assert abs(own.mean() - theirs.mean()) < 0.25 * theirs.std()
    assert 0.7 < own.std() / theirs.std() < 1.4


def test_shares_hold_to_within_a_row(ask):
    rows = ask(
        {"column": "income", "shares": [["high", 0.5], ["low", 0.5]]},
        {"column": "education_num", "shares": [[10, 0.3]]},
        {"column": "cnt", "shares": [[200, 0.25]]},
        rows=1001,
    )
    counts = {value: rows["income"].to_pylist().count(value) for value in ("high", "low")}
    assert sorted(counts.values()) == [500, 501]
    assert rows["education"].to_pylist().count("doctor") in {300, 301}
    assert rows["cnt"].to_pylist().count(200) in {250, 251}
    assert relations_hold(rows)


def test_what_shares_leave_keeps_its_proportions(ask):
    rows = ask({"column": "city", "shares": [["Cork", 0.4]]}, rows=6000)
    counts = dict(
        zip(*[part.to_pylist() for part in pc.value_counts(rows["city"]).flatten()], strict=True)
    )
    assert counts["Cork"] == 2400
    assert 1.05 < counts["Oslo"] / counts["Rome"] < 1.7


def test_a_cooler_temperature_makes_rows_more_usual_and_one_changes_nothing(ask):
    plain, same = ask(rows=3000), ask(rows=3000, temperature=1.0)
    assert plain == same
    cool = ask(rows=3000, temperature=0.4)
    share = [pc.mean(pc.equal(rows["city"], "Oslo")).as_py() for rows in (plain, cool)]
    assert share[1] > share[0] + 0.1


def test_equal_requests_give_equal_rows_whatever_else_is_made(trained):
    small = Sampler(trained)
    spec = SampleSpec(
        rows={"person": 300},
        conditions={"person": [{"column": "cnt", "low": 260}, {"column": "month", "values": [5]}]},
    )
    plan = small.plan(spec, lambda: None)
    first = whole_rows(small, plan)
    assert first == whole_rows(Sampler(trained), plan)
    small.plan(SampleSpec(), lambda: None)
    assert first == whole_rows(small, plan)


def test_a_plan_with_conditions_survives_its_file(sampler, tmp_path):
    conditions = [{"column": "city", "values": [None, "Cork"]}, {"column": "max", "low": 30.5}]
    spec = SampleSpec(rows={"person": 200}, conditions={"person": conditions}, temperature=0.9)
    plan = sampler.plan(spec, lambda: None)
    plan.save(tmp_path / "plan")
    assert whole_rows(sampler, SamplePlan.load(tmp_path / "plan")) == whole_rows(sampler, plan)


@pytest.mark.parametrize(
    ("conditions", "column"),
    [
        ([{"column": "city", "values": ["Paris"]}], "city"),
        ([{"column": "nothing", "values": [1]}], "nothing"),
        ([{"column": "cnt", "low": 100_000}], "cnt"),
        ([{"column": "cnt", "low": 9, "high": 3}], "cnt"),
        ([{"column": "cnt", "values": ["many"]}], "cnt"),
        ([{"column": "city", "low": "A"}], "city"),
        ([{"column": "day", "values": ["2031-01-01"]}], "day"),
        ([{"column": "day", "values": ["soon"]}], "day"),
        ([{"column": "month", "values": [13]}], "month"),
        ([{"column": "income", "shares": [["high", 0.7], ["low", 0.7]]}], "income"),
        ([{"column": "income", "values": ["high"], "low": 3}], "income"),
        (
            [
                {"column": "education", "values": ["none"]},
                {"column": "education_num", "values": [10]},
            ],
            "education_num",
        ),
        (
            [{"column": "way_1", "values": [True]}, {"column": "way_2", "values": [True]}],
            "way_1",
        ),
        ([{"column": "max", "high": 5}, {"column": "min", "low": 50}], ""),
    ],
)
def test_what_no_row_can_meet_is_said_when_the_rows_are_planned(sampler, conditions, column):
    spec = SampleSpec(conditions={"person": conditions})
    with pytest.raises(InvalidArgumentError) as caught:
        sampler.plan(spec, lambda: None)
    fault = caught.value.violations[0]
    assert fault.table == "person"
    assert fault.column == column or not column


def test_keys_made_from_row_numbers_take_no_condition(sampler):
    spec = SampleSpec(conditions={"person": [{"column": "id", "values": [3]}]})
    with pytest.raises(UnsupportedError, match=r"'id' of table 'person'.*row numbers"):
        sampler.plan(spec, lambda: None)


def test_references_take_no_condition(models):
    sampler = Sampler(models["shop"])
    for table, column in (("order", "customer"), ("employee", "boss")):
        spec = SampleSpec(conditions={table: [{"column": column, "values": [None]}]})
        with pytest.raises(UnsupportedError, match=table):
            sampler.plan(spec, lambda: None)


def test_children_of_conditioned_rows_follow_as_usual(models, make):
    rows = make.generate(
        models["shop"], conditions={"customer": [{"column": "city", "values": ["Rome"]}]}
    )
    assert set(rows["customer"]["city"].to_pylist()) == {"Rome"}
    assert set(rows["order"]["customer"].to_pylist()) <= set(rows["customer"]["id"].to_pylist())
