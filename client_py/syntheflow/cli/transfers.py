"""`syntheflow import` and `export`: the server reads and writes places by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syntheflow import schemas
from syntheflow.cli import render, wishes
from syntheflow.cli.generate import Form
from syntheflow.cli.places import given_place, refuse_password
from syntheflow.cli.session import Session, command
from syntheflow.cli.sharing import Mode, reading, writing
from syntheflow.cli.verbs import Seed, follow, print_dataset
from syntheflow.cli.wishes import understood

if TYPE_CHECKING:
    from rich.console import Console

    from syntheflow.values import Job

Tables = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Only these tables, or files of a folder (sales_*); can be repeated.",
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Tables (audit_*) or columns (users.password) to leave out; can be repeated.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str, typer.Option(help="The database's schema. Default: the connection's own.")
]
SampleRows = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Read only about so many rows of the whole, with the relations kept.",
        show_default=False,
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        help="What happens to tables that are there: create refuses them, append adds rows, "
        "truncate empties them first, replace makes them anew. Files: create or replace."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "import")(reading(import_))
    command(app, "export")(writing(export))


def import_(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Id of the new dataset.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A database, folder or bucket, or the name of a connection."
        ),
    ],
    tables: Tables = None,
    exclude: Exclude = None,
    namespace: Namespace = "",
    sample_rows: SampleRows = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON with what you know of the schema; it wins."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    read: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Let the server read a database, a folder or a bucket as a new dataset.

    Passwords stand in the server's settings, never in the URL. Ctrl-C cancels.
    """
    place = refuse_password(given_place(source), "URL")
    hint = None if schema is None else schemas.load(schema)
    with session.connect() as client:
        job = client.import_dataset(
            dataset,
            place.text,
            tables=tables or (),
            exclude=exclude or (),
            namespace=namespace,
            sample_rows=sample_rows,
            schema=hint,
            read=read,
            wait=False,
        )
        if detach:
            _detached(session, job)
            return
        ended = follow(session, client, job, "importing")
        made = client.get_dataset(ended.result)
    session.show(made.to_dict(), lambda console: print_dataset(console, made))
    session.say(f"Learn it with: syntheflow train {made.id}")


def export(
    session: Session,
    model: Annotated[str, typer.Argument(help="Id of the model.")],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A database, folder or bucket, or the name of a connection."
        ),
    ],
    mode: ModeOption = Mode.CREATE,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Of files. Default: parquet.", show_default=False),
    ] = None,
    namespace: Namespace = "",
    scale: wishes.Scale = 1.0,
    rows: wishes.Rows = None,
    tables: wishes.Tables = None,
    where: wishes.Where = None,
    share: wishes.Share = None,
    existing_dataset: wishes.ExistingDataset = None,
    orphans: wishes.Orphans = False,
    temperature: wishes.Temperature = 1.0,
    seed: Seed = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    write: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Make rows and let the server write them into a database, a folder or a bucket.

    Passwords stand in the server's settings, never in the URL. Ctrl-C cancels and leaves
    nothing; if the server stops, the export goes on when it is back.
    """
    place = refuse_password(given_place(destination), "URL")
    _demand_format(place.is_database, form)
    with session.connect() as client:
        known = client.get_model(model)
        wish = understood(known, scale, rows or [], tables or [], None, seed)
        there = wishes.existing_rows(client, known, [], existing_dataset)
        job = client.export(
            known.name,
            place.text,
            mode=mode.value,
            namespace=namespace,
            format=form.word if form else "",
            where=wishes.conditions(known, where or [], share or []),
            existing={table: str(name) for table, name in there.items()},
            seed=seed,
            scale=scale,
            rows=wish.rows,
            tables=wish.tables,
            orphans=orphans,
            temperature=temperature,
            write=write,
            wait=False,
        )
        if detach:
            _detached(session, job)
            return
        ended = follow(session, client, job, "exporting")
    session.show(ended.to_dict(), lambda console: print_written(console, ended))


def _demand_format(is_database: bool | None, form: Form | None) -> None:
    if is_database and form is not None:
        raise typer.BadParameter("--format is of files; a database needs none")


def print_written(console: Console, job: Job) -> None:
    """Print what an export wrote."""
    lines = [[table, f"{rows:,}"] for table, rows in job.tables.items()]
    render.table(console, ["TABLE", ">ROWS"], lines)
    for note in job.notes:
        console.print(note, soft_wrap=True)
    rows = render.count(sum(job.tables.values()), "row")
    seconds = 0.0
    if job.start_time and job.end_time:
        seconds = (job.end_time - job.start_time).total_seconds()
    console.print(f"{rows} in {job.result} after {render.duration(seconds)}", soft_wrap=True)


def _detached(session: Session, job: Job) -> None:
    session.show(job.to_dict(), lambda console: console.print(job.name))
    session.say(f"The job goes on; watch it with: syntheflow jobs watch {job.id}")
