"""Gives files to a child process and judges what comes of it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

CPU_SECONDS = 10.0
"""More is a hang; of processor time, since the machine may be busy."""
WALL_SECONDS = 90.0
MEMORY = 1_500 << 20
"""More resident bytes are too many."""
PROGRAM = Path(__file__).with_name("child.py")
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Outcome:
    """What came of one file: `kind` is tables, refused, or a finding (`is_finding`)."""

    kind: str
    what: str
    lines: int = 0

    @property
    def is_finding(self) -> bool:
        return self.kind not in {"tables", "refused"}


@dataclass
class Child:
    """A child that is started when needed and again after each death."""

    trace: bool = False
    program: Path = PROGRAM
    cpu_seconds: float = CPU_SECONDS
    memory: int = MEMORY
    _process: subprocess.Popen[bytes] | None = None
    _errors: Any = None
    _folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        self._folder.cleanup()

    def read(
        self,
        data: bytes,
        name: str,
        *,
        format: str | None = None,  # noqa: A002
        options: dict[str, Any] | None = None,
    ) -> Outcome:
        """Let the child read a file of that content and name."""
        process = self._started()
        work = Path(self._folder.name)
        path = work / "input"
        path.write_bytes(data)
        order = {"path": str(path), "name": name, "format": format, "options": options or {},
                 "work": str(work)}  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        return self._judged(process)

    def _judged(self, process: subprocess.Popen[bytes]) -> Outcome:
        seen = psutil.Process(process.pid)
        before, waited, problem = _cpu(seen), 0.0, None
        assert process.stdout is not None
        while not select.select([process.stdout], [], [], _LOOK_SECONDS)[0]:
            waited += _LOOK_SECONDS
            with contextlib.suppress(psutil.Error):
                if seen.memory_info().rss > self.memory:
                    problem = Outcome("memory", f"more than {self.memory >> 20} MiB")
                elif _cpu(seen) - before > self.cpu_seconds or waited > WALL_SECONDS:
                    problem = Outcome("hang", self._stack(process))
            if problem:
                self._end()
                return problem
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            trace = self._told()
            self._end()
            return Outcome("crash", f"exit code {code}\n{trace}")
        answer = json.loads(line)
        if answer["peak"] > self.memory:
            self._end()
            return Outcome("memory", f"a peak of {answer['peak'] >> 20} MiB")
        return Outcome(answer["outcome"], answer["what"], answer["new_lines"])

    def _stack(self, process: subprocess.Popen[bytes]) -> str:
        """Let the child tell where it is."""
        process.send_signal(6)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        return self._told()

    def _told(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-4_000:]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
            command = [sys.executable, str(self.program)]
            self._process = subprocess.Popen(
                command + ["--trace"] * self.trace,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            assert self._process.stdout is not None
            ready = self._process.stdout.readline()
            assert ready == b"ready\n", f"the child did not start: {self._told()}"
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
            self._process.wait()
            self._errors.close()
            self._process = None


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
