"""Tables whose truth is known, made from a seed; two seeds are two samples of one truth."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table

KINDS = SemanticType


def _column(name, type_, kind, *, nullable=True):
    return Column(name=name, type=type_, semantic_type=kind, nullable=nullable)


PEOPLE = Table(
    name="people",
    columns=(
        _column("id", "int64", KINDS.IDENTIFIER, nullable=False),
        _column("name", "string", KINDS.TEXT),
        _column("age", "int64", KINDS.INTEGER),
        _column("income", "float64", KINDS.NUMBER),
        _column("town", "string", KINDS.CATEGORY),
        _column("married", "bool", KINDS.BOOLEAN),
        _column("born", "date32", KINDS.DATE),
        _column("seen", "timestamp[us]", KINDS.DATETIME),
    ),
    primary_key=("id",),
)
ORDERS = Table(
    name="orders",
    columns=(
        _column("person", "int64", KINDS.IDENTIFIER),
        _column("line", "int64", KINDS.INTEGER),
        _column("price", "float64", KINDS.NUMBER),
        _column("wares", "string", KINDS.CATEGORY),
    ),
    primary_key=("person", "line"),
)
PEOPLE_ONLY = Schema(tables=(PEOPLE,))
SHOP = Schema(
    tables=(PEOPLE, ORDERS),
    foreign_keys=(
        ForeignKey(
            child_table="orders",
            child_columns=("person",),
            parent_table="people",
            parent_columns=("id",),
        ),
    ),
)
TOWNS = Table(
    name="towns",
    columns=(
        _column("name", "string", KINDS.TEXT),
        _column("inhabitants", "int64", KINDS.INTEGER),
        _column("area", "float64", KINDS.NUMBER),
        _column("coast", "bool", KINDS.BOOLEAN),
    ),
    primary_key=("name",),
)
MARKET = Schema(tables=(*SHOP.tables, TOWNS), foreign_keys=SHOP.foreign_keys)
"""A shop and a table so small that it is soon learned by heart."""
_TOWNS = np.array(["Ulm", "Bonn", "Jena", "Kiel"])
_EPOCH = dt.datetime.fromisoformat("2020-01-01")


def people(rows, seed):
    """Income grows with age, the married are older, a fifth of incomes is missing."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    income = 500.0 * age + rng.normal(0, 3000, rows)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(rng.choice(letters, rng.integers(6, 12))).capitalize() for _ in range(rows)]
    return pa.table(
        {
            "id": np.arange(rows) + 10_000 * seed,
            "name": names,
            "age": age,
            "income": pa.array(income, mask=rng.random(rows) < 0.2),
            "town": _TOWNS[rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])],
            "married": rng.random(rows) < (age - 10) / 90,
            "born": [
                dt.date(2020 - int(a), int(m), 1)
                for a, m in zip(age, rng.integers(1, 13, rows), strict=True)
            ],
            "seen": [_EPOCH + dt.timedelta(minutes=int(m)) for m in rng.integers(0, 10**6, rows)],
        },
        schema=PEOPLE.arrow,
    )


def orders(parents, seed):
    """The old order more often and dearer; a third of all people orders nothing."""
    rng = np.random.default_rng(seed + 1000)
    ids, ages = (np.asarray(parents.column(name)) for name in ("id", "age"))
    counts = np.where(rng.random(len(ids)) < 1 / 3, 0, 1 + rng.poisson(ages / 25))
    age = np.repeat(ages, counts)
    return pa.table(
        {
            "person": np.repeat(ids, counts),
            "line": np.concatenate([np.arange(count) for count in counts]) + 1,
            "price": age * 2.0 + rng.normal(0, 10, len(age)),
            "wares": np.array(["tea", "salt", "wine"])[rng.choice(3, len(age))],
        },
        schema=ORDERS.arrow,
    )


def shop(rows, seed):
    """People with their orders."""
    parents = people(rows, seed)
    return {"people": parents, "orders": orders(parents, seed)}


def towns(rows, seed):
    """The larger the town, the more people live there."""
    rng = np.random.default_rng(seed)
    area = rng.gamma(2, 30, rows)
    return pa.table(
        {
            "name": [f"town {seed} {number}" for number in range(rows)],
            "inhabitants": (area * rng.lognormal(5, 0.1, rows)).astype(int),
            "area": area,
            "coast": rng.random(rows) < 0.3,
        },
        schema=TOWNS.arrow,
    )


def market(rows, seed):
    """A shop and 250 towns."""
    return {**shop(rows, seed), "towns": towns(250, seed)}


def with_column(rows, name, values):
    """The table with other values in one column."""
    place = rows.column_names.index(name)
    return rows.set_column(place, name, pa.array(values, rows.schema.field(name).type))


def shuffled(rows, name, seed=0):
    """The table with one column's values dealt anew among the rows."""
    order = np.random.default_rng(seed).permutation(rows.num_rows)
    return rows.set_column(rows.column_names.index(name), name, rows.column(name).take(order))


def silent(*_):
    """A report or beat that nobody listens to."""
