"""Makes the virtual environments of the systems, once, and keeps them in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from peers.registry import Environment


class InstallError(Exception):
    """An environment cannot be made; the text is the installer's last word."""


def default_cache() -> Path:
    """Return the folder that environments and runs are kept in."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "syntheflow-benchmarks"


def python_of(environment: Environment, cache: Path) -> Path:
    """Return the Python of an environment, which is made if the cache has none.

    The folder's name holds a digest of the pins and of the Python version, so that a changed
    pin makes a new environment.
    """
    wanted = "\n".join((sys.version, *environment.requirements))
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:10]
    folder = cache / "environments" / f"{environment.name}-{digest}"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted installation left
    print(f"installing {', '.join(environment.requirements)} ...", flush=True)
    _must([sys.executable, "-m", "venv", str(folder)])
    _must(
        [
            *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *environment.requirements,
        ]
    )
    if environment.unwanted:
        _must([str(python), "-m", "pip", "uninstall", "--quiet", "--yes", *environment.unwanted])
    _must([str(python), "-c", f"import {environment.shows}"])
    ready.touch()
    return python


def versions(python: Path) -> list[str]:
    """Return every package of an environment as NAME==VERSION."""
    return _must([str(python), "-m", "pip", "freeze", "--disable-pip-version-check"]).split()


def _must(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        raise InstallError(said[-1].strip() if said else f"{command[0]} failed")
    return ended.stdout
