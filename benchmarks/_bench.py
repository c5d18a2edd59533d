"""What the benchmarks share: the command line, a watch on memory, and printing figures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

COMMAND = str(Path(sys.executable).with_name("syntheflow"))
MEGABYTE = 1e6


class CommandError(Exception):
    """The command line ended with an error; the text is what it said."""


def run(address: str, *words: object) -> str:
    """Return what `syntheflow WORDS --server address` prints; CommandError if it fails."""
    command = [COMMAND, *map(str, words), "--server", address]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CommandError(ended.stderr.strip() or ended.stdout.strip())
    return ended.stdout


def run_json(address: str, *words: object) -> Any:
    """Return the value that the command prints with --output json."""
    return json.loads(run(address, *words, "--output", "json"))


class MemoryWatch:
    """Watches resident memory (bytes) of a server and of all its child processes.

    `peak_server` is the largest seen of the server itself, `peak_children` of all its
    children together, `peak_child` of one of them.
    """

    def __init__(self, pid: int, *, every_seconds: float = 0.2) -> None:
        self.peak_server = self.peak_children = self.peak_child = 0
        self._server = psutil.Process(pid)
        self._every = every_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def now(self) -> tuple[int, list[int]]:
        """Resident bytes of the server, and of each child."""
        try:
            children = self._server.children(recursive=True)
        except psutil.Error:
            return 0, []
        return resident(self._server), [size for child in children if (size := resident(child))]

    def reset(self) -> None:
        """Forget the peaks."""
        self.peak_server = self.peak_children = self.peak_child = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            server, children = self.now()
            self.peak_server = max(self.peak_server, server)
            self.peak_children = max(self.peak_children, sum(children))
            self.peak_child = max(self.peak_child, *children, 0)


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process; 0 if it has ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


@contextmanager
def timed() -> Iterator[list[float]]:
    """Give a list that holds the block's seconds when it has ended."""
    seconds: list[float] = []
    began = time.perf_counter()
    try:
        yield seconds
    finally:
        seconds.append(time.perf_counter() - began)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings, columns aligned."""
    texts = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in texts) for at in range(len(headings))]
    for line in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
