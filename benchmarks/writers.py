"""Speed of every format's writer beside pandas', pyarrow's, XlsxWriter's and others' own.

All write the same rows (eight columns: keys, categories, numbers with gaps, dates, moments,
truth, free text) to a file, each in a process of its own, one after another, round by round;
the best round counts. What a peer needs first (a DataFrame, Python values) is made before
its clock starts; ours starts from Arrow batches as the engine makes them. All write a few
rows before it starts, so that no import is counted. `cpu` are seconds of the process,
`times` how many times as long the peer takes (CPU) as we do.

pandas, openpyxl and XlsxWriter are not needed by the project; what is not installed is named
and left out:

    python benchmarks/writers.py [--rows 500000] [--slow-rows 50000] [--rounds 3] [--formats csv]
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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from _bench import MEGABYTE, print_table
from _writers import OURS, SLOW, WRITERS, ours

MISSING = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--slow-rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=list(WRITERS), default=list(WRITERS))
    parser.add_argument("--one", nargs=3, metavar=("FORMAT", "WRITER", "ROWS"))
    asked = parser.parse_args()
    if asked.one:
        write_one(*asked.one)
        return
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for form in asked.formats:
            rows = asked.slow_rows if form in SLOW else asked.rows
            source = Path(folder) / f"{rows}.arrow"
            if not source.exists():
                save(table(rows), source)
            figures += compare(form, rows, source, asked.rounds)
    columns = (
        "format",
        "writer",
        "rows",
        "seconds",
        "cpu",
        "rows_a_second",
        "peak_mb",
        "mb",
        "times",
    )
    print_table(columns, [[line.get(name, "") for name in columns] for line in figures])
    print(json.dumps(figures))


def compare(form: str, rows: int, source: Path, rounds: int) -> list[dict[str, Any]]:
    """Return the figures of all writers of a format, ours first."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for writer in (OURS, *WRITERS[form]):
            if (found := run_one(form, writer, source)) is None:
                best[writer] = {"note": f"{writer} is not installed"}
            elif writer not in best or found["cpu"] < best[writer]["cpu"]:
                best[writer] = found
    figures = []
    for writer, found in best.items():
        line: dict[str, Any] = {"format": form, "writer": writer, "rows": rows, **found}
        if "cpu" in found:
            line["rows_a_second"] = round(rows / max(found["cpu"], 1e-3))
            line["times"] = round(found["cpu"] / max(best[OURS]["cpu"], 1e-3), 2)
        else:
            line["seconds"] = "not installed"
        figures.append(line)
    return figures


def run_one(form: str, writer: str, source: Path) -> dict[str, Any] | None:
    """Let one writer write in a process of its own; None if it is not installed."""
    command = [sys.executable, __file__, "--one", form, writer, str(source)]
    threads = {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **threads}
    )
    if ended.returncode == MISSING:
        return None
    if ended.returncode:
        raise SystemExit(f"{form} by {writer} failed:\n{ended.stderr}")
    return dict(json.loads(ended.stdout))


def write_one(form: str, writer: str, source: str) -> None:
    """Write the rows once; print seconds, CPU seconds, peak memory and the files' size."""
    with pa.memory_map(source) as file, tempfile.TemporaryDirectory() as folder:
        rows = pa.ipc.open_file(file).read_all()
        out, warm = Path(folder) / "out", Path(folder) / "warm"
        out.mkdir()
        warm.mkdir()
        prepare = ours(form) if writer == OURS else WRITERS[form][writer]
        try:
            prepare(rows.slice(0, 1000), warm)()
        except ModuleNotFoundError:
            sys.exit(MISSING)
        work = prepare(rows, out)
        began, cpu = time.perf_counter(), time.process_time()
        work()
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
        size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"seconds": round(seconds, 3), "cpu": round(cpu, 3)}
    sizes = {"peak_mb": round(peak / MEGABYTE), "mb": round(size / MEGABYTE, 1)}
    print(json.dumps({**figures, **sizes}))


def table(rows: int) -> pa.Table:
    """Return rows of eight mixed columns, the same each time."""
    rng = np.random.default_rng(1)
    seconds = rng.integers(1_600_000_000, 1_700_000_000, rows)
    notes = np.array(
        [f'note {n}, "quoted" & more' if n % 9 == 0 else f"note {n}" for n in range(999)]
    )
    return pa.table(
        {
            "order_id": np.arange(rows),
            "country": rng.choice(["Germany", "France", "Poland", "Côte d'Ivoire"], rows),
            "amount": pa.array(np.round(rng.lognormal(3, 1, rows), 2), mask=rng.random(rows) < 0.1),
            "quantity": rng.integers(1, 50, rows),
            "day": pa.array(rng.integers(18_000, 20_000, rows).astype(np.int32)).view(pa.date32()),
            "ordered_at": pa.array(seconds * 1_000_000).view(pa.timestamp("us")),
            "express": pa.array(rng.random(rows) < 0.5, mask=rng.random(rows) < 0.05),
            "note": notes[rng.integers(0, len(notes), rows)],
        }
    )


def save(rows: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=16_384)


if __name__ == "__main__":
    main()
