"""Names of tables and columns, as people write them."""

from __future__ import annotations

import pytest

from syntheflow_server.schema.names import agreement, is_key_name, is_sequence_name, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("manager_staff_id", ("manager", "staff", "id")),
        ("ManagerStaffID", ("manager", "staff", "id")),
        ("customerID", ("customer", "id")),
        ("ISBN-13", ("isbn", "13")),
        ("Unique Squirrel ID", ("unique", "squirrel", "id")),
        ("Größe", ("größe",)),
    ],
)
def test_names_fall_into_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


@pytest.mark.parametrize(
    ("one", "many"),
    [("city", "cities"), ("movie", "movies"), ("address", "addresses"), ("box", "boxes"),
     ("status", "status"), ("order_line", "OrderLines"), ("house", "houses")],
)  # fmt: skip
def test_plurals_meet_their_singulars(one: str, many: str) -> None:
    assert words(one) == words(many)


@pytest.mark.parametrize(
    "name", ["id", "order_no", "OrderID", "patient_nbr", "uuid", "Postal Code"]
)
def test_key_names(name: str) -> None:
    assert is_key_name(name)


@pytest.mark.parametrize("name", ["paid", "width", "valid", "notes", "node"])
def test_words_that_only_look_like_key_names(name: str) -> None:
    assert not is_key_name(name)


def test_sequence_names() -> None:
    assert is_sequence_name("stop_sequence")
    assert is_sequence_name("LineNo")
    assert not is_sequence_name("pipeline_name")


@pytest.mark.parametrize(
    ("column", "child", "key", "parent", "score"),
    [
        ("customer_id", "orders", "customer_id", "customers", 1.0),
        ("customer_id", "orders", "id", "customers", 0.9),
        ("customer", "orders", "id", "customers", 0.9),
        ("manager_staff_id", "store", "staff_id", "staff", 0.8),
        ("billing_customer_id", "orders", "id", "customers", 0.8),
        ("ReportsTo", "Employees", "EmployeeID", "Employees", 0.6),
        ("parent_id", "categories", "id", "categories", 0.6),
        ("sales_rep", "customers", "id", "employees", 0.6),
        ("dest", "flights", "faa", "airports", 0.6),
        ("ShipVia", "Orders", "ShipperID", "Shippers", 0.6),
        ("quantity", "orders", "id", "customers", 0.0),
        ("id", "orders", "id", "customers", 0.0),
        ("customer_id", "customers", "customer_id", "customers", 0.0),
        ("name", "orders", "name", "colours", 0.0),
    ],
)
def test_how_much_a_name_speaks_for_a_reference(
    column: str, child: str, key: str, parent: str, score: float
) -> None:
    assert agreement(column, child, key, parent) == score
