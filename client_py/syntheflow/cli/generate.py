"""`syntheflow generate`: synthetic rows as files or through a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from syntheflow.cli import render, wishes
from syntheflow.cli.session import Session, command
from syntheflow.cli.verbs import Seed
from syntheflow.cli.wishes import Wish
from syntheflow.client import Client
from syntheflow.values import Model, WrittenFile


class Form(StrEnum):
    """Format of the files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    ARROW = "arrow"


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
    scale: wishes.Scale = 1.0,
    rows: wishes.Rows = None,
    tables: wishes.Tables = None,
    start_row: wishes.StartRow = None,
    where: wishes.Where = None,
    share: wishes.Share = None,
    given: wishes.Given = None,
    fill_missing: wishes.FillMissing = False,
    existing: wishes.Existing = None,
    existing_dataset: wishes.ExistingDataset = None,
    orphans: wishes.Orphans = False,
    temperature: wishes.Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Make synthetic rows: one file a table, whole or not at all."""
    begin = time.perf_counter()
    with session.connect() as client:
        known = client.get_model(model)
        if fill_missing and not given:
            raise typer.BadParameter("--fill-missing needs --given FILE")
        wish = replace(
            wishes.understood(known, scale, rows or [], tables or [], start_row, seed),
            where=wishes.conditions(known, where or [], share or []),
            temperature=temperature,
            given=wishes.given_files(known, given or []),
            fill_missing=fill_missing,
            existing=wishes.existing_rows(client, known, existing or [], existing_dataset),
            orphans=orphans,
        )
        if out == "-":
            files = _pipe(session, client, known, wish, form)
        else:
            files = _write(session, client, known, wish, form, Path(out or known.id))
    _tell(session, known, wish, files, time.perf_counter() - begin, piped=out == "-")


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
