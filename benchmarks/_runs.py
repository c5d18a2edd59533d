"""What the programs that run systems beside each other share: environments, cores, the end."""

from __future__ import annotations

import os
import platform
import queue
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from peers.environments import InstallError, python_of, versions
from peers.launch import end_all
from peers.registry import SCORER, System

_Case = TypeVar("_Case")


def end_with_children() -> None:
    """Let a signal end all children at once; --resume goes on from there."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, _: object) -> None:
    end_all()
    os._exit(128 + number)


def chosen(systems: Mapping[str, System], asked: str, default: Iterable[str]) -> list[str]:
    """Return the systems asked for by name, or SystemExit that names those there are."""
    names = asked.split(",") if asked else list(default)
    unknown = [name for name in names if name not in systems]
    if unknown:
        raise SystemExit(f"no system {unknown[0]!r}; there are {', '.join(systems)}")
    return names


def pythons_of(
    systems: Mapping[str, System], names: Sequence[str], cache: Path
) -> tuple[dict[str, Path], dict[str, str], Path]:
    """Make the environments; return Pythons, why some systems have none, and the scorer's."""
    pythons: dict[str, Path] = {}
    absent: dict[str, str] = {}
    for name in names:
        environment = systems[name].environment
        try:
            pythons[name] = python_of(environment, cache) if environment else Path(sys.executable)
        except InstallError as error:
            absent[name] = f"could not be installed: {error}"
    try:
        return pythons, absent, python_of(SCORER, cache)
    except InstallError as error:
        raise SystemExit(f"the scorer could not be installed: {error}") from error


def on_cores(
    jobs: int, cases: Sequence[_Case], run: Callable[[_Case, int], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Run all cases, `jobs` at once, each with a core of its own; return all their lines."""
    free: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0), reverse=True)[:jobs]:
        free.put(core)

    def one(case: _Case) -> list[dict[str, Any]]:
        core = free.get()
        try:
            return run(case, core)
        finally:
            free.put(core)

    with ThreadPoolExecutor(jobs) as pool:
        return [line for lines in pool.map(one, cases) for line in lines]


def installed(pythons: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the exact packages of each environment."""
    known: dict[Path, list[str]] = {}
    for python in pythons.values():
        if python not in known:
            known[python] = versions(python)
    return {name: known[python] for name, python in pythons.items()}


def machine(jobs: int) -> dict[str, Any]:
    """Say what the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "cores_used": jobs,
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
    }
