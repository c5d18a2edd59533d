"""Keys, references and meanings of small worlds, each with its own trap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.hints import ColumnHint, SchemaHint, TableHint
from syntheflow_server.domain.schema import ForeignKey, Schema, SemanticType
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.schema import infer

RNG = np.random.default_rng(7)


def inferred(hint: SchemaHint | None = None, **tables: Mapping[str, Any]) -> Schema:
    made = {name: pa.table(dict(columns)) for name, columns in tables.items()}
    sources = {name: MemoryTable(table) for name, table in made.items()}
    return infer(sources, {name: table.schema for name, table in made.items()}, hint)


def keys(schema: Schema) -> dict[str, tuple[str, ...]]:
    return {table.name: table.primary_key for table in schema.tables}


def references(schema: Schema) -> set[str]:
    return {str(key) for key in schema.foreign_keys}


def meanings(schema: Schema, table: str) -> dict[str, str]:
    return {column.name: str(column.semantic_type) for column in schema.table(table).columns}


def some(count: int, top: int) -> np.ndarray:
    """Numbers from 1 to `top`, with repeats."""
    return RNG.integers(1, top + 1, count)


def shop() -> dict[str, Mapping[str, Any]]:
    lines = sorted({(int(o), int(p)) for o, p in zip(some(600, 200), some(600, 30), strict=True)})
    return {
        "customers": {"id": range(1, 51), "name": [f"Name {i % 45}" for i in range(50)],
                      "age": some(50, 80)},
        "orders": {"order_id": range(1, 201), "customer_id": some(200, 50),
                   "referrer_customer_id": [None, *some(199, 50).tolist()], "items": some(200, 9)},
        "products": {"sku": [f"SKU-{i:05d}" for i in range(30)], "product_no": range(1, 31),
                     "stock": some(30, 100)},
        "order_lines": {"order_id": [o for o, _ in lines], "product_no": [p for _, p in lines],
                        "quantity": some(len(lines), 5)},
        "employees": {"employee_id": range(1, 21), "reports_to": [None, *some(19, 20).tolist()]},
    }  # fmt: skip


def test_keys_and_references_of_a_shop() -> None:
    schema = inferred(**shop())
    assert keys(schema) == {
        "customers": ("id",),
        "orders": ("order_id",),
        "products": ("product_no",),
        "order_lines": ("order_id", "product_no"),
        "employees": ("employee_id",),
    }
    assert references(schema) == {
        "orders(customer_id) -> customers(id)",
        "orders(referrer_customer_id) -> customers(id)",
        "order_lines(order_id) -> orders(order_id)",
        "order_lines(product_no) -> products(product_no)",
        "employees(reports_to) -> employees(employee_id)",
    }


def test_small_numbers_within_a_key_are_no_reference_by_themselves() -> None:
    found = references(inferred(**shop()))
    for column in ("items", "quantity", "stock", "age"):
        assert not any(f"({column})" in reference for reference in found)


@pytest.mark.parametrize("seed", range(5))
def test_plain_tables_have_no_key(seed: int) -> None:
    rng = np.random.default_rng(seed)
    schema = inferred(
        people={
            "age": rng.integers(17, 90, 2000),
            "fnlwgt": rng.normal(2e5, 1e5, 2000),
            "education": rng.choice(["a", "b", "c", "d"], 2000),
            "work": rng.choice(["x", "y", "z"], 2000),
            "note": [f"some words about person {i} and more of them" for i in range(2000)],
        }
    )
    assert keys(schema) == {"people": ()}


def test_a_unique_float_is_no_key() -> None:
    assert keys(inferred(t={"id": RNG.normal(size=100)})) == {"t": ()}


def test_a_key_has_no_gaps_and_no_repeats() -> None:
    assert keys(inferred(t={"id": [1, 2, None, 4]})) == {"t": ()}
    assert keys(inferred(t={"id": [1, 2, 2, 4]})) == {"t": ()}


def test_a_running_number_in_front_is_a_key_whatever_its_name() -> None:
    assert keys(inferred(t={"instant": range(1, 101), "x": some(100, 3)})) == {"t": ("instant",)}


def test_short_codes_in_front_are_a_key() -> None:
    codes = [a + b + c for a in "ABCDE" for b in "FGHIJ" for c in "KLMNO"]
    schema = inferred(
        airports={"faa": codes, "altitude": some(125, 500)},
        flights={"flight_id": range(400), "dest": RNG.choice(codes, 400)},
    )
    assert keys(schema)["airports"] == ("faa",)
    assert references(schema) == {"flights(dest) -> airports(faa)"}


def panel() -> dict[str, Any]:
    grid = [(p, y) for p in range(1, 101) for y in range(2000, 2010)]
    return {"player_id": [p for p, _ in grid], "year": [y for _, y in grid],
            "score": RNG.integers(0, 50, 1000)}  # fmt: skip


def test_a_panel_is_keyed_by_its_entity_and_time() -> None:
    schema = inferred(
        players={"player_id": range(1, 101), "height": some(100, 200)}, seasons=panel()
    )
    assert keys(schema)["seasons"] == ("player_id", "year")
    assert references(schema) == {"seasons(player_id) -> players(player_id)"}


def test_several_columns_refer_together() -> None:
    seasons = panel()
    picks = RNG.integers(0, 1000, 500)
    awards = {
        "award_id": range(500),
        "player_id": np.array(seasons["player_id"])[picks],
        "year": np.array(seasons["year"])[picks],
    }
    schema = inferred(
        players={"player_id": range(1, 101), "height": some(100, 200)},
        seasons=seasons, awards=awards,
    )  # fmt: skip
    assert "awards(player_id, year) -> seasons(player_id, year)" in references(schema)
    assert "awards(player_id) -> players(player_id)" in references(schema)


def test_a_table_that_shares_its_parents_key_is_one_to_one() -> None:
    schema = inferred(
        stops={"stop_id": range(1, 65), "zone": some(64, 4)},
        stop_attributes={"stop_id": range(1, 65), "city": RNG.choice(["a", "b"], 64)},
    )
    assert keys(schema) == {"stops": ("stop_id",), "stop_attributes": ("stop_id",)}
    assert references(schema) == {"stop_attributes(stop_id) -> stops(stop_id)"}


def test_a_junction_is_keyed_by_both_sides_even_if_one_is_unique() -> None:
    schema = inferred(
        film={"film_id": range(1, 101), "length": some(100, 180)},
        category={"category_id": range(1, 17), "name": [f"c{i}" for i in range(16)]},
        film_category={"film_id": range(1, 101), "category_id": some(100, 16)},
    )
    assert keys(schema)["film_category"] == ("film_id", "category_id")


def test_orphans_are_forgiven_where_the_name_is_the_keys_own() -> None:
    tails = [f"N{i:03d}" for i in range(100)]
    flown = RNG.choice(tails, 900).tolist() + ["XX999"] * 100
    planes = {"tailnum": tails, "seats": some(100, 300)}
    flights = {"flight_id": range(1000), "tailnum": flown}
    assert references(inferred(planes=planes, flights=flights)) == {
        "flights(tailnum) -> planes(tailnum)"
    }
    flights["tailnum"] = RNG.choice(tails, 600).tolist() + ["XX999"] * 400
    assert references(inferred(planes=planes, flights=flights)) == set()


def test_references_need_the_same_type() -> None:
    schema = inferred(
        airlines={"airline_id": range(1, 20), "x": some(19, 3)},
        routes={"route_id": range(100), "airline": RNG.choice(["AA", "BB", "CC"], 100)},
    )
    assert references(schema) == set()


def names(count: int) -> list[str]:
    letters = [RNG.choice(list("abcdefg"), RNG.integers(3, 12)) for _ in range(count)]
    return ["".join(name).capitalize() for name in letters]


def test_what_columns_mean() -> None:
    count = 300
    moments = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(count)]
    schema = inferred(
        t={
            "id": range(count),
            "grade": some(count, 5),
            "price": RNG.normal(size=count),
            "paid": RNG.choice([True, False], count),
            "day": pa.array([m.date() for m in moments]),
            "at": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "clock": pa.array([m.time() for m in moments], pa.time64("us")),
            "took": pa.array([dt.timedelta(hours=i) for i in range(count)], pa.duration("us")),
            "colour": RNG.choice(["red", "green"], count),
            "zip": [f"{i % 10:05d}" for i in range(count)],
            "invoice": [f"INV-2024-{i:06d}" for i in range(count)],
            "phone": [f"+49 {i:03d} {i * 7919 % 10**6:06d}" for i in range(count)],
            "surname": names(count),
            "SHOUTED": [name.upper() for name in names(count)],
            "user_uuid": [f"{i * 2654435761 % 2**32:08x}" for i in range(count)],
            "amount": pa.array(range(count)).cast(pa.decimal128(25, 2)),
        }
    )  # fmt: skip
    assert meanings(schema, "t") == {
        "id": "identifier", "grade": "integer", "price": "number", "paid": "boolean",
        "day": "date", "at": "datetime", "clock": "time", "took": "duration",
        "colour": "category", "zip": "category", "invoice": "code", "phone": "code",
        "surname": "text", "SHOUTED": "text", "user_uuid": "identifier", "amount": "number",
    }  # fmt: skip


def test_a_column_that_refers_to_an_identifier_is_one() -> None:
    assert meanings(inferred(**shop()), "orders")["customer_id"] == SemanticType.IDENTIFIER


def test_nullable_follows_the_data() -> None:
    columns = inferred(t={"a": [1, None], "b": [1, 2]}).tables[0].columns
    assert [column.nullable for column in columns] == [True, False]


def test_an_empty_table_is_understood() -> None:
    schema = inferred(t={"id": pa.array([], pa.int64()), "v": pa.array([], pa.string())})
    assert schema.tables[0].primary_key == ()
    assert all(column.nullable for column in schema.tables[0].columns)


def test_hints_are_taken_and_the_rest_is_inferred() -> None:
    wanted = ForeignKey(child_table="orders", child_columns=("customer_id",),
                        parent_table="customers", parent_columns=("id",))  # fmt: skip
    hint = SchemaHint(
        tables=(
            TableHint(
                name="orders",
                columns=(
                    ColumnHint(name="items", semantic_type=SemanticType.CATEGORY, nullable=True),
                    ColumnHint(name="customer_id", type="string"),
                ),
                primary_key=("order_id", "customer_id"),
            ),
        ),
        foreign_keys=(wanted,),
    )  # fmt: skip
    schema = inferred(hint, **shop())
    orders = schema.table("orders")
    assert orders.primary_key == ("order_id", "customer_id")
    assert orders.column("items").semantic_type is SemanticType.CATEGORY
    assert orders.column("items").nullable
    assert orders.column("customer_id").type == "string"
    assert schema.foreign_keys == (wanted,)
    assert schema.table("customers").primary_key == ("id",)


def test_hints_about_nothing_are_refused_by_name() -> None:
    wrong = TableHint(name="orders", columns=(ColumnHint(name="boo"),))
    hint = SchemaHint(tables=(TableHint(name="ghosts"), wrong))
    with pytest.raises(InvalidArgumentError) as caught:
        inferred(hint, **shop())
    places = [(fault.table, fault.column) for fault in caught.value.violations]
    assert places == [("ghosts", ""), ("orders", "boo")]
