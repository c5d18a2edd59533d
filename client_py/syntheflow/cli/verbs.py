"""`syntheflow upload`, `train` and `validate`: the verbs that give something to the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syntheflow import schemas
from syntheflow.cli import render
from syntheflow.cli.session import Session, command
from syntheflow.cli.sharing import reading
from syntheflow.client import Client
from syntheflow.errors import SyntheflowError
from syntheflow.values import Dataset, Job, Report

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "upload")(reading(upload))
    command(app, "train")(train)
    command(app, "validate")(validate)


def seconds(text: str) -> float:
    """Return the seconds that 90, 60s, 10m, 2h or 1h30m mean; BadParameter if it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise typer.BadParameter(f"{text!r} is not a length of time; write 60s, 10m or 2h")
    return total


def upload(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Id of the new dataset.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Its files; the stem names the table.")
    ],
    schema: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON with what you know of the schema; the rest is inferred."),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only these tables of files that hold many (sales_*); can be repeated.",
            show_default=False,
        ),
    ] = None,
    read: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Upload files as a new dataset; types, keys and references are inferred.

    How a file is to be read is guessed and shown; the options say what was guessed wrong.
    """
    hint = None if schema is None else schemas.load(schema)
    total = sum(path.stat().st_size for path in files if path.is_file())
    sent = 0
    with (
        session.connect() as client,
        render.progress(session.err, "uploading", total) as tell,
    ):

        def on_bytes(count: int) -> None:
            nonlocal sent
            sent += count
            tell(sent, "reading the tables" if sent >= total else "")

        try:
            how = {**read, **({"tables": tables} if tables else {})}
            made = client.upload(dataset, list(files), schema=hint, read=how, on_bytes=on_bytes)
        except KeyboardInterrupt:
            session.say("The upload was stopped; the server keeps nothing of it.")
            raise
    session.show(made.to_dict(), lambda console: print_dataset(console, made))
    if any(table.read_as for table in made.tables):
        session.say("Read wrongly? Say how it is: syntheflow upload --help lists the options.")
    session.say(f"Learn it with: syntheflow train {made.id}")


def print_dataset(console: Console, dataset: Dataset) -> None:
    """Print what is known of a dataset: tables, keys, references, findings."""
    console.print(dataset.name)
    keys = {table.name: ", ".join(table.primary_key) for table in dataset.schema.tables}
    columns = {table.name: len(table.columns) for table in dataset.schema.tables}
    render.table(
        console,
        ["TABLE", ">ROWS", ">COLUMNS", "PRIMARY KEY", ">SIZE", "FILE"],
        [
            [
                table.name,
                f"{table.rows:,}",
                f"{columns.get(table.name, 0):,}",
                keys.get(table.name, ""),
                render.size(table.bytes),
                table.file_name,
            ]
            for table in dataset.tables
        ],
    )
    for reference in render.references(dataset.schema):
        console.print(f"reference: {reference}", soft_wrap=True)
    _print_reading(console, dataset)
    for table in dataset.tables:
        for finding in table.findings:
            console.print(f"{table.name}: {finding}", soft_wrap=True)


def _print_reading(console: Console, dataset: Dataset) -> None:
    """Print how the files were read, tables read alike together, and what was left out."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for table in dataset.tables:
        if table.read_as:
            alike.setdefault(tuple(sorted(table.read_as.items())), []).append(table.name)
    if alike:
        lines = [
            [", ".join(names), ", ".join(f"{name} {_visible(value)}" for name, value in settings)]
            for settings, names in alike.items()
        ]
        render.table(console, ["TABLE", "READ WITH"], lines)
    for table in dataset.tables:
        if table.rejected_rows:
            left_out = render.count(table.rejected_rows, "bad row")
            console.print(f"{table.name}: {left_out} left out", soft_wrap=True)


def _visible(text: str) -> str:
    """Return a setting so that blanks can be seen."""
    return text if text.isalnum() else repr(text)


def train(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Id of the dataset.")],
    model: Annotated[
        str, typer.Option(help="Id of the new model. Default: the dataset's.", show_default=False)
    ] = "",
    seed: Seed = 0,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Train at most so long: 60s, 10m, 2h.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Way of learning.")] = "neural",
    holdout_share: Annotated[
        float | None,
        typer.Option(min=0, max=0.5, help="Share kept from training, for validate. Default: 0.1."),
    ] = None,
    rare_holders: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A value that fewer rows hold is never put out as it is. Default: 3; 1 protects "
            "none.",
            show_default=False,
        ),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="Train with differential privacy of this epsilon: 1 to 10 is usual, smaller "
            "protects more and learns less. Default: without.",
            show_default=False,
        ),
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(
            help="Delta of --epsilon. Default: one in ten times the number of persons.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Start from this model of the same tables, for new data.",
            show_default=False,
        ),
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            help="A table that comes out row for row as it is (countries, airports); can be "
            "repeated. Nothing of it is protected.",
            show_default=False,
        ),
    ] = None,
    entity_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --epsilon: learn from at most so many rows of one table for each person. "
            "Default: chosen by the server.",
            show_default=False,
        ),
    ] = None,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans", help="Learn which rows refer to rows that do not exist, for generate."
        ),
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
) -> None:
    """Learn a dataset; waits for the model, and Ctrl-C cancels the training."""
    if delta is not None and epsilon is None:
        raise typer.BadParameter("--delta needs --epsilon")
    if base and epsilon is not None:
        raise typer.BadParameter("--base cannot go with --epsilon: a private model starts anew")
    if entity_rows is not None and epsilon is None:
        raise typer.BadParameter("--entity-rows needs --epsilon")
    limit = None if time_limit is None else seconds(time_limit)
    with session.connect() as client:
        job = client.train(
            dataset,
            model=model,
            seed=seed,
            time_limit_seconds=limit,
            engine=engine,
            holdout_share=holdout_share,
            rare_holders=rare_holders,
            epsilon=epsilon,
            delta=delta,
            base=base,
            keep=tuple(dict.fromkeys(keep or [])),
            entity_rows=entity_rows,
            orphans=orphans,
            wait=False,
        )
        if detach:
            session.show(job.to_dict(), lambda console: console.print(job.name))
            session.say(f"Training goes on; watch it with: syntheflow jobs watch {job.id}")
            return
        ended = follow(session, client, job, "training")
        session.show(ended.to_dict(), lambda console: _print_trained(console, client, ended))
    session.say(f"Make rows with: syntheflow generate {ended.result.partition('/')[2]}")


def _print_trained(console: Console, client: Client, job: Job) -> None:
    model = client.get_model(job.result)
    console.print(f"{model.name} learned in {render.duration(model.train_seconds)}")
    render.table(
        console,
        ["TABLE", ">ROWS LEARNED", ">HELD BACK", ">EPOCHS", ">LOSS"],
        [
            [
                card.table,
                f"{card.train_rows:,}",
                f"{card.holdout_rows:,}",
                f"{card.epochs:.1f}",
                # A private training has none: it would tell of the rows.
                f"{card.validation_loss:.3f}" if card.validation_loss else "",
            ]
            for card in model.tables
        ],
    )


def follow(session: Session, client: Client, job: Job, what: str, *, cancel: bool = True) -> Job:
    """Return the job when it has succeeded, showing its progress.

    Ctrl-C cancels it if `cancel`, and says so; SyntheflowError if it fails.
    """
    try:
        with render.progress(session.err, what, 1.0, at_once=True) as tell:
            return client.wait(
                job.name, on_progress=lambda now: tell(now.progress, render.job_text(now))
            )
    except KeyboardInterrupt:
        if cancel:
            _cancel(session, client, job)
        raise


def _cancel(session: Session, client: Client, job: Job) -> None:
    client.cancel(job.name)
    session.say(f"Cancelling {job.name} ...")
    states = [now.state for now in client.watch_job(job.name)]
    session.say(f"{job.name} is {states[-1]}.")


def validate(
    session: Session,
    model: Annotated[str, typer.Argument(help="Id of the model.")],
    report: Annotated[Path | None, typer.Option(help="Write the report as an HTML page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every figure as JSON.")] = None,
    min_quality: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Fail (exit code 1) if the quality is below."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Judge a model against rows that it has never seen."""
    with session.connect() as client:
        job = client.validate(model, seed=seed, wait=False)
        ended = follow(session, client, job, "validating")
        found = client.get_report(ended.result)
        for path, form in ((report, "html"), (json, "json")):
            if path is not None:
                path.write_bytes(client.render_report(found.name, form))
                session.say(f"Wrote {path}")
    session.show(found.to_dict(), lambda console: print_report(console, found))
    if min_quality is not None and found.quality < min_quality:
        raise SyntheflowError(
            f"The quality {found.quality:.3f} of {found.model} is below {min_quality:g}",
            code="FAILED_PRECONDITION",
            reason="QUALITY_TOO_LOW",
        )


def print_report(console: Console, report: Report) -> None:
    """Print a report: quality, its parts, its warnings."""
    console.print(f"{report.name}: {report.model} has the quality {report.quality:.3f}")
    render.table(
        console,
        ["PART", ">SCORE", "WHAT IT SAYS"],
        [[part.name, f"{part.value:.3f}", part.detail] for part in report.parts],
    )
    for warning in report.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
