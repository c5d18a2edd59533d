"""An invented shop of six related tables, for the quick form of related_tables.py."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

Row = tuple[Any, ...]
CUSTOMERS = 300
_COUNTRIES = ("DE", "FR", "PL", "SE", "CH")


def shop(seed: int = 7) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Return meta.json's facts and the tables: customers with orders with lines, staff, goods.

    A customer's kind decides how often and how much is bought; orders follow each other in
    time; a line's price is that of its product; staff report to each other.
    """
    rng = random.Random(seed)  # noqa: S311 - the same shop on every machine
    goods = [(n, rng.choice("ABC"), round(rng.lognormvariate(3, 0.7), 2)) for n in range(1, 41)]
    staff = [
        (n, None if n == 1 else 1 + n // 4, rng.choice(("day", "night"))) for n in range(1, 13)
    ]
    customers: list[Row] = []
    orders: list[Row] = []
    lines: list[Row] = []
    for number in range(1, CUSTOMERS + 1):
        kind = rng.choices(("private", "trade"), (4, 1))[0]
        country = rng.choices(_COUNTRIES, (8, 5, 3, 2, 1))[0]
        customers.append((number, country, kind, rng.randint(1950, 2005)))
        moment = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=rng.expovariate(1 / 3000))
        for _ in range(int(rng.expovariate(1 / (2 if kind == "private" else 6)))):
            moment += timedelta(hours=rng.expovariate(1 / 900))
            seller = None if rng.random() < 0.2 else rng.randint(2, 12)
            orders.append((len(orders) + 1, number, seller, moment, rng.choice(("web", "shop"))))
            bought = rng.sample(goods, min(1 + int(rng.expovariate(0.6)), 8))
            for place, (good, _, price) in enumerate(bought, 1):
                amount = 1 + int(rng.expovariate(0.7 if kind == "private" else 0.1))
                lines.append((len(orders), place, good, amount, round(amount * price, 2)))
    tables = {
        "countries": _table(("country", "zone"), zip(_COUNTRIES, "xxyzz", strict=True)),
        "customers": _table(("customer", "country", "kind", "born"), customers),
        "staff": _table(("member", "boss", "shift"), staff),
        "goods": _table(("good", "shelf", "price"), goods),
        "orders": _table(("number", "customer", "seller", "ordered", "way"), orders),
        "lines": _table(("number", "place", "good", "amount", "total"), lines),
    }
    return {"tables": _keys(), "foreign_keys": _references()}, tables


def _table(names: tuple[str, ...], rows: Any) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(dict(zip(names, map(list, columns), strict=True)))


def _keys() -> dict[str, Any]:
    keys: dict[str, str | list[str]] = {
        "countries": "country",
        "customers": "customer",
        "staff": "member",
        "goods": "good",
        "orders": "number",
        "lines": ["number", "place"],
    }
    return {name: {"primary_key": key} for name, key in keys.items()}


def _references() -> list[dict[str, str]]:
    known = (
        ("customers", "country", "countries", "country"),
        ("staff", "boss", "staff", "member"),
        ("orders", "customer", "customers", "customer"),
        ("orders", "seller", "staff", "member"),
        ("lines", "number", "orders", "number"),
        ("lines", "good", "goods", "good"),
    )
    names = ("child", "child_column", "parent", "parent_column")
    return [dict(zip(names, facts, strict=True)) for facts in known]
