"""The tables that single_table.py learns: folders of Parquet and meta.json, or some of our own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUICK = ("orders", "breast_cancer")
TRAIN_SHARE = 0.8
_ORDER_COLUMNS = (
    *("order_id", "country", "currency", "priority", "ordered_on", "quantity"),
    *("goods", "freight", "total", "code", "late"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One table and what is known of it.

    `identifiers` are columns that name a row and say nothing else (a primary key of one
    column). `relations` are exact relations in the form of scoring/relations.py.
    """

    name: str
    rows: pa.Table
    identifiers: tuple[str, ...] = ()
    target: str = ""
    task: str = ""
    relations: tuple[dict[str, Any], ...] = field(default=())

    def split(self, seed: int) -> tuple[pa.Table, pa.Table]:
        """Return training rows and held-out rows, 80 to 20."""
        order = np.random.default_rng(seed).permutation(self.rows.num_rows)
        cut = int(TRAIN_SHARE * len(order))
        return self.rows.take(order[:cut]), self.rows.take(order[cut:])


class UnknownTableError(Exception):
    """There is no such data set, or it is not one table."""


def single_tables(data: Path) -> list[str]:
    """Return the names of all data sets of one table in a folder."""
    return [
        path.parent.name
        for path in sorted(data.glob("*/meta.json"))
        if len(json.loads(path.read_text()).get("tables", ())) == 1
    ]


def stored(data: Path, name: str) -> Case:
    """Read a data set: a folder of one Parquet file and meta.json."""
    path = data / name / "meta.json"
    if not path.exists():
        raise UnknownTableError(f"{path.parent} has no meta.json")
    meta = json.loads(path.read_text())
    if len(meta["tables"]) != 1:
        raise UnknownTableError(f"{name} has {len(meta['tables'])} tables; one is needed")
    (facts,) = meta["tables"].values()
    key = facts.get("primary_key") or ()
    names = (key,) if isinstance(key, str) else tuple(key)
    return Case(
        name,
        pq.read_table(path.parent / facts["file"]).replace_schema_metadata(None),
        names if len(names) == 1 else (),  # a key of several columns is data, not a mere number
        meta.get("target") or "",
        meta.get("task") or "",
        tuple(meta.get("relations", ())),
    )


def quick(name: str) -> Case:
    """Return one of the tables that need no download."""
    if name == "orders":
        return orders()
    from sklearn import datasets

    sets = {
        "breast_cancer": (datasets.load_breast_cancer, "classification"),
        "diabetes": (datasets.load_diabetes, "regression"),
        "wine": (datasets.load_wine, "classification"),
        "digits": (datasets.load_digits, "classification"),
    }
    if name not in sets:
        raise UnknownTableError(f"{name}: without --data there are orders, {', '.join(sets)}")
    load, task = sets[name]
    bunch = load()
    names = [str(column).replace(" ", "_") for column in bunch.feature_names]
    columns = dict(zip(names, bunch.data.T, strict=True)) | {"target": bunch.target}
    return Case(name, pa.table(columns), (), "target", task)


def orders(rows: int = 4_000) -> Case:
    """Return invented orders: keys, codes, sums, dates, gaps and a target that depends on them."""
    names = [
        "order_id",
        "country",
        "currency",
        "priority",
        "ordered_on",
        "quantity",
        "goods",
        "freight",
        "total",
    ]
    columns = list(zip(*_order_rows(rows), strict=True))
    table = pa.table(dict(zip([*names, "code", "late"], map(list, columns), strict=True)))
    return Case(
        "orders",
        table,
        ("order_id",),
        "late",
        "classification",
        (
            {"kind": "sum", "total": "total", "parts": ["goods", "freight"]},
            {"kind": "determines", "from": "country", "to": "currency"},
        ),
    )


def _order_rows(rows: int) -> Iterator[tuple[Any, ...]]:
    rng = random.Random(7)  # noqa: S311 - the same orders on every machine
    money = {"DE": "EUR", "FR": "EUR", "PL": "PLN", "SE": "SEK", "CH": "CHF"}
    for number in range(1, rows + 1):
        country = rng.choices(tuple(money), (8, 5, 3, 2, 1))[0]
        quantity = 1 + int(rng.expovariate(0.35))
        priority = rng.choices(("low", "normal", "high"), (2, 6, 1 + quantity // 3))[0]
        ordered = date(2023, 1, 2) + timedelta(days=int(700 * rng.betavariate(2, 1.3)))
        goods = round(quantity * rng.lognormvariate(3, 0.6), 2)
        freight = 0.0 if goods > 150 else round(4.9 + 0.05 * goods, 2)
        wait = rng.gauss(3 + 2 * (country in {"SE", "CH"}) - 2 * (priority == "high"), 2)
        code = f"{country}-{ordered.year}-{rng.randrange(10**6):06d}"
        shown = None if rng.random() < 0.08 else freight
        total = None if shown is None else round(goods + freight, 2)
        yield (
            *(number, country, money[country], priority, ordered, quantity, goods, shown, total),
            *(code, wait > 4),
        )
