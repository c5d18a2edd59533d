"""Is an export bound by the slower of engine and database, or by both one after the other?

    python benchmarks/export_overlap.py                       # 3 million rows into PostgreSQL
    python benchmarks/export_overlap.py --rows 1000000 --workers 2 --json out.json

A model of one invented table of seven mixed columns makes the same rows three times, in turns:
generated alone (streamed from the server as Arrow and thrown away), loaded alone (the same
rows from files, by the loader in a process of its own, keys and references and commit
included), and exported (a job of the server does both). `over the slower` is the export's
time over the larger of the other two: 1 is the best there can be with enough cores. CPU
seconds are those of server, loader and database; where cores are few, the export cannot be
faster than the sum of both works' CPU seconds over the cores, which is told as `bound`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from _bench import print_table, run
from generate_memory import write_small_table

from support.servers import TestDatabase, address_of, postgresql_server
from syntheflow import Client
from syntheflow.local import LocalServer
from syntheflow_server.connect.access import Address
from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.engine import load as load_model
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import open_loader

MODEL = "orders"
"""Dataset, model and table."""


def main() -> None:
    """Measure the three works in turns and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the table")
    parser.add_argument("--workers", type=int, default=1, help="sampling processes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--train-seconds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        postgresql_server() as database,
        database.new_database() as home,
    ):
        found = measure(Path(folder), home, asked)
    heads = ("work", "rows", "seconds", "CPU seconds", "rows a second")
    print_table(heads, [[line[head] for head in heads] for line in found["works"]])
    print(json.dumps({name: value for name, value in found.items() if name != "works"}))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def measure(folder: Path, home: TestDatabase, asked: argparse.Namespace) -> dict[str, Any]:
    """Learn the shop, do the three works in turns, return their figures."""
    known = {"made": {"url": home.url, "password": home.server.password}}
    server = LocalServer(
        folder / "data",
        workers=asked.workers,
        environment={"SYNTHEFLOW_CONNECTIONS": json.dumps(known)},
    )
    with server, Client(server.address) as client:
        run(server.address, "upload", MODEL, write_small_table(folder / "orders.csv"))
        run(server.address, "train", MODEL, "--time-limit", f"{asked.train_seconds}s")
        schema = load_model(folder / "data" / "blobs" / "models" / MODEL).schema
        rows = {MODEL: asked.rows}
        client.generate_files(MODEL, folder / "rows", "arrow", rows=rows)
        works: dict[str, Callable[[], int]] = {
            "generate": lambda: discarded(client, rows),
            "load": lambda: loaded(address_of(home), schema, folder / "rows"),
            "export": lambda: exported(client, rows),
        }
        found: list[dict[str, Any]] = []
        for _ in range(asked.rounds):
            for name, work in works.items():
                found.append(timed(name, work))
                print(found[-1], flush=True)
                home.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return {"works": found, **summary(found), "workers": asked.workers, "cores": os.cpu_count()}


def summary(found: list[dict[str, Any]]) -> dict[str, float]:
    """Return the best time of each work, and how they compare."""
    best = {
        name: min((one for one in found if one["work"] == name), key=lambda one: one["seconds"])
        for name in ("generate", "load", "export")
    }
    apart = [best[name]["seconds"] for name in ("generate", "load")]
    burnt = sum(best[name]["CPU seconds"] for name in ("generate", "load"))
    bound = max(*apart, burnt / (os.cpu_count() or 1))
    seconds = best["export"]["seconds"]
    return {
        "export": seconds,
        "slower": max(apart),
        "sum": round(sum(apart), 1),
        "bound": round(bound, 1),
        "over the slower": round(seconds / max(apart), 3),
        "over the bound": round(seconds / bound, 3),
        "over the sum": round(seconds / sum(apart), 3),
    }


def timed(name: str, work: Callable[[], int]) -> dict[str, Any]:
    """Return a work's figures."""
    burnt, began = cpu_seconds(), time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - began
    return {
        "work": name,
        "rows": rows,
        "seconds": round(seconds, 1),
        "CPU seconds": round(cpu_seconds() - burnt, 1),
        "rows a second": round(rows / seconds),
    }


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and all below it, also of those that have ended."""
    own = psutil.Process()
    return float(sum(sum(p.cpu_times()[:4]) for p in (own, *own.children(recursive=True))))


def discarded(client: Client, rows: dict[str, int]) -> int:
    """Generate and throw away; return the rows."""
    return sum(one.row_count for one in client.generate(MODEL, rows=rows))


def exported(client: Client, rows: dict[str, int]) -> int:
    """Export into new tables; return the rows."""
    return sum(client.export(MODEL, "made", rows=rows).tables.values())


def loaded(address: Address, schema: Schema, rows: Path) -> int:
    """Load in a process of its own, as the server does; return the rows."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_load, args=(address, schema, rows, theirs))
    process.start()
    theirs.close()
    count: int = mine.recv()  # EOFError if the process dies
    process.join()
    return count


def _load(address: Address, schema: Schema, rows: Path, told: Connection) -> None:
    loader = open_loader(address, Target(schema, schema.table_names), LoadMode.CREATE, load="alone")
    loader.begin()
    first = 0
    # Not mapped: the rows are to come from the disk as they would from a pipe.
    with pa.OSFile(str(rows / f"{MODEL}.arrow")) as source, pa.ipc.open_stream(source) as batches:
        for batch in batches:
            loader.write(MODEL, first, batch)
            first += batch.num_rows
    told.send(sum(loader.finish().rows.values()))


if __name__ == "__main__":
    main()
