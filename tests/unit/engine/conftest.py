"""Small related worlds, one for each shape of keys, and the models that learned them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, FittedModel, Sampler, SampleSpec, fit

World = tuple[Schema, dict[str, MemoryTable]]
_KINDS = {
    "int64": SemanticType.INTEGER,
    "float64": SemanticType.NUMBER,
    "string": SemanticType.CATEGORY,
    "date32": SemanticType.DATE,
    "timestamp[us]": SemanticType.DATETIME,
    "bool": SemanticType.BOOLEAN,
}


def world(tables: dict[str, tuple[pa.Table, str]], keys: list[str]) -> World:
    """Return a schema and data; keys read 'child(a, b) -> parent(c, d)'."""
    schema_tables = []
    for name, (data, primary) in tables.items():
        key = tuple(part.strip() for part in primary.split(",") if part.strip())
        columns = []
        for field in data.schema:
            kind = "date32" if pa.types.is_date32(field.type) else str(field.type)
            kind = {"double": "float64"}.get(kind, kind)
            meaning = SemanticType.IDENTIFIER if key == (field.name,) else _KINDS[kind]
            columns.append(Column(name=field.name, type=kind, semantic_type=meaning))
        schema_tables.append(Table(name=name, columns=tuple(columns), primary_key=key))
    references = tuple(_reference(text) for text in keys)
    schema = Schema(tables=tuple(schema_tables), foreign_keys=references).checked()
    return schema, {name: MemoryTable(data) for name, (data, _) in tables.items()}


def _reference(text: str) -> ForeignKey:
    left, right = text.split(" -> ")

    def parts(side: str) -> tuple[str, tuple[str, ...]]:
        table, _, columns = side.rstrip(")").partition("(")
        return table, tuple(column.strip() for column in columns.split(","))

    (child, mine), (parent, theirs) = parts(left), parts(right)
    return ForeignKey(
        child_table=child, child_columns=mine, parent_table=parent, parent_columns=theirs
    )


def learn(made: World, **settings) -> FittedModel:
    """Fit a world quickly: structure is under test, not likeness."""
    chosen = FitSettings(**({"time_limit_seconds": 1.0, "threads": 1} | settings))
    return fit(*made, chosen, lambda _: None)


def generate(model: FittedModel, **spec) -> dict[str, pa.Table]:
    """Return all rows of a request."""
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(**spec), lambda: None)
    found: dict[str, list[pa.RecordBatch]] = {name: [] for name in model.schema.table_names}
    for unit in range(plan.unit_count):
        for fragment in sampler.sample(plan, unit, None):
            assert fragment.first_row == sum(b.num_rows for b in found[fragment.table])
            found[fragment.table].append(fragment.batch)
    return {
        name: pa.Table.from_batches(batches, schema=model.schema.table(name).arrow)
        for name, batches in found.items()
    }


def shop() -> World:
    """Customers > orders (dated) > lines without own key columns; a tree of employees."""
    rng = np.random.default_rng(1)
    customers = 60
    orders = rng.integers(1, 6, customers)
    owner = np.repeat(np.arange(customers), orders)
    days = [date(2020, 1, 1) + timedelta(int(d)) for d in rng.integers(0, 900, len(owner))]
    lines = [(o, p) for o in range(len(owner)) for p in rng.permutation(20)[: 1 + o % 4]]
    boss = [None, 0, 0, 1, 1, 2, 2, 3]
    return world(
        {
            "customer": (
                pa.table(
                    {
                        "id": [f"C{i:03d}x" for i in range(customers)],
                        "city": rng.choice(["Oslo", "Rome", "Kyiv"], customers),
                        "phone": pa.nulls(customers, pa.string()),
                    }
                ),
                "id",
            ),
            "employee": (
                pa.table(
                    {"id": np.arange(8) + 10, "boss": [b if b is None else b + 10 for b in boss]}
                ),
                "id",
            ),
            "product": (
                pa.table({"id": np.arange(20) + 1, "price": np.round(rng.gamma(2, 9, 20), 2)}),
                "id",
            ),
            "order": (
                pa.table(
                    {
                        "id": np.arange(len(owner)) + 1000,
                        "customer": [f"C{i:03d}x" for i in owner],
                        "seller": rng.integers(10, 18, len(owner)),
                        "day": pa.array(days, pa.date32()),
                    }
                ),
                "id",
            ),
            "line": (
                pa.table(
                    {
                        "order": [1000 + o for o, _ in lines],
                        "product": [int(p) + 1 for _, p in lines],
                        "amount": rng.integers(1, 9, len(lines)),
                    }
                ),
                "order, product",
            ),
        },
        [
            "employee(boss) -> employee(id)",
            "order(customer) -> customer(id)",
            "order(seller) -> employee(id)",
            "line(order) -> order(id)",
            "line(product) -> product(id)",
        ],
    )


def league() -> World:
    """Composite keys, a composite reference that shares the year, two references to one parent."""
    rng = np.random.default_rng(2)
    clubs = [f"{a}{b}" for a in "ABCD" for b in "XYZ"]
    teams = [(y, c) for c in clubs for y in range(2000, 2010)]
    seasons = []
    for player in range(150):
        start, length = rng.integers(2000, 2008), rng.integers(1, 4)
        years = range(start, min(start + length, 2010))
        seasons += [(player, year, clubs[rng.integers(0, 12)]) for year in years]
    games = [(i, *rng.permutation(12)[:2]) for i in range(300)]
    return world(
        {
            "club": (pa.table({"code": clubs, "town": ["a", "b", "c"] * 4}), "code"),
            "team": (
                pa.table(
                    {
                        "year": [y for y, _ in teams],
                        "club": [c for _, c in teams],
                        "wins": rng.integers(0, 50, len(teams)),
                    }
                ),
                "year, club",
            ),
            "player": (
                pa.table({"id": np.arange(150), "hand": rng.choice(["left", "right"], 150)}),
                "id",
            ),
            "profile": (
                pa.table({"player": np.arange(0, 150, 2), "note": ["x", "y", "z"] * 25}),
                "player",
            ),
            "season": (
                pa.table(
                    {
                        "player": [s[0] for s in seasons],
                        "year": [s[1] for s in seasons],
                        "club": [s[2] for s in seasons],
                        "runs": rng.poisson(20, len(seasons)),
                    }
                ),
                "player, year",
            ),
            "game": (
                pa.table(
                    {
                        "id": [g[0] for g in games],
                        "home": [clubs[g[1]] for g in games],
                        "away": [clubs[g[2]] if g[0] % 5 else None for g in games],
                    }
                ),
                "id",
            ),
        },
        [
            "team(club) -> club(code)",
            "profile(player) -> player(id)",
            "season(player) -> player(id)",
            "season(year, club) -> team(year, club)",
            "season(club) -> club(code)",
            "game(home) -> club(code)",
            "game(away) -> club(code)",
        ],
    )


def corners() -> World:
    """A cycle, an empty table, a single row, tables of keys only, a grid key."""
    rng = np.random.default_rng(3)
    grid = [(a, b) for a in ["n", "s", "e", "w"] for b in range(2000, 2030)]
    return world(
        {
            "store": (pa.table({"id": np.arange(30), "head": rng.permutation(30)}), "id"),
            "staff": (
                pa.table({"id": np.arange(30), "store": rng.integers(0, 30, 30)}),
                "id",
            ),
            "nothing": (
                pa.table({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())}),
                "id",
            ),
            "single": (pa.table({"id": [7], "value": [1.5]}), "id"),
            "only_key": (pa.table({"id": [f"K-{i:04d}" for i in range(40)]}), "id"),
            "pair": (
                pa.table(
                    {
                        "left": [f"K-{i % 40:04d}" for i in range(120)],
                        "right": [i // 40 * 7 % 30 for i in range(120)],
                    }
                ),
                "left, right",
            ),
            "census": (
                pa.table(
                    {
                        "region": [a for a, _ in grid],
                        "year": [b for _, b in grid],
                        "people": rng.poisson(500, len(grid)),
                    }
                ),
                "region, year",
            ),
        },
        [
            "store(head) -> staff(id)",
            "staff(store) -> store(id)",
            "pair(left) -> only_key(id)",
            "pair(right) -> store(id)",
        ],
    )


_WORLDS: dict[str, Callable[[], World]] = {"shop": shop, "league": league, "corners": corners}


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    return {name: make() for name, make in _WORLDS.items()}


@pytest.fixture(scope="session")
def models(worlds) -> dict[str, FittedModel]:
    return {name: learn(made) for name, made in worlds.items()}


@pytest.fixture(scope="session")
def small_units(models) -> FittedModel:
    """The shop with units of a few rows, so that small requests have many units."""
    model = replace(models["shop"])
    model.__dict__["blocks"] = dict.fromkeys(model.family.roots, 7)
    return model


@pytest.fixture(scope="session")
def single() -> FittedModel:
    rng = np.random.default_rng(4)
    data = pa.table(
        {"id": np.arange(3000), "x": rng.normal(size=3000), "c": rng.choice(["a", "b"], 3000)}
    )
    return learn(world({"row": (data, "id")}, []))


@pytest.fixture(scope="session")
def make():
    """Return the helpers: make.world, make.learn, make.generate."""

    class Make:
        world = staticmethod(world)
        learn = staticmethod(learn)
        generate = staticmethod(generate)

    return Make
