"""A table of ten million rows: can it be trained in bounded memory, and how long does it take?

Makes a table of mixed columns as Parquet, piece by piece, then trains on it in a process
of its own as the server does, and samples from the model. Prints the process's peak
resident memory, seconds by stage and rows made a second; with --json the same as JSON.

    python benchmarks/large_training.py --rows 10000000
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

_GROUP_ROWS = 1 << 17
_SAMPLED_ROWS = 200_000
_DAY = 86_400_000_000
_CITIES = 400


def piece(first: int, rows: int) -> pa.Table:
    """Return rows `first` to `first + rows` of the table: 20 columns, each of its own kind."""
    rng = np.random.default_rng(first)
    age = np.clip(rng.normal(45, 17, rows), 18, 95).astype(np.int64)
    group = np.digitize(age, [30, 50, 70])
    net = np.round(rng.lognormal(3 + 0.3 * group, 1), 2)
    cents = np.rint(net * 100).astype(np.int64)
    tax = np.rint(cents * rng.choice([0.07, 0.19], rows)).astype(np.int64)
    city = np.minimum(rng.zipf(1.4, rows), _CITIES) - 1
    placed = np.datetime64("2021-01-01", "us").astype(np.int64) + (
        rng.integers(0, 1200, rows) * _DAY + rng.normal(14, 3, rows).clip(0, 23.9) * 3.6e9
    ).astype(np.int64)
    clicks = np.where(rng.random(rows) < 0.6, 0, rng.geometric(0.05, rows))
    score = rng.normal(0, 1, rows) + 0.5 * group
    digits = rng.integers(0, 10**9, rows)
    return pa.table(
        {
            "id": np.arange(first, first + rows),
            "code": pa.array(
                [f"INV-{year}-{n:09d}" for year, n in zip(2021 + digits % 4, digits, strict=True)]
            ),
            "age": age,
            "age_group": pa.array(np.array(["young", "middle", "older", "old"])[group]),
            "city": pa.array(np.char.add("city ", city.astype(str))),
            "region": pa.array(np.char.add("region ", (city % 12).astype(str))),
            "net": cents / 100,
            "tax": tax / 100,
            "gross": (cents + tax) / 100,
            "placed": pa.array(placed, pa.timestamp("us")),
            "month": placed.astype("datetime64[us]").astype("datetime64[M]").astype(int) % 12 + 1,
            "born": pa.array((placed // _DAY - age * 365).astype(np.int32), pa.int32()).cast(
                pa.date32()
            ),
            "clicks": clicks,
            "bought": rng.random(rows) < 1 / (1 + np.exp(2 - clicks / 10)),
            "score": pa.array(score, mask=rng.random(rows) < 0.1 * group),
            "noise": rng.random(rows),
            "x": np.round(rng.normal(10, 2, rows) + 0.2 * score, 3),
            "y": np.round(rng.gamma(2, 30, rows), 1),
            "kind": pa.array(np.array(list("ABCDEFG"))[rng.integers(0, 7, rows)]),
            "empty": pa.nulls(rows, pa.float64()),
        }
    )


def write(path: Path, rows: int) -> None:
    """Write the table of `rows` rows, one piece in memory at a time."""
    with pq.ParquetWriter(path, piece(0, 1).schema, compression="zstd") as writer:
        for first in range(0, rows, _GROUP_ROWS):
            writer.write_table(piece(first, min(_GROUP_ROWS, rows - first)))


def train(folder: Path, out: Path, limit: float | None, figures: Any) -> None:
    """Do what a server's training process does; runs in a process of its own."""
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

    head = folder.with_name("head")
    head.mkdir()
    pq.write_table(piece(0, 20_000), head / "sales.parquet")
    few = open_tables(head)
    schema = infer(few, {name: table.stored_schema for name, table in few.items()}, None)
    base = peak_memory_bytes()
    settings = FitSettings(time_limit_seconds=limit)
    model = fit(schema, open_tables(folder, schema), settings, report)
    peak = peak_memory_bytes()
    model.save(out)
    whole = time.perf_counter() - began
    sampler = Sampler(load(out))
    plan = sampler.plan(SampleSpec(rows={"sales": _SAMPLED_ROWS}), lambda: None)
    sampler.sample(plan, 0, None)
    again, made = time.process_time(), 0
    for unit in plan.units_of("sales"):
        made += sum(part.batch.num_rows for part in sampler.sample(plan, unit, None))
    card = model.cards[0]
    figures.send(
        {
            "rows": card.train_rows + card.holdout_rows,
            "columns": card.columns,
            "seconds": whole,
            "stages": {k: v for k, v in seconds.items() if v >= 0.05},
            "peak_megabytes": peak / MEGABYTE,
            "megabytes_before": base / MEGABYTE,
            "validation_loss": card.validation_loss,
            "sampled_rows_a_second": made / (time.process_time() - again),
            "relations": [", ".join(r.makes) for r in model.tables["sales"].relations],
        }
    )


def measure(rows: int, limit: float | None) -> dict[str, Any]:
    """Return the figures for a table of `rows` rows."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        folder, out = Path(directory) / "data", Path(directory) / "model"
        folder.mkdir()
        out.mkdir()
        write(folder / "sales.parquet", rows)
        near, far = spawn.Pipe()
        process = spawn.Process(target=train, args=(folder, out, limit, far))
        process.start()
        far.close()
        try:
            figures: dict[str, Any] = near.recv()
        finally:
            process.join()
        figures["parquet_megabytes"] = (folder / "sales.parquet").stat().st_size / MEGABYTE
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--time-limit", type=float, default=None, help="seconds of training")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    found = [measure(rows, chosen.time_limit) for rows in chosen.rows]
    print_table(
        ["rows", "Parquet MB", "seconds", "peak MB", "loss", "sampled rows/s", "seconds by stage"],
        [
            [
                f"{each['rows']:,}",
                round(each["parquet_megabytes"]),
                round(each["seconds"]),
                round(each["peak_megabytes"]),
                round(each["validation_loss"], 3),
                f"{each['sampled_rows_a_second']:,.0f}",
                ", ".join(f"{k} {v:.1f}" for k, v in each["stages"].items()),
            ]
            for each in found
        ],
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
