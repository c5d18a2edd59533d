"""Conditions on references: parents that are there already, of which some are asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import World, learn, world
from tests.unit.engine.sampling.test_families import make, rows_of

from syntheflow_server.domain.errors import InvalidArgumentError, UnsupportedError
from syntheflow_server.engine import FittedModel, Sampler, SampleSpec
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.spec import Condition

LANDS = [f"L{i:02d}" for i in range(20)]


def trade() -> World:
    """Lands, customers of whom some have none, and dated orders; stations that lands own."""
    rng = np.random.default_rng(2)
    land = rng.choice(20, 300, p=np.arange(1, 21) / 210)
    owner = np.repeat(np.arange(300), rng.integers(0, 6, 300))
    at = np.repeat(np.arange(20), rng.integers(8, 13, 20))
    return world(
        {
            "land": (pa.table({"code": LANDS, "warm": np.arange(20) >= 10}), "code"),
            "customer": (
                pa.table(
                    {
                        "id": np.arange(300) + 1,
                        "land": pa.array(np.array(LANDS)[land], mask=rng.random(300) < 0.2),
                        "coat": np.where(rng.random(300) < 0.9, land >= 10, land < 10),
                    }
                ),
                "id",
            ),
            "order": (
                pa.table({"id": np.arange(len(owner)), "customer": owner + 1, "n": owner % 3}),
                "id",
            ),
            "station": (
                pa.table({"id": np.arange(len(at)), "land": np.array(LANDS)[at], "n": at % 5}),
                "id",
            ),
        },
        [
            "customer(land) -> land(code)",
            "order(customer) -> customer(id)",
            "station(land) -> land(code)",
        ],
    )


@pytest.fixture(scope="module")
def keeping() -> FittedModel:
    return learn(trade(), keep=("land",), time_limit_seconds=None)


@pytest.fixture(scope="module")
def free() -> FittedModel:
    return learn(trade())


def lands_of(rows: pa.Table) -> set[str | None]:
    return set(rows.column("land").to_pylist())


def test_rows_refer_to_the_kept_rows_that_are_asked_for_and_to_all_of_those(keeping):
    asked = {"customer": (Condition(column="land", values=("L17", "L19")),)}
    out = make(keeping, conditions=asked, rows={"customer": 200})
    assert lands_of(out["customer"]) == {"L17", "L19"}
    # What goes with these lands goes with their customers: nine in ten have a coat.
    cold = {"customer": (Condition(column="land", values=("L07", "L09")),)}
    others = make(keeping, conditions=cold, rows={"customer": 200})
    coats = [np.mean(found["customer"].column("coat").to_pylist()) for found in (out, others)]
    assert coats[0] > coats[1] + 0.3


def test_customers_of_one_land_with_at_least_three_orders(keeping):
    conditions = (Condition(column="land", values=("L15",)), Condition(rows_of="order", low=3))
    out = make(keeping, conditions={"customer": conditions})
    assert lands_of(out["customer"]) == {"L15"}
    held = Counter(out["order"].column("customer").to_pylist())
    assert min(held[key] for key in out["customer"].column("id").to_pylist()) >= 3


def test_a_missing_reference_comes_only_where_it_is_let_in(keeping):
    def lands(**rule: object) -> set[str | None]:
        asked = {"customer": (Condition(column="land", **rule),)}
        return lands_of(make(keeping, conditions=asked)["customer"])

    assert None not in lands(shares=((None, 0.0),))
    assert lands(values=(None,)) == {None}
    assert lands(values=(None, "L18")) == {None, "L18"}
    others = lands(shares=(("L18", 0.0), ("L19", 0.0)))
    assert None in others
    assert not others & {"L18", "L19"}
    assert len(others) > 8


def test_rows_that_a_kept_table_owns_are_made_for_the_rows_that_are_asked_for(keeping):
    assert keeping.family.owner_of("station") == "land"
    out = make(keeping, conditions={"station": (Condition(column="land", values=("L03", "L04")),)})
    assert lands_of(out["station"]) == {"L03", "L04"}


@pytest.mark.parametrize("table", ["customer", "station"])
def test_given_and_existing_parents_can_be_asked_for_as_well(free, table):
    parents = rows_of(trade())["land"]
    asked = {table: (Condition(column="land", values=("L05", "L06")),)}
    for said in ({"seeds": {"land": parents}}, {"existing": {"land": parents.select(["code"])}}):
        out = make(free, **said, conditions=asked, rows={table: 60})
        assert lands_of(out[table]) == {"L05", "L06"}


def test_a_saved_plan_holds_what_is_left(keeping, tmp_path):
    sampler = Sampler(keeping)
    asked = {"customer": (Condition(column="land", values=("L15",)),)}
    plan = sampler.plan(SampleSpec(conditions=asked), lambda: None)
    plan.save(tmp_path / "plan")
    again = SamplePlan.load(tmp_path / "plan")
    for unit in range(plan.unit_count):
        pairs = zip(sampler.sample(plan, unit), sampler.sample(again, unit), strict=True)
        assert all(one.batch.equals(other.batch) for one, other in pairs)


def test_what_cannot_be_asked_of_a_reference_is_refused_by_name(keeping, free):
    def ask(model: FittedModel, table: str, **rule: object) -> None:
        make(model, conditions={table: (Condition(**rule),)})

    with pytest.raises(UnsupportedError, match=r"'land' of table 'customer'.*keep that table"):
        ask(free, "customer", column="land", values=("L01",))
    with pytest.raises(
        UnsupportedError, match=r"'customer' of table 'order'.*whose rows are drawn"
    ):
        ask(keeping, "order", column="customer", values=(3,))
    with pytest.raises(InvalidArgumentError, match="no row that it could refer to has such a key"):
        ask(keeping, "customer", column="land", values=("XX",))
    with pytest.raises(InvalidArgumentError, match="shares of its values cannot be asked for"):
        ask(keeping, "customer", column="land", shares=(("L01", 0.5),))
