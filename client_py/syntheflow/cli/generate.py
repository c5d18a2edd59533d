"""`syntheflow generate`: synthetic rows as files or through a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from syntheflow.cli import render
from syntheflow.cli.session import Session, command
from syntheflow.cli.verbs import Seed
from syntheflow.client import Client
from syntheflow.values import Model, WrittenFile


class Form(StrEnum):
    """Format of the files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    ARROW = "arrow"


@dataclass(frozen=True)
class Wish:
    """What to generate, as the options say, once they have been understood."""

    scale: float
    seed: int
    rows: dict[str, int] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    window: tuple[str, int, int] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Client.generate`."""
        return {
            "scale": self.scale,
            "seed": self.seed,
            "rows": self.rows,
            "tables": () if self.window else self.tables,
            "window": self.window,
        }

    def table_names(self, model: Model) -> tuple[str, ...]:
        """Return the tables that will come."""
        if self.window is not None:
            return (self.window[0],)
        return self.tables or tuple(table.name for table in model.schema.tables)

    def expected_rows(self, model: Model) -> int:
        """Return about how many rows will come, for the progress bar."""
        if self.window is not None and self.window[2]:
            return self.window[2]
        learned = {card.table: card.train_rows + card.holdout_rows for card in model.tables}
        return sum(
            self.rows.get(table, round(learned.get(table, 0) * self.scale))
            for table in self.table_names(model)
        )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "generate")(generate)


def generate(
    session: Session,
    model: Annotated[str, typer.Argument(help="Id of the model.")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|-",
            help="Folder for the files, or - for stdout. Default: ./MODEL.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Format of the files.")] = Form.PARQUET,
    scale: Annotated[
        float, typer.Option(min=0, help="Size of the whole relative to the real dataset.")
    ] = 1.0,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE=N|N",
            help="Rows of one table, instead of --scale; can be repeated. A plain N: the rows "
            "of the window that begins at --start-row of --table.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Only this table; can be repeated.", show_default=False),
    ] = None,
    start_row: Annotated[
        int | None,
        typer.Option(min=0, help="First row of the window of --table.", show_default=False),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Make synthetic rows: one file a table, whole or not at all."""
    begin = time.perf_counter()
    with session.connect() as client:
        known = client.get_model(model)
        wish = understood(known, scale, rows or [], table or [], start_row, seed)
        if out == "-":
            files = _pipe(session, client, known, wish, form)
        else:
            files = _write(session, client, known, wish, form, Path(out or known.id))
    _tell(session, known, wish, files, time.perf_counter() - begin, piped=out == "-")


def understood(
    model: Model,
    scale: float,
    rows: list[str],
    tables: list[str],
    start_row: int | None,
    seed: int,
) -> Wish:
    """Return what the options mean for this model; typer.BadParameter if they make no sense."""
    known = [table.name for table in model.schema.tables]
    sizes, plain = _row_numbers(rows)
    for name in (*sizes, *tables):
        if name not in known:
            raise typer.BadParameter(
                f"{model.name} has no table {name!r}; it has {', '.join(known)}"
            )
    if start_row is None and plain is None:
        return Wish(scale=scale, seed=seed, rows=sizes, tables=tuple(dict.fromkeys(tables)))
    if len(known) == 1 and not tables and start_row is None:
        return Wish(scale=scale, seed=seed, rows={known[0]: plain or 0})
    one = tables or known
    if len(one) != 1:
        raise typer.BadParameter(
            "A plain --rows N and --start-row need one --table; or give the rows as --rows TABLE=N"
        )
    if plain == 0:
        raise typer.BadParameter("--rows of a window must be at least 1")
    return Wish(scale=scale, seed=seed, rows=sizes, window=(one[0], start_row or 0, plain or 0))


def _row_numbers(rows: list[str]) -> tuple[dict[str, int], int | None]:
    """Return the TABLE=N of --rows, and its plain N."""
    sizes: dict[str, int] = {}
    plain: int | None = None
    for text in rows:
        name, mark, number = text.rpartition("=")
        if not number.isdecimal():
            raise typer.BadParameter(f"--rows takes TABLE=N or N, not {text!r}")
        if mark:
            sizes[name] = int(number)
        elif plain is not None:
            raise typer.BadParameter("--rows takes only one plain number")
        else:
            plain = int(number)
    return sizes, plain


def _write(
    session: Session, client: Client, model: Model, wish: Wish, form: Form, out: Path
) -> tuple[WrittenFile, ...]:
    with _counting(session, model, wish) as count:
        try:
            return client.generate_files(
                model.name, out, form.value, on_rows=count, **wish.arguments()
            )
        except KeyboardInterrupt:
            session.say("The stream was stopped; no file was written.")
            raise


def _pipe(
    session: Session, client: Client, model: Model, wish: Wish, form: Form
) -> tuple[WrittenFile, ...]:
    names = wish.table_names(model)
    if len(names) != 1:
        raise typer.BadParameter(
            f"Only one table fits a pipe; choose one of {', '.join(names)} with --table"
        )
    rows = size = 0
    with _counting(session, model, wish) as count:
        for fragment in client.generate(model.name, format=form.value, **wish.arguments()):
            sys.stdout.buffer.write(fragment.data)
            rows += fragment.row_count
            size += len(fragment.data)
            count(fragment.table, fragment.row_count)
        sys.stdout.buffer.flush()
    return (WrittenFile(table=names[0], path="-", rows=rows, bytes=size),)


class _counting:  # noqa: N801 - used as a `with` block, like a function
    """Shows a bar of rows; the block's value is called with a table and its new rows."""

    def __init__(self, session: Session, model: Model, wish: Wish) -> None:
        self._total = wish.expected_rows(model)
        self._progress = render.progress(session.err, "generating", self._total or None)
        self._stack = ExitStack()
        self._rows = 0
        self._begin = time.perf_counter()

    def __enter__(self) -> Callable[[str, int], None]:
        self._tell = self._stack.enter_context(self._progress)
        return self._count

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _count(self, table: str, rows: int) -> None:
        del table
        self._rows += rows
        rate = self._rows / max(1e-9, time.perf_counter() - self._begin)
        self._tell(min(self._rows, self._total), f"{self._rows:,} rows, {rate:,.0f} rows/s")


def _tell(
    session: Session,
    model: Model,
    wish: Wish,
    files: tuple[WrittenFile, ...],
    seconds: float,
    *,
    piped: bool,
) -> None:
    """Say what was made; to stderr if stdout carries the rows themselves."""
    total = sum(file.rows for file in files)
    rate = total / max(seconds, 1e-9)
    sentence = (
        f"{render.count(len(files), 'table')}, {render.count(total, 'row')} "
        f"in {render.duration(seconds)} ({rate:,.0f} rows/s)"
    )
    if piped:
        session.say(sentence)
        return
    facts = {
        "model": model.name,
        "seed": wish.seed,
        "tables": [file.to_dict() for file in files],
        "rows": total,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rate, 1),
    }
    lines = [[file.table, f"{file.rows:,}", render.size(file.bytes), file.path] for file in files]

    def text(console: Any) -> None:
        render.table(console, ["TABLE", ">ROWS", ">SIZE", "FILE"], lines)
        console.print(sentence)

    session.show(facts, text)
