"""`syntheflow schema`: shows and corrects what was inferred."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from syntheflow import schemas
from syntheflow.cli import render
from syntheflow.cli.session import Session, command, group


class Form(StrEnum):
    """Form of a schema's text."""

    YAML = "yaml"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    schema = group("Show and correct a dataset's schema.")
    app.add_typer(schema, name="schema")
    command(schema, "show")(show)
    command(schema, "apply")(apply)


def show(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Id of the dataset.")],
    form: Annotated[
        Form | None, typer.Option("--format", help="Default: yaml.", show_default=False)
    ] = None,
) -> None:
    """Print a dataset's schema as a file that `apply` takes."""
    with session.connect() as client:
        fields = schemas.to_dict(client.get_dataset(dataset).schema)
    chosen = form or (Form.JSON if session.as_json else Form.YAML)
    print(schemas.dump(fields, chosen.value), end="")


def apply(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Id of the dataset.")],
    file: Annotated[Path, typer.Argument(metavar="SCHEMA", help="YAML or JSON.")],
) -> None:
    """Correct a dataset's schema; what the file leaves out stays as it is."""
    part = schemas.load(file)
    with session.connect() as client:
        before = client.get_dataset(dataset)
        whole = schemas.merged(schemas.to_dict(before.schema), part)
        after = client.update_schema(dataset, whole, etag=before.etag)
    fields = schemas.to_dict(after.schema)
    tables = render.count(len(after.schema.tables), "table")
    keys = render.count(len(after.schema.foreign_keys), "reference")
    session.show(fields, lambda console: console.print(f"{after.name}: {tables}, {keys}"))
