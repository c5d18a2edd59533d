"""Runs the command line as a person would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("syntheflow"))


def clean_environment() -> dict[str, str]:
    """The environment without settings of this project that a developer may have."""
    return {name: value for name, value in os.environ.items() if "SYNTHEFLOW" not in name}


@dataclass(frozen=True)
class Cli:
    """`syntheflow` against the server at `address`."""

    address: str
    folder: Path

    def command(self, *words: object) -> list[str]:
        return [COMMAND, *map(str, words), "--server", self.address]

    def run(self, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if check and ended.returncode:
            raise AssertionError(f"{words} ended with {ended.returncode}:\n{ended.stderr}")
        return ended

    def bytes(self, *words: object) -> bytes:
        ended = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            check=False,
            timeout=240,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--output", "json").stdout)
