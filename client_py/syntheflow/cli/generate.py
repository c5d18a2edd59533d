"""`syntheflow generate`: synthetic rows as files or through a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from syntheflow.cli import render, wishes
from syntheflow.cli.session import Session, command
from syntheflow.cli.sharing import writing
from syntheflow.cli.verbs import Seed
from syntheflow.cli.wishes import Wish
from syntheflow.client import Client
from syntheflow.values import Model, WrittenFile

Count = Callable[[str, int], None]
_BESIDE = ".xsd"
"""Ending of a file that describes another one and has no place in a pipe."""


class Form(StrEnum):
    """Format of the files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    ARROW = "arrow"
    XLSX = "xlsx"
    SQL = "sql"
    XML = "xml"
    SQLITE = "sqlite"
    DUCKDB = "duckdb"

    @property
    def word(self) -> str:
        """The format's name in the client."""
        return "excel" if self is Form.XLSX else self.value

    @property
    def whole(self) -> bool:
        """True if one file holds all tables."""
        return self in {Form.XLSX, Form.SQL, Form.SQLITE, Form.DUCKDB}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "generate")(writing(generate))


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
    write: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Make synthetic rows: one file a table, whole or not at all.

    The formats xlsx, sql, sqlite and duckdb give one file for all tables.
    """
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
        wanted = {**wish.arguments(), "write": write}
        with _counting(session, known, wish) as count:
            if out == "-":
                files = _pipe(client, known, wish, form, wanted, count)
            else:
                files = _write(session, client, known, form, Path(out or known.id), wanted, count)
    _tell(session, known, wish, files, time.perf_counter() - begin, piped=out == "-")


def _write(
    session: Session,
    client: Client,
    model: Model,
    form: Form,
    out: Path,
    wanted: dict[str, Any],
    count: Count,
) -> tuple[WrittenFile, ...]:
    try:
        return client.generate_files(model.name, out, form.word, on_rows=count, **wanted)
    except KeyboardInterrupt:
        session.say("The stream was stopped; no file was written.")
        raise


def _pipe(
    client: Client,
    model: Model,
    wish: Wish,
    form: Form,
    wanted: dict[str, Any],
    count: Count,
) -> tuple[WrittenFile, ...]:
    names = wish.table_names(model)
    if len(names) != 1 and not form.whole:
        raise typer.BadParameter(
            f"Only one table fits a pipe; choose one of {', '.join(names)} with --table"
        )
    if wanted["write"].get("partition_by") or wanted["write"].get("file_rows"):
        raise typer.BadParameter("Only one file fits a pipe: no --partition-by, no --file-rows")
    size, tables = 0, dict.fromkeys(names, 0)
    for fragment in client.generate(model.name, format=form.word, **wanted):
        if fragment.file.endswith(_BESIDE):
            continue
        sys.stdout.buffer.write(fragment.data)
        size += len(fragment.data)
        if fragment.table:
            tables[fragment.table] += fragment.row_count
            count(fragment.table, fragment.row_count)
    sys.stdout.buffer.flush()
    table = names[0] if len(names) == 1 else ""
    return (WrittenFile(table, "-", sum(tables.values()), size, tables),)


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


def _lines(file: WrittenFile) -> list[list[str]]:
    """Return what to print of a file: a line for each table in it."""
    size = render.size(file.bytes)
    if len(file.tables) < 2:
        return [[file.table, f"{file.rows:,}", size, file.path]]
    lines = [[table, f"{rows:,}", "", file.path] for table, rows in file.tables.items()]
    lines[0][2] = size
    return lines


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
    tables = {table for file in files for table in file.tables}
    sentence = (
        f"{render.count(len(tables), 'table')}, {render.count(total, 'row')} "
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
    lines = [line for file in files for line in _lines(file)]

    def text(console: Any) -> None:
        render.table(console, ["TABLE", ">ROWS", ">SIZE", "FILE"], lines)
        console.print(sentence)

    session.show(facts, text)
