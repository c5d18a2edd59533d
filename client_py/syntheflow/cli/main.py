"""The command `syntheflow`: puts all commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from syntheflow.cli import (
    clone,
    generate,
    jobs,
    resources,
    samples,
    schema,
    serve,
    session,
    transfers,
    verbs,
)
from syntheflow.cli.demo import demo


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"syntheflow {version('syntheflow')}")
        raise typer.Exit


def _root(
    context: typer.Context,
    server: session.ServerOption = None,
    output: session.OutputOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn real tables, stream synthetic rows that keep statistics, keys and relations."""
    del version
    session.remember(context, server, output)


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.callback()(_root)
serve.add_to(app)
verbs.add_to(app)
generate.add_to(app)
transfers.add_to(app)
clone.add_to(app)
schema.add_to(app)
resources.add_to(app)
jobs.add_to(app)
samples.add_to(app)
session.guarded_command(app, "demo")(demo)


def run() -> None:
    """Run the command line; the entry point of the script `syntheflow`."""
    app(prog_name="syntheflow")
