"""How results look to people: tables, sizes, times, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syntheflow.values import Job, Schema

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_SECONDS = 5.0


def table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; a heading that begins with `>` is for numbers."""
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        right = name.startswith(">")
        grid.add_column(
            name.lstrip(">"), justify="right" if right else "left", overflow="fold", no_wrap=False
        )
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def size(count: int) -> str:
    """Return bytes for people: 1.5 MiB."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def moment(when: datetime | None) -> str:
    """Return a time in the reader's own zone."""
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return a length of time for people: 4.2 s, 3 min 20 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(number: int, noun: str) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def references(schema: Schema) -> list[str]:
    """Return the schema's foreign keys, one text each."""
    return [
        f"{key.child_table}({', '.join(key.child_columns)}) -> "
        f"{key.parent_table}({', '.join(key.parent_columns)})"
        for key in schema.foreign_keys
    ]


@contextmanager
def progress(
    console: Console, what: str, total: float | None, *, at_once: bool = False
) -> Iterator[Callable[..., None]]:
    """Show a bar on a terminal while the block works; the value is told by `tell(done, text)`.

    Without a terminal a new text is printed every five seconds, so that logs stay
    short; the first one at once if `at_once`.
    """
    if not console.is_terminal:
        yield _plain_progress(console, what, 0.0 if at_once else time.monotonic())
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def tell(done: float, text: str = "") -> None:
            bar.update(task, completed=done, description=text or what)

        yield tell


def _plain_progress(console: Console, what: str, said: float) -> Callable[..., None]:
    last = ""

    def tell(done: float, text: str = "") -> None:
        nonlocal last, said
        del done
        now = time.monotonic()
        if text and text != last and now - said >= _PLAIN_SECONDS:
            last, said = text, now
            console.print(f"{what}: {text}")

    return tell


def job_text(job: Job) -> str:
    """Return what a job does now, with the figure that people watch."""
    loss = job.metrics.get("validation_loss", job.metrics.get("train_loss"))
    return job.stage if loss is None else f"{job.stage}, loss {loss:.3f}"


def job_row(job: Job) -> list[str]:
    """Return a job's row in the list of jobs."""
    return [
        job.name,
        job.kind,
        job.state,
        f"{job.progress:.0%}",
        job.target,
        job.result,
        moment(job.create_time),
    ]


def fields(console: Console, pairs: Sequence[tuple[str, Any]]) -> None:
    """Print names and values under one another."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        console.print(f"{name:<{width}}  {value}", soft_wrap=True)
