"""`python -m syntheflow_server`: reads the settings and runs the server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_CANNOT_START = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to stop; 2 if it cannot start, and says why."""
    flags = vars(_parser().parse_args(arguments))
    config = flags.pop("config") or os.environ.get("SYNTHEFLOW_CONFIG")
    given = {name: value for name, value in flags.items() if value is not None}

    from pydantic import ValidationError

    from syntheflow_server.config import load_settings
    from syntheflow_server.domain.errors import SyntheflowError
    from syntheflow_server.telemetry.logs import configure_logs

    try:
        settings = load_settings(Path(config) if config else None, **given)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = ".".join(map(str, fault["loc"]))
            _say(f"setting {name}: {fault['msg']}")
        return _CANNOT_START
    except (OSError, ValueError) as error:
        _say(f"cannot read the settings: {error}")
        return _CANNOT_START
    configure_logs(settings.log_format, settings.log_level)

    from syntheflow_server.app import serve

    try:
        asyncio.run(serve(settings))
    except (OSError, SyntheflowError) as error:
        _say(str(error))
        return _CANNOT_START
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"syntheflow-server: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="syntheflow-server",
        description="Synthetic data server. Every setting can also come from the environment "
        "(SYNTHEFLOW_PORT, ...) or from a TOML file; flags win.",
    )
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder of all that is kept (default: ./syntheflow-data)")
    add("--host", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, help="port of gRPC, 0 for any free one (default: 50051)")
    add("--http-port", type=int, help="port of HTTP, 0 for any free one (default: 8080)")
    add("--workers", type=int, help="sampling processes (default: one a core)")
    add("--config", help="TOML file with settings (also: SYNTHEFLOW_CONFIG)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
