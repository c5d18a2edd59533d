"""What every system's process does with related tables: learn one half, draw as much again.

Runs in the peers' environments too: it needs the standard library and pyarrow, no more.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pyarrow.parquet as pq
from scoring.keys import Keys, keys_of

from peers.child import save

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Job:
    """What to learn: a folder of one Parquet file a table, its keys, the entities' table."""

    system: str
    train: str
    out: str
    seed: int
    root: str
    meta: dict[str, Any]
    core: int

    @property
    def keys(self) -> Keys:
        return keys_of(self.meta)

    def path(self, table: str) -> Path:
        return Path(self.train) / f"{table}.parquet"


Draw = Callable[[Path], None]
"""Writes one Parquet file a table into a folder, each table as large as the learned one."""


def main(learn: Callable[[Job], tuple[Draw, list[str]]]) -> None:
    """Run the job that the command line names; write rows/TABLE.parquet and figures.json.

    `learn` gives the draw and what it had to leave out, in words. Everything is measured over
    this process and all that it starts.
    """
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    os.sched_setaffinity(0, {job.core})
    out, rows = Path(job.out), Path(job.out) / "rows"
    figures: dict[str, Any] = {}
    with TreeWatch() as watch:
        draw, left_out = learn(job)
        figures |= {"train_cpu_s": watch.cpu(), "train_wall_s": watch.wall(), "left_out": left_out}
        figures["train_peak_mb"] = watch.peak_mb
        save(figures, out)  # so that a time limit in what follows loses nothing
        watch.start()
        rows.mkdir(exist_ok=True)
        draw(rows)
        made = sum(pq.read_metadata(path).num_rows for path in rows.glob("*.parquet"))
        figures |= {
            "sample_cpu_s": watch.cpu(),
            "sample_wall_s": watch.wall(),
            "rows": made,
            "rows_per_s": made / max(watch.cpu(), 1e-9),
            "peak_mb": watch.peak_mb,
        }
    save(figures, out)


class TreeWatch:
    """CPU seconds and largest resident memory (MB) of this process and all below it.

    Memory is the sum over processes, looked at five times a second: pages that several share
    count for each.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.start()

    def start(self) -> None:
        """Count CPU and wall seconds from now."""
        self._cpu, self._wall = tree()[0], time.perf_counter()

    def cpu(self) -> float:
        return tree()[0] - self._cpu

    def wall(self) -> float:
        return time.perf_counter() - self._wall

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.peak_mb = max(self.peak_mb, tree()[1])


def tree() -> tuple[float, float]:
    """Return CPU seconds (ended children included) and resident MB of this process tree now."""
    facts: dict[int, tuple[int, float, float]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                words = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            ticks = sum(int(word) for word in words[11:15])
            facts[int(path.name)] = (int(words[1]), ticks / _TICK, int(words[21]) * _PAGE)
    ours = {os.getpid()}
    while found := {pid for pid, (parent, *_) in facts.items() if parent in ours} - ours:
        ours |= found
    known = [facts[pid] for pid in ours if pid in facts]
    return sum(cpu for _, cpu, _ in known), sum(size for *_, size in known)
