"""`syntheflow sample-data`: data to try with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syntheflow.cli import render
from syntheflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    samples = group("Write made-up data to try with.")
    app.add_typer(samples, name="sample-data")
    command(samples, "hr")(hr)


def hr(
    session: Session,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    employees: Annotated[int, typer.Option(min=1, help="Employees of the company.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
) -> None:
    """Write the files of a made-up company: seven related tables."""
    from syntheflow.samples import hr as company

    out.mkdir(parents=True, exist_ok=True)
    paths = company.write(out, employees=employees, seed=seed)
    files = [{"path": str(path), "bytes": path.stat().st_size} for path in paths]
    rows = [[str(path), render.size(path.stat().st_size)] for path in paths]
    session.show(files, lambda console: render.table(console, ["FILE", ">SIZE"], rows))
    session.say(f"Upload them with: syntheflow upload hr {out}/*")
