"""Runs one module in a Python of its own: one core, a time limit, nothing inherited."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON")
_ERROR = re.compile(r"[A-Za-z_.]*(Error|Exception|Exit): ")
_running: set[subprocess.Popen[bytes]] = set()


def end_all() -> None:
    """Kill every child that runs now; they have sessions of their own and would go on."""
    for child in tuple(_running):
        _end(child)


def launch(
    python: Path,
    module: str,
    job: Mapping[str, Any],
    folder: Path,
    *,
    core: int,
    time_limit: float,
    home: Path = HERE,
) -> str:
    """Run `python -m module job.json` on one core; return '' or why it did not end well.

    `module` is looked for in `home`. `folder` receives job.json and log.txt. At the time limit
    (wall seconds) the process and all that it started are killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order, log = folder / "job.json", folder / "log.txt"
    order.write_text(json.dumps({**job, "core": core}))
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [str(python), "-m", module, str(order)],
            cwd=home,
            env=_surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(child)
        began = time.monotonic()
        try:
            code = child.wait(time_limit)
        except subprocess.TimeoutExpired:
            return f"stopped at the time limit of {time_limit:g} s"
        finally:
            _end(child)
            _running.discard(child)
    return _reason(code, log, time.monotonic() - began) if code else ""


def _surroundings() -> dict[str, str]:
    """Return the environment variables of a child: one thread, no GPU, no hub."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = {f"{name}_NUM_THREADS": "1" for name in _THREADS}
    threads["POLARS_MAX_THREADS"] = "1"
    return {
        **kept,
        **threads,
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
    }


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's session."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _reason(code: int, log: Path, seconds: float) -> str:
    """Say in one line why a child ended with a code that is not 0."""
    if code < 0:
        what = f"killed by signal {signal.Signals(-code).name} after {seconds:.0f} s"
        return what + (" (out of memory?)" if -code == signal.SIGKILL else "")
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    named = [line for line in lines if _ERROR.match(line)]  # its words may go on for lines
    return (named or lines)[-1].strip()[:200] if lines else f"ended with code {code}"
