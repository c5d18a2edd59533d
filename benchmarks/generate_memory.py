"""Memory of a Generate of millions of rows: it must not grow with the rows.

Starts a server of its own, learns a small table, and lets the command line write
all rows to the null device. Prints the resident memory of server, workers and
client when 1, 10 and 20 million rows have passed, as a table and as JSON.

    python benchmarks/generate_memory.py [--rows 20000000] [--workers 2] [--format arrow]

With a folder of related tables (Parquet or CSV files and a meta.json that names files, keys
and references) it learns these instead, and all tables together are made `--scale` times as
large, into a folder that is thrown away; the first line is the real size, with rows a second:

    python benchmarks/generate_memory.py --related FOLDER [--scale 20]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from _bench import COMMAND, MEGABYTE, MemoryWatch, print_table, resident, run, timed

from syntheflow.local import LocalServer

MARKS = (100_000, 1_000_000, 10_000_000, 20_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--format", default="arrow", choices=["arrow", "csv", "json", "parquet"])
    parser.add_argument("--train-seconds", type=int, default=20)
    parser.add_argument("--related", type=Path, help="folder of related tables with a meta.json")
    parser.add_argument("--scale", type=float, nargs="+", default=[20.0])
    asked = parser.parse_args()
    if asked.related is not None:
        measure_related(asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        small = write_small_table(Path(folder) / "orders.csv")
        with LocalServer(Path(folder) / "data", workers=asked.workers) as server:
            run(server.address, "upload", "orders", small)
            run(server.address, "train", "orders", "--time-limit", f"{asked.train_seconds}s")
            figures = measure(server, asked.rows, asked.format)
    columns = ("rows", "seconds", "server_mb", "workers_mb", "client_mb")
    print_table(columns, [[line[name] for name in columns] for line in figures])
    print(json.dumps({"format": asked.format, "workers": asked.workers, "marks": figures}))


def measure_related(asked: argparse.Namespace) -> None:
    """Learn the tables of a folder, make them in their real size and larger; print figures."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        server = LocalServer(Path(folder) / "data", workers=asked.workers)
        with server, MemoryWatch(server.pid) as watch:
            limit = f"{asked.train_seconds}s"
            learned = learn(server.address, asked.related, Path(folder), limit)
            print(json.dumps({"train_seconds": learned, "train_mb": sizes(watch)}))
            for scale in (1.0, *asked.scale):
                watch.reset()
                out = Path(folder) / "out"
                before = rows_so_far(server, asked.format)
                words = ("--scale", scale, "--out", out, "--format", asked.format)
                with timed() as seconds:
                    run(server.address, "generate", "related", *words)
                rows = rows_so_far(server, asked.format) - before
                shutil.rmtree(out)
                speed = round(rows / seconds[0])
                taken = {"scale": scale, "rows": int(rows), "seconds": round(seconds[0], 1)}
                figures.append({**taken, "rows_a_second": speed, **sizes(watch)})
    print_table(list(figures[0]), [list(line.values()) for line in figures])
    print(json.dumps({"format": asked.format, "workers": asked.workers, "scales": figures}))


def sizes(watch: MemoryWatch) -> dict[str, int]:
    return {
        "server_mb": round(watch.peak_server / MEGABYTE),
        "workers_mb": round(watch.peak_children / MEGABYTE),
        "largest_mb": round(watch.peak_child / MEGABYTE),
    }


def learn(address: str, data: Path, folder: Path, limit: str) -> float:
    """Upload a folder's tables, declare what meta.json says of keys, train; return the seconds."""
    meta = json.loads((data / "meta.json").read_text())
    run(address, "upload", "related", *(data / facts["file"] for facts in meta["tables"].values()))
    schema = json.loads(run(address, "schema", "show", "related", "--format", "json"))
    for table in schema["tables"]:
        table["primary_key"] = names(meta["tables"][table["name"]].get("primary_key") or [])
    schema["foreign_keys"] = [
        {
            "child_table": key["child"],
            "child_columns": names(key["child_column"]),
            "parent_table": key["parent"],
            "parent_columns": names(key["parent_column"]),
        }
        for key in meta["foreign_keys"]
    ]
    (folder / "schema.json").write_text(json.dumps(schema))
    run(address, "schema", "apply", "related", folder / "schema.json")
    with timed() as seconds:
        run(address, "train", "related", "--time-limit", limit)
    return float(round(seconds[0], 1))


def names(columns: str | list[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else columns


def write_small_table(path: Path, rows: int = 5_000) -> Path:
    """Write a table of seven mixed columns."""
    rng = random.Random(1)  # noqa: S311
    lines = ["order_id,country,priority,amount,quantity,ordered_at,express"]
    for number in range(rows):
        country = rng.choices(("DE", "FR", "PL", "SE"), (5, 3, 2, 1))[0]
        quantity = 1 + int(rng.expovariate(0.4))
        amount = quantity * rng.lognormvariate(3, 0.7)
        day = f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        moment = f"{day} {rng.randint(7, 21):02d}:{rng.randint(0, 59):02d}:00"
        priority = rng.choices(("low", "normal", "high"), (2, 6, 1 + quantity // 4))[0]
        express = "" if rng.random() < 0.1 else str(priority == "high").lower()
        lines.append(f"{number},{country},{priority},{amount:.2f},{quantity},{moment},{express}")
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(server: LocalServer, rows: int, kind: str) -> list[dict[str, float]]:
    """Return resident megabytes whenever a mark is passed, and the peaks at the end."""
    command = [
        COMMAND,
        "generate",
        "orders",
        "--rows",
        f"orders={rows}",
        "--out",
        "-",
        "--format",
        kind,
    ]
    marks = [mark for mark in MARKS if mark <= rows]
    found: list[dict[str, float]] = []
    began = time.monotonic()
    with (
        MemoryWatch(server.pid) as watch,
        subprocess.Popen(
            [*command, "--server", server.address], stdout=subprocess.DEVNULL
        ) as client,
    ):
        process, client_peak = psutil.Process(client.pid), 0
        while client.poll() is None:
            client_size = resident(process)
            client_peak = max(client_peak, client_size)
            if marks and rows_so_far(server, kind) >= marks[0]:
                own, children = watch.now()
                found.append(line(marks.pop(0), began, own, sum(children), client_size))
            time.sleep(0.1)
        if client.returncode:
            raise SystemExit(f"the client ended with {client.returncode}")
        made = int(rows_so_far(server, kind))
        found.append(line(made, began, watch.peak_server, watch.peak_children, client_peak))
    found[-1]["peak"] = True
    return found


def line(rows: int, began: float, server: int, workers: int, client: int) -> dict[str, float]:
    return {
        "rows": rows,
        "seconds": round(time.monotonic() - began, 1),
        "server_mb": round(server / MEGABYTE),
        "workers_mb": round(workers / MEGABYTE),
        "client_mb": round(client / MEGABYTE),
    }


def rows_so_far(server: LocalServer, kind: str) -> float:
    with urllib.request.urlopen(f"{server.url}/metrics") as page:  # noqa: S310
        for text in page.read().decode().splitlines():
            if text.startswith(f'syntheflow_generated_rows_total{{format="{kind}"}}'):
                return float(text.split()[-1])
    raise SystemExit("the server does not count its rows")


if __name__ == "__main__":
    main()
