"""`syntheflow clone`: a database or folder in, a synthetic one of the same shape out."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from syntheflow.cli import render, transfers
from syntheflow.cli.generate import Form
from syntheflow.cli.places import Given, given_place, refuse_password
from syntheflow.cli.session import Session, command
from syntheflow.cli.sharing import Mode
from syntheflow.cli.verbs import Seed, follow, seconds
from syntheflow.client import Client
from syntheflow.local import LocalServer

if TYPE_CHECKING:
    from rich.console import Console

    from syntheflow.values import Dataset, Job, Model, Report

_CONNECTIONS = "SYNTHEFLOW_CONNECTIONS"
_START_SECONDS = 240.0
_SOURCE, _TARGET = "clone-source", "clone-target"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "clone")(clone)


@dataclass(frozen=True)
class _Wish:
    """What a clone is asked for besides its two places."""

    read: dict[str, Any]
    train: dict[str, Any]
    write: dict[str, Any]
    seed: int
    report: Path | None


def clone(
    session: Session,
    source: Annotated[str, typer.Argument(metavar="A", help="The database or folder to learn.")],
    into: Annotated[str, typer.Option(metavar="B", help="The database, folder or bucket to fill.")],
    scale: Annotated[
        float, typer.Option(min=0, help="Rows of B relative to the rows read from A.")
    ] = 1.0,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="If B takes files. Default: parquet.", show_default=False),
    ] = None,
    tables: transfers.Tables = None,
    exclude: transfers.Exclude = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            help="A public table that is copied row for row (countries); can be repeated.",
            show_default=False,
        ),
    ] = None,
    mode: transfers.ModeOption = Mode.CREATE,
    sample_rows: transfers.SampleRows = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Train at most so long: 60s, 10m, 2h.")
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(min=0, help="Train with differential privacy.", show_default=False),
    ] = None,
    seed: Seed = 0,
    report: Annotated[
        Path | None, typer.Option(help="Write the report of quality as an HTML page.")
    ] = None,
) -> None:
    """Read A, learn it, fill B with synthetic rows, judge them, and tell what was done.

    Starts a server of its own for that and removes it afterwards; the passwords of URLs
    go to it through its environment. With --server that server does it, with the
    connections of its own settings, and keeps dataset and model.
    """
    real, made = given_place(source), given_place(into)
    if made.is_database and form is not None:
        raise typer.BadParameter("--format is of files; a database needs none")
    if real.text == made.text:
        raise typer.BadParameter("A and B are the same place; a clone needs another one")
    wish = _Wish(
        read={"tables": tables or (), "exclude": exclude or (), "sample_rows": sample_rows},
        train={
            "keep": tuple(dict.fromkeys(keep or [])),
            "time_limit_seconds": None if time_limit is None else seconds(time_limit),
            "epsilon": epsilon,
            "seed": seed,
        },
        write={
            "mode": mode.value,
            "format": form.word if form else "",
            "scale": scale,
            "seed": seed,
        },
        seed=seed,
        report=report,
    )
    began = time.monotonic()
    with _served(session, real, made) as (served, names):
        story = _Story(served, wish, names)
        told = story.run()
    told["seconds"] = round(time.monotonic() - began, 3)
    session.show(told, lambda console: story.print(console, told["seconds"]))


@contextmanager
def _served(
    session: Session, real: Given, made: Given
) -> Iterator[tuple[Session, tuple[str, str]]]:
    """Give a session with a server, and the names that it has for the two places."""
    if session.server_given:
        yield (
            session,
            tuple(  # type: ignore[misc] # there are two
                refuse_password(place, what).text for place, what in ((real, "A"), (made, "B"))
            ),
        )
        return
    connections = json.loads(os.environ.get(_CONNECTIONS) or "{}")
    names = []
    for name, place in ((_SOURCE, real), (_TARGET, made)):
        if place.text in connections:  # a connection of the environment
            names.append(place.text)
            continue
        if "://" not in place.text:
            raise typer.BadParameter(
                f"{_CONNECTIONS} has no connection {place.text!r}; a folder of that name is "
                f"./{place.text}"
            )
        secret = {} if place.password is None else {"password": place.password}
        connections[name] = {"url": place.text, "read_only": name == _SOURCE, **secret}
        names.append(name)
    environment = {_CONNECTIONS: json.dumps(connections)}
    with tempfile.TemporaryDirectory(prefix="syntheflow-clone-") as folder:
        session.say("Starting a server of its own for the clone ...")
        server = LocalServer(Path(folder), environment=environment)
        try:
            server.start(timeout_seconds=_START_SECONDS)
            yield replace(session, server=server.address), (names[0], names[1])
        finally:
            server.stop()


class _Story:
    """The steps of a clone; each tells its progress, and the last one all that was done."""

    def __init__(self, session: Session, wish: _Wish, names: tuple[str, str]) -> None:
        self._session, self._wish, self._names = session, wish, names
        self._id = f"clone-{uuid4().hex[:12]}"
        self.dataset: Dataset
        self.model: Model
        self.written: Job
        self.report: Report

    def run(self) -> dict[str, Any]:
        """Do it all; return what was done as plain values."""
        wish, say = self._wish, self._session.say
        with self._session.connect() as client:
            say("1  Reading the tables, their keys and types")
            job = client.import_dataset(self._id, self._names[0], wait=False, **wish.read)
            self.dataset = client.get_dataset(self._follow(client, job, "reading").result)
            rows = sum(table.rows for table in self.dataset.tables)
            keys = render.count(len(self.dataset.schema.foreign_keys), "reference")
            tables = render.count(len(self.dataset.tables), "table")
            say(f"   {tables}, {render.count(rows, 'row')}, {keys}")
            say("2  Learning them")
            job = client.train(self._id, wait=False, **wish.train)
            self.model = client.get_model(self._follow(client, job, "learning").result)
            say(f"   learned in {render.duration(self.model.train_seconds)}")
            say("3  Making rows and writing them")
            job = client.export(self.model.name, self._names[1], wait=False, **wish.write)
            self.written = self._follow(client, job, "writing")
            say("4  Judging rows of the model against real ones it has never seen")
            job = client.validate(self.model.name, seed=wish.seed, wait=False)
            self.report = client.get_report(self._follow(client, job, "judging").result)
            if wish.report is not None:
                wish.report.write_bytes(client.render_report(self.report.name, "html"))
        return {
            "source": self.dataset.name,
            "model": self.model.name,
            "destination": self.written.result,
            "read": {table.name: table.rows for table in self.dataset.tables},
            "written": self.written.tables,
            "notes": list(self.written.notes),
            "references": render.references(self.dataset.schema),
            "quality": self.report.quality,
            "parts": {part.name: part.value for part in self.report.parts},
            "warnings": list(self.report.warnings),
        }

    def print(self, console: Console, took: float) -> None:
        """Print what was done, for somebody who does it for the first time."""
        real = {table.name: table for table in self.dataset.tables}
        keys = {table.name: ", ".join(table.primary_key) for table in self.dataset.schema.tables}
        kept = set(self.model.kept_tables)
        console.print(f"\n{self.written.result} holds a synthetic clone:", soft_wrap=True)
        render.table(
            console,
            ["TABLE", ">ROWS READ", ">ROWS WRITTEN", "PRIMARY KEY", ""],
            [
                [
                    name,
                    f"{real[name].rows:,}" if name in real else "",
                    f"{rows:,}",
                    keys.get(name, ""),
                    "copied as it is" if name in kept else "",
                ]
                for name, rows in self.written.tables.items()
            ],
        )
        references = render.references(self.dataset.schema)
        if references:
            count = render.count(len(references), "reference")
            console.print(f"{count} between the tables, every one of them resolves:")
            for reference in references:
                console.print(f"  {reference}", soft_wrap=True)
        for note in self.written.notes:
            console.print(note, soft_wrap=True)
        console.print(f"Quality {self.report.quality:.2f} of 1:")
        render.table(
            console,
            ["PART", ">SCORE", "WHAT IT SAYS"],
            [[part.name, f"{part.value:.2f}", part.detail] for part in self.report.parts],
        )
        for warning in self.report.warnings:
            console.print(f"warning: {warning}", soft_wrap=True)
        if self._wish.report is not None:
            console.print(f"The whole report, with pictures: {self._wish.report}")
        console.print(f"Done in {render.duration(took)}.")

    def _follow(self, client: Client, job: Job, what: str) -> Job:
        return follow(self._session, client, job, what)
