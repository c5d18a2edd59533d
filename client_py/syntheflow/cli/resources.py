"""`syntheflow datasets`, `models` and `reports`: list, show, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syntheflow import cards
from syntheflow.cli import render
from syntheflow.cli.session import Session, command, group
from syntheflow.cli.verbs import print_dataset, print_report
from syntheflow.client import Client
from syntheflow.resources import resource_name
from syntheflow.values import Dataset, Model, Report, Resource

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its id or name.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Ids or names.")]


@dataclass(frozen=True)
class Kind:
    """One kind of resource: how it is fetched, listed and shown."""

    plural: str
    singular: str
    listed: Callable[[Client], Iterator[Resource]]
    get: Callable[[Client, str], Resource]
    delete: Callable[[Client, str], None]
    columns: tuple[str, ...]
    row: Callable[[Any], list[str]]
    show: Callable[[Console, Any], None]


def add_kind(app: typer.Typer, kind: Kind) -> typer.Typer:
    """Register the group of a kind with list, show and delete, and return it."""
    commands = group(f"List, show and delete {kind.plural}.")
    app.add_typer(commands, name=kind.plural)

    def list_(session: Session) -> None:
        with session.connect() as client:
            found = list(kind.listed(client))
        rows = [kind.row(one) for one in found]
        session.show(
            [one.to_dict() for one in found],
            lambda console: render.table(console, kind.columns, rows),
        )

    def show(
        session: Session,
        name: Name,
    ) -> None:
        with session.connect() as client:
            found = kind.get(client, name)
        session.show(found.to_dict(), lambda console: kind.show(console, found))

    def delete(
        session: Session,
        names: Names,
    ) -> None:
        done: list[str] = []
        with session.connect() as client:
            for name in names:
                kind.delete(client, name)
                done.append(resource_name(kind.plural, name))
                session.say(f"Deleted {done[-1]}")
        session.show({"deleted": done}, lambda _: None)

    list_.__doc__ = f"List all {kind.plural}, newest first."
    show.__doc__ = f"Show one {kind.singular}."
    delete.__doc__ = f"Delete {kind.plural}."
    command(commands, "list")(list_)
    command(commands, "show")(show)
    command(commands, "delete")(delete)
    return commands


def add_to(app: typer.Typer) -> None:
    """Register the groups."""
    add_kind(app, DATASETS)
    command(add_kind(app, MODELS), "card")(card)
    add_kind(app, REPORTS)


def _dataset_row(dataset: Dataset) -> list[str]:
    return [
        dataset.name,
        f"{len(dataset.tables):,}",
        f"{sum(table.rows for table in dataset.tables):,}",
        render.size(sum(table.bytes for table in dataset.tables)),
        render.moment(dataset.create_time),
    ]


def _model_row(model: Model) -> list[str]:
    return [
        model.name,
        model.dataset,
        model.engine,
        f"{len(model.schema.tables):,}",
        render.duration(model.train_seconds),
        render.size(model.bytes),
        render.moment(model.create_time),
    ]


def _print_model(console: Console, model: Model) -> None:
    render.fields(console, cards.facts_of(model))
    heads, rows = cards.tables_of(model)
    filled = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    render.table(
        console, [heads[at] for at in filled], [[row[at] for at in filled] for row in rows]
    )
    heads, rows = cards.ledger_of(model)
    if rows:
        console.print("privacy ledger:")
        render.table(console, heads, rows)
    for table, text in (*cards.keys_of(model), *cards.relations_of(model)):
        console.print(f"{table}: {text}", soft_wrap=True)


class CardForm(StrEnum):
    """Form of a model's card."""

    TEXT = "text"
    HTML = "html"
    JSON = "json"


def card(
    session: Session,
    name: Name,
    form: Annotated[
        CardForm | None,
        typer.Option("--format", help="Default: text.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file. Default: stdout.")
    ] = None,
) -> None:
    """Write a model's card: what it was trained on, how, and what it knows; no values."""
    with session.connect() as client:
        model = client.get_model(name)
    chosen = form or (CardForm.JSON if session.as_json else CardForm.TEXT)
    text = cards.render_card(model, chosen.value)
    if out is None:
        print(text, end="")
        return
    out.write_text(text, encoding="utf-8")
    session.say(f"Wrote {out}")


def _report_row(report: Report) -> list[str]:
    return [report.name, report.model, f"{report.quality:.3f}", render.moment(report.create_time)]


DATASETS = Kind(
    plural="datasets",
    singular="dataset",
    listed=Client.list_datasets,
    get=Client.get_dataset,
    delete=Client.delete_dataset,
    columns=("NAME", ">TABLES", ">ROWS", ">SIZE", "MADE"),
    row=_dataset_row,
    show=print_dataset,
)
MODELS = Kind(
    plural="models",
    singular="model",
    listed=Client.list_models,
    get=Client.get_model,
    delete=Client.delete_model,
    columns=("NAME", "DATASET", "ENGINE", ">TABLES", ">TRAINED IN", ">SIZE", "MADE"),
    row=_model_row,
    show=_print_model,
)
REPORTS = Kind(
    plural="reports",
    singular="report",
    listed=Client.list_reports,
    get=Client.get_report,
    delete=Client.delete_report,
    columns=("NAME", "MODEL", ">QUALITY", "MADE"),
    row=_report_row,
    show=print_report,
)
