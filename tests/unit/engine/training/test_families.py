"""Large related tables: some entities teach with all that is theirs; sizes stay those of all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit, holdout_rows
from syntheflow_server.engine.training import thinning
from syntheflow_server.engine.training.thinning import thin

CUSTOMERS, MOST = 4_000, 3_000


def tables() -> dict[str, pa.Table]:
    """Customers with 3 orders each, on average, which have 1 or 2 items of 30 products."""
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(CUSTOMERS), rng.poisson(3, CUSTOMERS))
    order = np.repeat(np.arange(len(customer)), rng.integers(1, 3, len(customer)))
    return {
        "customer": pa.table({"id": np.arange(CUSTOMERS), "age": rng.integers(18, 80, CUSTOMERS)}),
        "order": pa.table({"id": np.arange(len(customer)), "customer": customer}),
        "item": pa.table(
            {
                "id": np.arange(len(order)),
                "order": order,
                "product": rng.integers(0, 30, len(order)),
                "amount": rng.integers(1, 9, len(order)),
            }
        ),
        "product": pa.table({"id": np.arange(30), "price": rng.integers(1, 99, 30)}),
    }


def reference(child: str, parent: str) -> ForeignKey:
    return ForeignKey(
        child_table=child, child_columns=(parent,), parent_table=parent, parent_columns=("id",)
    )


def schema(made: dict[str, pa.Table], *more: ForeignKey) -> Schema:
    def column(name: str) -> Column:
        plain = name in {"age", "price", "amount"}
        kind = SemanticType.INTEGER if plain else SemanticType.IDENTIFIER
        return Column(name=name, type="int64", semantic_type=kind)

    keys = (
        reference("order", "customer"),
        reference("item", "order"),
        reference("item", "product"),
    )
    return Schema(
        tables=tuple(
            Table(name=name, columns=tuple(map(column, table.column_names)), primary_key=("id",))
            for name, table in made.items()
        ),
        foreign_keys=(*keys, *more),
    ).checked()


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> tuple[Schema, dict[str, MemoryTable]]:
    monkeypatch.setattr(thinning, "MOST_ROWS", MOST)
    made = tables()
    return schema(made), {name: MemoryTable(table) for name, table in made.items()}


def numbers(source, name: str) -> np.ndarray:
    return source.column(name).to_numpy()


def test_chosen_entities_keep_all_their_rows_and_nobody_else_s(shop) -> None:
    facts, sources = shop
    few = thin(facts, sources, 0.1, 5).tables
    assert few["product"].num_rows == 30
    for child, parent in (("order", "customer"), ("item", "order")):
        theirs = numbers(few[parent], "id")
        all_rows = numbers(sources[child], parent)
        wanted = np.flatnonzero(np.isin(all_rows, theirs))
        assert np.array_equal(numbers(few[child], "id"), wanted)
    assert 0.8 * MOST < few["item"].num_rows < 1.2 * MOST
    again = thin(facts, sources, 0.1, 5).tables
    assert np.array_equal(numbers(again["item"], "id"), numbers(few["item"], "id"))


def test_entities_are_held_out_with_all_their_rows_and_do_not_teach(shop) -> None:
    facts, sources = shop
    held = holdout_rows(facts, sources, 0.1, 5)
    assert held["customer"].sum() == CUSTOMERS // 10
    assert np.array_equal(held["order"], held["customer"][numbers(sources["order"], "customer")])
    assert np.array_equal(held["item"], held["order"][numbers(sources["item"], "order")])
    taught = numbers(thin(facts, sources, 0.1, 5).tables["customer"], "id")
    assert not held["customer"][taught].any()


def test_families_that_others_refer_to_stay_whole(shop) -> None:
    made = tables()
    rng = np.random.default_rng(1)
    given_to = pa.array(rng.integers(0, CUSTOMERS, len(made["order"])))
    made["order"] = made["order"].append_column("given_to", given_to)
    gift = ForeignKey(
        child_table="order",
        child_columns=("given_to",),
        parent_table="customer",
        parent_columns=("id",),
    )
    sources = {name: MemoryTable(table) for name, table in made.items()}
    assert not thin(schema(made, gift), sources, 0.1, 0).whole


def test_a_thinned_fit_makes_as_many_rows_as_there_are_with_the_real_counts(shop) -> None:
    facts, sources = shop
    settings = FitSettings(time_limit_seconds=3, threads=1)
    model = fit(facts, sources, settings, lambda _: None)
    cards = {card.table: card for card in model.cards}
    orders = sources["order"].num_rows
    assert cards["order"].train_rows + cards["order"].holdout_rows == orders
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(), lambda: None)
    for name, source in sources.items():
        assert abs(plan.table_rows[name] - source.num_rows) <= 0.08 * source.num_rows
    made = [
        part.batch["customer"].to_numpy()
        for unit in plan.units_of("order")
        for part in sampler.sample(plan, unit, frozenset({"order"}))
    ]
    _, counts = np.unique(np.concatenate(made), return_counts=True)
    _, real = np.unique(numbers(sources["order"], "customer"), return_counts=True)
    assert abs(counts.std() - real.std()) < 0.25 * real.std()
    assert abs(len(counts) / plan.table_rows["customer"] - len(real) / CUSTOMERS) < 0.03
