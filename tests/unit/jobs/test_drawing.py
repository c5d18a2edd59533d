"""Of tables too large to be judged whole some entities are drawn, each with all that is theirs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.jobs import drawing
from syntheflow_server.jobs.drawing import Drawing, drawn_tables


def table(name, *columns):
    made = tuple(
        Column(name=c, type="int64", semantic_type=SemanticType.IDENTIFIER) for c in columns
    )
    return Table(name=name, columns=made, primary_key=("id",))


def reference(child, column, parent):
    return ForeignKey(
        child_table=child, child_columns=(column,), parent_table=parent, parent_columns=("id",)
    )


SHOP = Schema(
    tables=(
        table("countries", "id"),
        table("customers", "id", "country", "friend"),
        table("orders", "id", "customer"),
        table("items", "id", "order", "product"),
        table("products", "id"),
        table("notes", "id"),
    ),
    foreign_keys=(
        reference("customers", "country", "countries"),
        reference("customers", "friend", "customers"),
        reference("orders", "customer", "customers"),
        reference("items", "order", "orders"),
        reference("items", "product", "products"),
    ),
)
OWNERS = {"customers": "countries", "orders": "customers", "items": "orders"}


@pytest.fixture
def shop(monkeypatch):
    """5 countries, 2,000 customers, 10,000 orders, 40,000 items; 10,000 values are the limit."""
    monkeypatch.setattr(drawing, "MOST_VALUES", 40_000)
    monkeypatch.setattr(drawing, "_SMALL_VALUES", 5_000)
    rng = np.random.default_rng(0)
    friends = pa.array(rng.integers(0, 2_000, 2_000), mask=rng.random(2_000) < 0.95)
    columns = {
        "countries": [range(5)],
        "customers": [range(2_000), rng.integers(0, 5, 2_000), friends],
        "orders": [range(10_000), rng.integers(0, 2_000, 10_000)],
        "items": [range(40_000), rng.integers(0, 10_000, 40_000), rng.integers(0, 300, 40_000)],
        "products": [range(300)],
        "notes": [range(100)],
    }
    return {
        t.name: MemoryTable(pa.table([pa.array(c) for c in columns[t.name]], schema=t.arrow))
        for t in SHOP.tables
    }


def drawn(shop, seed=1):
    plan = Drawing.of(SHOP, shop, OWNERS)
    return plan, drawn_tables(SHOP, shop, plan.rows(shop, seed))


def test_small_tables_are_taken_whole(shop, monkeypatch):
    monkeypatch.setattr(drawing, "MOST_VALUES", 10**6)
    plan, tables = drawn(shop)
    assert plan.whole
    assert {name: t.num_rows for name, t in tables.items()} == {
        name: source.num_rows for name, source in shop.items()
    }


def test_about_as_many_values_as_may_be_are_drawn(shop):
    plan, tables = drawn(shop)
    assert not plan.whole
    # Customers, not the five countries, are the entities.
    assert list(plan.shares) == ["customers"]
    values = sum(t.num_rows * t.num_columns for t in tables.values())
    assert 20_000 < values < 48_000


def test_all_that_belongs_to_an_entity_comes_with_it(shop):
    plan = Drawing.of(SHOP, shop, OWNERS)
    masks = plan.rows(shop, 1)
    before = drawn_tables(SHOP, shop, masks)
    customers = np.random.default_rng([1, drawing.zlib.crc32(b"customers")]).random(2_000)
    customers = np.flatnonzero(customers < plan.shares["customers"])
    every = np.asarray(shop["orders"].column("customer"))
    mine = np.asarray(before["orders"]["customer"])
    assert np.isin(customers, np.asarray(before["customers"]["id"])).all()
    assert np.isin(every, customers).sum() == len(mine)
    orders = np.asarray(before["orders"]["id"])
    assert np.isin(np.asarray(shop["items"].column("order")), orders).sum() == len(before["items"])


def test_every_reference_of_what_is_drawn_resolves(shop):
    _, tables = drawn(shop)
    for key in SHOP.foreign_keys:
        child = tables[key.child_table][key.child_columns[0]].drop_null()
        assert np.isin(np.asarray(child), np.asarray(tables[key.parent_table]["id"])).all(), key


def test_unrelated_tables_stay_whole(shop):
    _, tables = drawn(shop)
    assert (tables["notes"].num_rows, tables["products"].num_rows) == (100, 300)


def test_the_same_seed_draws_the_same_and_another_does_not(shop):
    assert drawn(shop)[1]["orders"].equals(drawn(shop)[1]["orders"])
    assert not drawn(shop)[1]["orders"].equals(drawn(shop, seed=2)[1]["orders"])


def test_a_single_large_table_is_drawn_row_by_row(shop):
    alone = Schema(tables=(SHOP.table("items"),))
    plan = Drawing.of(alone, {"items": shop["items"]}, {})
    tables = drawn_tables(alone, shop, plan.rows(shop, 1))
    assert 12_000 < tables["items"].num_rows < 14_700
