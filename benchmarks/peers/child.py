"""What every system's process does: learn, draw the rows to be judged, draw many for speed.

Runs in the peers' environments too: it needs the standard library and pyarrow, no more.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

KILOBYTE = 1024 / 1e6  # of the kernel's kB, in megabytes


@dataclass(frozen=True, slots=True)
class Job:
    """What to learn and how many rows to make.

    `rows` are judged; `speed_rows` are drawn a second time for the speed alone. `primary_key`
    is the single column that names a row, '' if there is none.
    """

    system: str
    train: str
    out: str
    seed: int
    rows: int
    speed_rows: int
    primary_key: str
    core: int


Draw = Callable[[int], Any]
"""Makes so many rows, in the form that the system gives (an Arrow table or a data frame)."""


def main(prepare: Callable[[Job], Any], learn: Callable[[Job, Any], Draw]) -> None:
    """Run the job that the command line names; write rows.parquet and figures.json.

    `prepare` reads the training rows and is not measured, `learn` is.
    """
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    os.sched_setaffinity(0, {job.core})
    ready = prepare(job)
    figures: dict[str, Any] = {"import_peak_mb": peak_megabytes()}
    watch = Stopwatch()
    draw = learn(job, ready)
    figures |= {
        "train_cpu_s": watch.cpu(),
        "train_wall_s": watch.wall(),
        "train_peak_mb": peak_megabytes(),
    }
    watch = Stopwatch()
    made = draw(job.rows)
    figures["first_sample_cpu_s"] = watch.cpu()
    out = Path(job.out)
    write(made, out / "rows.parquet")
    del made
    figures["peak_mb"] = peak_megabytes()
    save(figures, out)  # so that a time limit in what follows loses nothing
    watch = Stopwatch()
    made = draw(job.speed_rows)
    count = made.num_rows if isinstance(made, pa.Table) else len(made)
    figures |= {
        "sampled_rows": count,
        "sample_cpu_s": watch.cpu(),
        "sample_wall_s": watch.wall(),
        "rows_per_s": count / max(watch.cpu(), 1e-6),
        "peak_mb": peak_megabytes(),
    }
    save(figures, out)


class Stopwatch:
    """CPU and wall seconds since it was made, ended child processes included."""

    def __init__(self) -> None:
        self._cpu, self._wall = self._cpu_now(), time.perf_counter()

    def cpu(self) -> float:
        return self._cpu_now() - self._cpu

    def wall(self) -> float:
        return time.perf_counter() - self._wall

    @staticmethod
    def _cpu_now() -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + ended.ru_utime + ended.ru_stime


def peak_megabytes() -> float:
    """Return the largest resident memory so far of this process or of an ended child.

    The kernel's VmHWM and not ru_maxrss: that one starts at the size of whoever started us.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * KILOBYTE


def write(made: Any, path: Path) -> None:
    """Write the rows as Parquet."""
    table = made if isinstance(made, pa.Table) else pa.Table.from_pandas(made, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path)


def save(figures: dict[str, Any], out: Path) -> None:
    """Write the figures; the file is whole at any moment."""
    part = out / "figures.part"
    part.write_text(json.dumps(figures))
    part.replace(out / "figures.json")


def frame(job: Job) -> Any:
    """Return the training rows as a pandas data frame; see `frame_of`."""
    return frame_of(Path(job.train))


def frame_of(path: Path) -> Any:
    """Return a Parquet file as a pandas data frame of types that the peers know.

    Dates become moments, decimals floats, times of day text; integers with gaps become floats.
    """
    table = pq.read_table(path)
    for at, field in enumerate(table.schema):
        if pa.types.is_date(field.type):
            column = table.column(at).cast(pa.timestamp("us"))
        elif pa.types.is_decimal(field.type):
            column = table.column(at).cast(pa.float64())
        elif pa.types.is_time(field.type):
            column = table.column(at).cast(pa.string())
        else:
            continue
        table = table.set_column(at, field.name, column)
    return table.to_pandas()
