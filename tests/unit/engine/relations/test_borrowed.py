"""Columns that repeat what the row referred to holds: the price of a product, its unit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import World, generate, learn, world

from syntheflow_server.engine import FittedModel


def trade() -> World:
    """Lines with a product's list price (in nine of ten rows) and its unit (always)."""
    rng = np.random.default_rng(4)
    price = np.round(rng.lognormal(3, 1, 60), 2)
    unit = np.array(["box", "kg", "piece"])[rng.integers(0, 3, 60)]
    label = np.array([f"{a}{b}" for a in "ABCDEFGHIJ" for b in "uvwxyz"])
    products = pa.table({"id": np.arange(60), "price": price, "unit": unit, "label": label})
    product = rng.integers(0, 60, 900)
    lines = pa.table(
        {
            "id": np.arange(900),
            "product": pa.array(product, mask=rng.random(900) < 0.1),
            "price": np.where(
                rng.random(900) < 0.9, price[product], np.round(price[product] / 2, 2)
            ),
            "unit": unit[product],
            "pieces": rng.integers(1, 9, 900),
        }
    )
    return world(
        {"products": (products, "id"), "lines": (lines, "id")}, ["lines(product) -> products(id)"]
    )


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return learn(trade(), time_limit_seconds=None)


def test_most_lines_have_the_price_of_their_product(model: FittedModel) -> None:
    made = generate(model, seed=1)
    prices = dict(
        zip(*(made["products"][name].to_pylist() for name in ("id", "price")), strict=True)
    )
    rows = [row for row in made["lines"].to_pylist() if row["product"] is not None]
    assert np.isclose(
        np.mean([row["price"] == prices[row["product"]] for row in rows]), 0.9, atol=0.07
    )


def test_lines_without_product_have_values_of_their_own(model: FittedModel) -> None:
    lines = generate(model, seed=2)["lines"]
    missing = lines["product"].is_null()
    assert 30 < sum(missing.to_pylist()) < 160
    assert lines["price"].null_count == lines["unit"].null_count == 0


def test_the_card_says_where_the_price_is_from(model: FittedModel) -> None:
    (card,) = (card for card in model.cards if card.table == "lines")
    assert any("'price' of the row that it refers to" in told for told in card.relations)


def test_prices_that_enough_lines_show_come_back(model: FittedModel) -> None:
    real = set(trade()[1]["products"].column("price").to_pylist())
    made = generate(model, seed=3)["products"]["price"].to_pylist()
    assert np.mean([price in real for price in made]) > 0.9
