"""The command line against a scripted server, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from support.cli import COMMAND, clean_environment
from support.scripted import Served, scripted
from syntheflow.cli.main import app


@dataclass
class Shell:
    """`syntheflow` with --server set; `run` expects success unless told otherwise."""

    address: str

    def run(self, *words: object, code: int = 0) -> Result:
        ended = CliRunner().invoke(
            app, [*map(str, words)], env={"SYNTHEFLOW_SERVER": self.address, "COLUMNS": "120"}
        )
        assert ended.exit_code == code, (ended.stdout, ended.stderr, ended.exception)
        return ended

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--output", "json").stdout)

    def process(self, *words: object, **settings: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [COMMAND, *map(str, words), "--server", self.address],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **settings,
        )


@pytest.fixture(autouse=True)
def _the_server_logs_elsewhere() -> Iterator[None]:
    """Server and command share this process, and stdout belongs to the command."""
    with Path(os.devnull).open("w") as nowhere:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(nowhere))
        yield
        structlog.reset_defaults()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "staging"
    folder.mkdir()
    with scripted(folder) as served:
        yield served


@pytest.fixture
def shell(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Shell(served.address)
