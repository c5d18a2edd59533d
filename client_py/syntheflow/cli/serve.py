"""`syntheflow serve`: becomes the server's process."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from syntheflow.cli.session import Session, command
from syntheflow.errors import SyntheflowError


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "serve")(serve)


def serve(
    session: Session,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of all that is kept. Default: ./syntheflow-data."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of gRPC. Default: 50051.")
    ] = None,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of HTTP. Default: 8080.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Sampling processes. Default: one a core.")
    ] = None,
) -> None:
    """Start a server here; stop it with Ctrl-C."""
    del session
    # Only looked for, never imported: the client does not know the server.
    missing = [n for n in ("syntheflow_server", "torch") if importlib.util.find_spec(n) is None]
    if missing:
        raise SyntheflowError(
            "The server is not installed here; install it with: pip install 'syntheflow[server]'",
            code="FAILED_PRECONDITION",
            reason="SERVER_NOT_INSTALLED",
            metadata={"missing": ", ".join(missing)},
        )
    flags = {
        "--data-dir": data_dir,
        "--host": host,
        "--port": port,
        "--http-port": http_port,
        "--workers": workers,
    }
    given = [word for flag, value in flags.items() if value is not None for word in (flag, value)]
    words = [sys.executable, "-m", "syntheflow_server", *map(str, given)]
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter, no shell
