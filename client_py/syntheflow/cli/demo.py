"""`syntheflow demo`: the whole way on an invented company, told step by step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syntheflow.cards import keys_of
from syntheflow.cli import render

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

    from syntheflow import Client, Dataset, Job, Report

_NAME = "hr"
_TABLES = {
    "departments": "where people work",
    "positions": "the posts of each department",
    "employees": "people, each with a manager",
    "salaries": "what each person earned since when",
    "reviews": "yearly reviews",
    "projects": "projects and their budgets",
    "assignments": "who worked on which project",
}
_SHOWN = ("first_name", "last_name", "birth_date", "hire_date", "salary_grade", "weekly_hours")
_TOLD = ("salaries", "assignments")
_PERSON = ("first_name", "last_name", "birth_date")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that is made.")] = Path("demo-output"),
    employees: Annotated[int, typer.Option(min=20, help="Size of the company.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the company, the model and the rows.")] = 0,
    time_limit: Annotated[int, typer.Option(min=5, help="Seconds of training, at most.")] = 90,
) -> None:
    """Show the whole way: make a company, learn it, then stream, judge and export a new one."""
    from rich.console import Console

    from syntheflow import Client
    from syntheflow.local import LocalServer

    began = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        "[bold]syntheflow demo[/bold]: neural networks learn a company, and stream the rows of "
        "another one that never was."
    )
    _headline(console, 1, "Make a company to learn from (invented too: you can look at all of it)")
    real = _make_company(console, out / "real", employees, seed)
    _headline(console, 2, "Start a server")
    shutil.rmtree(out / "server", ignore_errors=True)
    with LocalServer(out / "server") as server, Client(server.address) as client:
        story = _Story(console, client, out, seed)
        console.print(
            f"  Ready: gRPC at {server.address}, metrics at {server.url}/metrics. "
            f"Its data and its log lie in {out / 'server'}."
        )
        story.upload()
        story.train(time_limit)
        story.stream()
        report = story.validate()
        story.export(real)
    console.print(f"\n[bold green]Done[/] in {render.duration(time.monotonic() - began)}.")
    console.print(f"  Synthetic company  {out / 'synthetic'}")
    console.print(f"  Quality            {report.quality:.2f} of 1")
    console.print(f"  Report             {out / 'report.html'}  (open it in a browser)")
    console.print("  With tables of your own: `syntheflow serve`, then `syntheflow upload --help`.")


def _make_company(console: Console, folder: Path, employees: int, seed: int) -> dict[str, pa.Table]:
    from syntheflow.samples import hr

    tables = hr.tables(employees, seed)
    for path in hr.write(folder, employees, seed):
        rows = f"{tables[path.stem].num_rows:,}"
        console.print(f"  {path!s:34} {rows:>7} rows   {_TABLES[path.stem]}")
    return tables


class _Story:
    """The steps that need the server; each says what it did, how long it took, how much it made."""

    def __init__(self, console: Console, client: Client, out: Path, seed: int) -> None:
        self._console = console
        self._client = client
        self._out = out
        self._seed = seed

    def upload(self) -> None:
        self._headline(3, "Upload the files; the server finds types, keys and references itself")
        began = time.monotonic()
        paths = [self._out / "real" / f"{table}.csv" for table in _TABLES]
        dataset = self._client.upload(_NAME, paths)
        seconds = time.monotonic() - began
        self._schema(dataset)
        rows = sum(table.rows for table in dataset.tables)
        self._say(
            f"{rows:,} rows of {len(dataset.tables)} tables in {render.duration(seconds)}. "
            "Were a finding wrong, `syntheflow schema` would correct it."
        )

    def _schema(self, dataset: Dataset) -> None:
        rows = []
        for table in dataset.schema.tables:
            keys = [key for key in dataset.schema.foreign_keys if key.child_table == table.name]
            refers = "\n".join(f"{'+'.join(k.child_columns)} → {k.parent_table}" for k in keys)
            columns = str(len(table.columns))
            rows.append([f"  {table.name}", columns, " + ".join(table.primary_key), refers])
        render.table(self._console, ["  table", ">columns", "key", "references"], rows)

    def train(self, time_limit: int) -> None:
        self._headline(4, f"Train: a neural network for each table, {time_limit} s at most")
        with self._progress("training") as show:
            job = self._client.train(
                _NAME, seed=self._seed, time_limit_seconds=time_limit, on_progress=show
            )
        model = self._client.get_model(job.result)
        weights = sum(card.parameters for card in model.tables)
        rows = sum(card.train_rows for card in model.tables)
        kept = sum(card.holdout_rows for card in model.tables)
        self._say(
            f"{model.name}: {weights:,} weights learned from {rows:,} rows in "
            f"{render.duration(model.train_seconds)}, {model.bytes / 1e6:.1f} MB on disk."
        )
        self._say("The model's card says how the tables hang together, for example:")
        for table, text in keys_of(model):
            if table in _TOLD and "refers to" in text:
                self._say(f"  {table}: {text}")
        self._say(f"{kept:,} rows were kept aside, never learned from; step 6 compares with them.")

    def stream(self) -> None:
        self._headline(5, "Stream synthetic rows, as any gRPC client can")
        first = next(iter(self._client.batches(_NAME, "employees", seed=self._seed)))
        self._people(first.slice(0, 6))
        self._say("None of these people is real. The same seed gives the same rows again.")
        began, rows, size = time.monotonic(), 0, 0
        for fragment in self._client.generate(_NAME, seed=self._seed, scale=20):
            rows += fragment.row_count
            size += len(fragment.data)
        seconds = time.monotonic() - began
        self._say(
            f"A company 20 times as large: {rows:,} rows, {size / 1e6:.0f} MB of Arrow, streamed "
            f"in {render.duration(seconds)} ({rows / seconds:,.0f} rows/s)."
        )

    def _people(self, batch: pa.RecordBatch) -> None:
        rows = [
            [f"  {row[_SHOWN[0]]}", *(str(row[name]) for name in _SHOWN[1:])]
            for row in batch.select(list(_SHOWN)).to_pylist()
        ]
        render.table(self._console, [f"  {_SHOWN[0]}", *_SHOWN[1:]], rows)

    def validate(self) -> Report:
        self._headline(6, "Validate: how good are the rows, and are they new?")
        with self._progress("validating") as show:
            job = self._client.validate(_NAME, seed=self._seed, on_progress=show)
        report = self._client.get_report(job.result)
        scores = [[f"  {part.name}", f"{part.value:.2f}", part.detail] for part in report.parts]
        scores.append(["  QUALITY", f"{report.quality:.2f}", "all of it, weighted; 1 is best"])
        render.table(self._console, ["  part", ">score", "what it says"], scores)
        for warning in report.warnings[:5]:
            self._console.print(f"  [yellow]![/] {warning}")
        for form in ("html", "json"):
            page = self._client.render_report(report.name, form)
            (self._out / f"report.{form}").write_bytes(page)
        return report

    def export(self, real: dict[str, pa.Table]) -> None:
        self._headline(7, "Export the synthetic company as files")
        for form in ("parquet", "csv"):
            folder = self._out / "synthetic" / form
            began = time.monotonic()
            files = self._client.generate_files(_NAME, folder, form, seed=self._seed)
            rows, size = sum(f.rows for f in files), sum(f.bytes for f in files)
            self._say(
                f"{folder}: {len(files)} files, {rows:,} rows, {size / 1e6:.1f} MB "
                f"in {render.duration(time.monotonic() - began)}."
            )
        made = self._client.read(_NAME, table="employees", seed=self._seed)
        shared = _people(made) & _people(real["employees"])
        self._say(
            f"Of {made.num_rows:,} synthetic people, {len(shared)} share name and birth date with "
            "one of those learned from."
        )

    @contextmanager
    def _progress(self, what: str) -> Iterator[Callable[[Job], None]]:
        with render.progress(self._console, f"  {what}", 1.0) as tell:
            yield lambda job: tell(job.progress, f"  {render.job_text(job)}")

    def _headline(self, number: int, text: str) -> None:
        _headline(self._console, number, text)

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}")


def _headline(console: Console, number: int, text: str) -> None:
    console.print(f"\n[bold cyan]{number}  {text}[/]")


def _people(table: pa.Table) -> set[tuple[object, ...]]:
    return {tuple(row.values()) for row in table.select(list(_PERSON)).to_pylist()}
