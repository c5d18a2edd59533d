"""Uploading a large CSV file, beside DuckDB's own reading of it.

    python benchmarks/large_upload.py                       # 2 GB
    python benchmarks/large_upload.py --megabytes 500 --folder /data --json out.json

A file of ten mixed columns is made once in the folder (numbers, days, moments, texts with
commas and quotes). DuckDB reads it twice, with as many threads and as much memory as the
server lets it have: into a table of a new database file, and into a Parquet file as small as
the server's. Then it is uploaded to a server on this machine: sent over gRPC, checked by its
SHA-256, read, its schema inferred and checked. Told are seconds, CPU seconds and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pc
from _bench import MEGABYTE, MemoryWatch, print_table

from syntheflow import Client
from syntheflow.local import LocalServer

ROWS = 250_000
CITIES = np.array(["Berlin", "New York", "São Paulo", "Łódź, PL", "Tokyo", 'La "Paz"'])
WORDS = np.array("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split())  # noqa: SIM905 - it reads better
STATES = np.array(["open", "closed", "pending", None], dtype=object)
READS = {
    "DuckDB into a table": "CREATE TABLE t AS FROM read_csv('{file}')",
    "DuckDB into Parquet": "COPY (FROM read_csv('{file}')) TO '{folder}/out.parquet' "
    "(FORMAT parquet, COMPRESSION zstd)",
}
CHILD = """
import duckdb, os, sys
limits = {"threads": min(4, os.cpu_count()), "memory_limit": "1GiB"}
with duckdb.connect(sys.argv[1], config=limits) as con:
    con.execute("SET enable_progress_bar = false")
    con.execute(sys.argv[2])
"""


@dataclass
class Figure:
    """One way of reading: wall and CPU seconds (all processes), and peak memory of the largest."""

    way: str
    seconds: float
    cpu_seconds: float
    megabytes: float


def main() -> None:
    """Make the file, read it in all ways, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, help="where the file and all else is kept")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        file = folder / "big.csv"
        rows = write_file(file, asked.megabytes * 1_000_000)
        print(f"{file.stat().st_size / 1e9:.2f} GB, {rows:,} rows of 10 columns")
        figures = [read_by_duckdb(way, file, folder) for way in READS]
        figures.append(uploaded(file, folder, rows))
    print_table(
        ["WAY", "SECONDS", "CPU SECONDS", "MB", "OF THE UPLOAD'S TIME"],
        [
            [f.way, f"{f.seconds:.1f}", f"{f.cpu_seconds:.1f}", f"{f.megabytes:.0f}",
             f"{f.seconds / figures[-1].seconds:.2f}"]
            for f in figures
        ],
    )  # fmt: skip
    facts = {"rows": rows, "figures": [asdict(figure) for figure in figures]}
    print(json.dumps(facts))
    if asked.json:
        asked.json.write_text(json.dumps(facts, indent=1))


def write_file(path: Path, size: int) -> int:
    """Write the file in blocks until it is so large; return its rows."""
    rng = np.random.default_rng(0)
    rows = 0
    with path.open("wb") as file:
        while file.tell() < size:
            sink = pa.BufferOutputStream()
            pc.write_csv(block(rng, rows), sink, pc.WriteOptions(include_header=rows == 0))
            file.write(sink.getvalue())
            rows += ROWS
    return rows


def block(rng: np.random.Generator, start: int) -> pa.Table:
    """Return rows of mixed types."""
    days = rng.integers(10_000, 20_000, ROWS).astype("int32")
    moments = rng.integers(1_500_000_000, 1_700_000_000, ROWS)
    return pa.table(
        {
            "id": np.arange(start, start + ROWS),
            "customer": rng.integers(1, 5_000_000, ROWS),
            "price": np.round(rng.lognormal(3, 1, ROWS), 2),
            "weight": rng.normal(70, 12, ROWS),
            "day": pa.array(days).cast(pa.date32()),
            "moment": pa.array(moments).cast(pa.timestamp("s")),
            "city": CITIES[rng.integers(0, len(CITIES), ROWS)],
            "status": pa.array(STATES[rng.integers(0, len(STATES), ROWS)]),
            "flag": rng.random(ROWS) < 0.3,
            "note": [" ".join(WORDS[row]) for row in rng.integers(0, len(WORDS), (ROWS, 6))],
        }
    )


def read_by_duckdb(way: str, file: Path, folder: Path) -> Figure:
    """Read the file in a process of its own."""
    statement = READS[way].format(file=file, folder=folder)
    home = folder / "own.duckdb"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(home), statement])
    with MemoryWatch(child.pid, every_seconds=0.05) as watch:
        if child.wait():
            sys.exit(f"{way} failed")
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    home.unlink(missing_ok=True)
    return Figure(way, seconds, cpu, watch.peak_server / MEGABYTE)


def uploaded(file: Path, folder: Path, rows: int) -> Figure:
    """Upload the file to a server of its own, whose sampling worker is idle meanwhile."""
    with LocalServer(folder / "data", workers=1) as server, Client(server.address) as client:
        process = psutil.Process(server.pid)
        before = cpu_of(process)
        began = time.perf_counter()
        with MemoryWatch(server.pid) as watch:
            dataset = client.upload("big", file)
        seconds = time.perf_counter() - began
        assert dataset.tables[0].rows == rows
        # Processes that have ended count with the one that waited for them.
        cpu = cpu_of(process) - before
    largest = max(watch.peak_server, watch.peak_child)
    return Figure("upload", seconds, cpu, largest / MEGABYTE)


def cpu_of(server: psutil.Process) -> float:
    """Return the CPU seconds of server, its ended children, and this process, the client."""
    spent = server.cpu_times()
    return (
        spent.user
        + spent.system
        + spent.children_user
        + spent.children_system
        + sum(os.times()[:2])
    )


if __name__ == "__main__":
    main()
