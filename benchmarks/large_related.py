"""Three related tables of millions of rows: can they be trained and made in bounded memory?

Makes customers, orders and items (and few products) as Parquet, then trains on them in a
process of its own as the server does, plans the whole database and makes some units of it.
Prints peak resident memory and seconds by stage; with --json the same as JSON.

    python benchmarks/large_related.py --customers 300000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _bench import MEGABYTE, print_table

_DAY = 86_400_000_000
_BLOCK = 10_000
_PRODUCTS = 2_000
_ORDERS, _ITEMS = 10, 3
_UNITS = 20


def block(first: int, customers: int, orders: int, items: int) -> dict[str, pa.Table]:
    """Return `customers` customers from number `first` on, with orders and items from theirs on."""
    rng = np.random.default_rng(first)
    kind = rng.random(customers) < 0.2
    count = rng.poisson(_ORDERS * np.where(kind, 2.0, 0.75))
    owner = np.repeat(np.arange(customers), count)
    gap = rng.exponential(30 * _DAY, len(owner))
    since = np.cumsum(gap) - np.repeat((np.cumsum(gap) - gap)[np.cumsum(count) - count], count)
    placed = np.datetime64("2021-01-01", "us").astype(np.int64) + since.astype(np.int64)
    lines = 1 + rng.poisson(_ITEMS - 1, len(owner))
    order = np.repeat(np.arange(len(owner)), lines)
    amount = rng.geometric(np.where(kind[owner], 0.2, 0.6)[order])
    product = np.minimum(rng.zipf(1.3, len(order)), _PRODUCTS) - 1
    return {
        "customer": pa.table(
            {
                "id": np.arange(first, first + customers),
                "country": pa.array(np.array(["DE", "FR", "PL"])[rng.integers(0, 3, customers)]),
                "trade": kind,
                "born": rng.integers(1940, 2005, customers),
            }
        ),
        "order": pa.table(
            {
                "id": np.arange(orders, orders + len(owner)),
                "customer": owner + first,
                "placed": pa.array(placed, pa.timestamp("us")),
                "channel": pa.array(np.array(["web", "shop"])[(rng.random(len(owner)) < 0.3) * 1]),
            }
        ),
        "item": pa.table(
            {
                "id": np.arange(items, items + len(order)),
                "order": order + orders,
                "product": product,
                "amount": amount,
                "price": np.round(amount * (1 + product % 50) * rng.uniform(0.8, 1, len(order)), 2),
            }
        ),
    }


def write(folder: Path, customers: int) -> dict[str, int]:
    """Write the tables, one block in memory at a time; return how many rows they have."""
    rows: defaultdict[str, int] = defaultdict(int)
    writers: dict[str, pq.ParquetWriter] = {}
    for first in range(0, customers, _BLOCK):
        made = block(first, min(_BLOCK, customers - first), rows["order"], rows["item"])
        for name, table in made.items():
            if name not in writers:
                writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", table.schema)
            writers[name].write_table(table)
            rows[name] += len(table)
    for writer in writers.values():
        writer.close()
    products = pa.table({"id": np.arange(_PRODUCTS), "weight": np.arange(_PRODUCTS) % 97})
    pq.write_table(products, folder / "product.parquet")
    return dict(rows)


def train(folder: Path, out: Path, limit: float | None, figures: Any) -> None:
    """Do what a server's training process does; runs in a process of its own."""
    from syntheflow_server.domain.schema import ForeignKey
    from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit, load
    from syntheflow_server.jobs.process import peak_memory_bytes
    from syntheflow_server.schema import infer
    from syntheflow_server.store.tables import open_tables

    began = time.perf_counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    last = ["starting", began]

    def report(progress: Any) -> None:
        now = time.perf_counter()
        seconds[str(last[0])] += now - float(last[1])
        last[:] = [progress.stage, now]

    tables = open_tables(folder)
    schema = infer(tables, {name: table.stored_schema for name, table in tables.items()}, None)
    keys = tuple(
        ForeignKey(
            child_table=child, child_columns=(parent,), parent_table=parent, parent_columns=("id",)
        )
        for child, parent in (("order", "customer"), ("item", "order"), ("item", "product"))
    )
    named = tuple(table.model_copy(update={"primary_key": ("id",)}) for table in schema.tables)
    schema = schema.model_copy(update={"tables": named, "foreign_keys": keys})
    base = peak_memory_bytes()
    settings = FitSettings(time_limit_seconds=limit)
    model = fit(schema, open_tables(folder, schema), settings, report)
    peak, trained = peak_memory_bytes(), time.perf_counter() - began
    model.save(out)
    sampler = Sampler(load(out))
    began = time.process_time()
    plan = sampler.plan(SampleSpec(), lambda: None)
    planned, made = time.process_time() - began, 0
    units = plan.units_of("item")
    began = time.process_time()
    for unit in units[:: max(1, len(units) // _UNITS)]:
        made += sum(part.batch.num_rows for part in sampler.sample(plan, unit, None))
    figures.send(
        {
            "rows": dict(plan.table_rows),
            "seconds": trained,
            "stages": {k: v for k, v in seconds.items() if v >= 0.5},
            "peak_megabytes": peak / MEGABYTE,
            "megabytes_before": base / MEGABYTE,
            "plan_seconds": planned,
            "peak_with_plan_megabytes": peak_memory_bytes() / MEGABYTE,
            "sampled_rows_a_second": made / (time.process_time() - began),
        }
    )


def measure(customers: int, limit: float | None) -> dict[str, Any]:
    """Return the figures for so many customers."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        folder, out = Path(directory) / "data", Path(directory) / "model"
        folder.mkdir()
        out.mkdir()
        real = write(folder, customers)
        near, far = spawn.Pipe()
        process = spawn.Process(target=train, args=(folder, out, limit, far))
        process.start()
        far.close()
        try:
            figures: dict[str, Any] = near.recv()
        finally:
            process.join()
    return figures | {"real_rows": real}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[30_000, 300_000])
    parser.add_argument("--time-limit", type=float, default=None, help="seconds of training")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    found = [measure(customers, chosen.time_limit) for customers in chosen.customers]
    print_table(
        ["real rows", "rows made", "seconds", "peak MB", "plan s", "with plan MB", "rows/s"],
        [
            [
                f"{sum(each['real_rows'].values()):,}",
                f"{sum(each['rows'].values()):,}",
                round(each["seconds"]),
                round(each["peak_megabytes"]),
                round(each["plan_seconds"], 1),
                round(each["peak_with_plan_megabytes"]),
                f"{each['sampled_rows_a_second']:,.0f}",
            ]
            for each in found
        ],
    )
    print(json.dumps(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
