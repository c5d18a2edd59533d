"""Plans: exact sizes, windows, units as pure functions, files that processes share."""

from __future__ import annotations

import itertools
import time

import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import (
    CancelledError,
    DataLossError,
    InvalidArgumentError,
    OutOfRangeError,
)
from syntheflow_server.engine import SamplePlan, Sampler, SampleSpec


def whole(sampler: Sampler, plan: SamplePlan, table: str) -> pa.Table:
    batches = [
        fragment.batch
        for unit in plan.units_of(table)
        for fragment in sampler.sample(plan, unit, frozenset({table}))
    ]
    return pa.Table.from_batches(batches)


def plan_of(sampler: Sampler, **spec) -> SamplePlan:
    return sampler.plan(SampleSpec(**spec), lambda: None)


@pytest.mark.parametrize("name", ["shop", "league", "corners"])
def test_equal_requests_give_equal_rows_and_other_seeds_others(models, make, name):
    first = make.generate(models[name], seed=3)
    assert first == make.generate(models[name], seed=3)
    assert first != make.generate(models[name], seed=4)


def test_units_may_be_made_in_any_order_and_for_single_tables(small_units):
    sampler = Sampler(small_units)
    plan = plan_of(sampler)
    assert len(plan.units_of("line")) > 1
    units = list(plan.units_of("line"))
    forward = {u: sampler.sample(plan, u, frozenset({"line"}))[0].batch for u in units}
    for unit in reversed(units):
        fragments = {f.table: f.batch for f in Sampler(small_units).sample(plan, unit, None)}
        assert fragments["line"] == forward[unit]


@pytest.mark.parametrize("name", ["shop", "league", "corners"])
def test_rows_do_not_depend_on_which_tables_are_asked_for(models, make, name):
    size = {"shop": {"line": 200}, "league": {"season": 700}, "corners": {"staff": 45}}[name]
    everything = make.generate(models[name], seed=5, rows=size)
    sampler = Sampler(models[name])
    for table, rows in everything.items():
        spec = SampleSpec(seed=5, rows=size)
        plan = sampler.plan(spec, lambda: None, frozenset({table}))
        if rows:
            assert whole(sampler, plan, table) == rows
        assert plan.table_rows[table] == len(rows)


def test_a_plan_for_one_table_leaves_out_what_it_does_not_depend_on(models):
    sampler = Sampler(models["shop"])
    spec = SampleSpec(rows={"customer": 10**9})
    plan = sampler.plan(spec, lambda: None, frozenset({"customer"}))
    assert plan.table_rows["customer"] == 10**9
    assert "order" not in plan.table_rows
    assert not plan.parents
    with pytest.raises(KeyError, match="order"):
        sampler.sample(plan, 0, frozenset({"order"}))


def test_a_window_is_a_slice_of_the_whole(small_units):
    sampler = Sampler(small_units)
    plan = plan_of(sampler)
    everything = whole(sampler, plan, "line")
    start, count = len(everything) // 3, len(everything) // 2
    fragments = [
        f
        for unit in plan.window("line", start, count)
        for f in sampler.sample(plan, unit, frozenset({"line"}))
    ]
    first = fragments[0].first_row
    assert first <= start
    assert first + sum(f.batch.num_rows for f in fragments) >= start + count
    part = pa.Table.from_batches([f.batch for f in fragments])
    assert part.slice(start - first, count) == everything.slice(start, count)


@pytest.mark.parametrize("wanted", [1, 77, 900])
def test_rows_of_an_owned_table_are_exactly_as_many_as_asked_for(models, make, wanted):
    made = make.generate(models["shop"], rows={"order": wanted})
    assert len(made["order"]) == wanted
    assert len(made["customer"]) == 60


def test_more_rows_than_keys_allow_are_refused(models):
    with pytest.raises(InvalidArgumentError, match="profile"):
        plan_of(Sampler(models["league"]), rows={"profile": 151})
    with pytest.raises(InvalidArgumentError, match="census"):
        plan_of(Sampler(models["corners"]), rows={"census": 121})


@pytest.mark.parametrize("rows", [{"nobody": 3}, {"customer": -1}])
def test_rows_of_unknown_tables_and_negative_numbers_are_refused(models, rows):
    with pytest.raises(InvalidArgumentError, match="rows"):
        plan_of(Sampler(models["shop"]), rows=rows)


def test_a_plan_read_from_its_file_makes_the_same_rows(models, tmp_path):
    for name, table in (("shop", "line"), ("league", "season"), ("corners", "pair")):
        sampler = Sampler(models[name])
        plan = plan_of(sampler, seed=8)
        plan.save(tmp_path / name)
        again = SamplePlan.load(tmp_path / name)
        assert again.table_rows == plan.table_rows
        assert whole(sampler, again, table) == whole(sampler, plan, table)


def test_a_damaged_plan_is_noticed(models, tmp_path):
    plan_of(Sampler(models["shop"])).save(tmp_path / "plan")
    (tmp_path / "plan").write_bytes((tmp_path / "plan").read_bytes()[:100])
    with pytest.raises(DataLossError):
        SamplePlan.load(tmp_path / "plan")


def test_a_single_table_of_twenty_million_rows_is_planned_at_once(single):
    sampler = Sampler(single)
    began = time.perf_counter()
    plan = plan_of(sampler, rows={"row": 20_000_000})
    assert time.perf_counter() - began < 0.2
    assert not plan.first_rows
    assert plan.window("row", 19_999_999, 1)[-1] == plan.unit_count - 1


def test_a_table_without_relatives_may_be_read_beyond_its_size(single):
    sampler = Sampler(single)
    plan = plan_of(sampler, rows={"row": 5000})
    block = plan.blocks["row"]
    beyond = plan.window("row", 4990, block)
    made = [f for unit in beyond for f in sampler.sample(plan, unit, None)]
    first = made[0].first_row
    rows = pa.Table.from_batches([f.batch for f in made]).slice(4990 - first, block)
    assert len(rows) == block
    assert rows.slice(0, 10) == whole(sampler, plan, "row").slice(4990, 10)


def test_a_table_with_relatives_ends_where_it_ends(models):
    plan = plan_of(Sampler(models["shop"]))
    with pytest.raises(OutOfRangeError, match="order"):
        plan.window("order", plan.table_rows["order"], 1)


def test_planning_can_be_cancelled(models):
    def stop() -> None:
        raise CancelledError("stopped", reason="CANCELLED")

    with pytest.raises(CancelledError):
        Sampler(models["shop"]).plan(SampleSpec(scale=100.0), stop)


def test_making_rows_can_be_cancelled_at_once(models):
    def stop() -> None:
        raise CancelledError("stopped", reason="CANCELLED")

    sampler = Sampler(models["shop"])
    plan = plan_of(sampler)
    with pytest.raises(CancelledError):
        sampler.sample(plan, plan.units_of("line")[0], None, stop)


def test_the_check_is_called_five_times_a_second_within_a_unit(models):
    calls = [time.process_time()]  # of work, not of waiting for a busy machine
    sampler = Sampler(models["shop"])
    plan = sampler.plan(SampleSpec(scale=80.0), lambda: calls.append(time.process_time()))
    for unit in range(plan.unit_count):
        sampler.sample(plan, unit, None, lambda: calls.append(time.process_time()))
    assert max(b - a for a, b in itertools.pairwise(calls)) < 0.2
