"""A server of one's own: started on free ports for as long as a `with` block lasts.

For demos, notebooks and test suites. Needs the server installed beside the
client (`pip install 'syntheflow[server]'`); the client itself never imports it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from syntheflow.errors import SyntheflowError

_HOST = "127.0.0.1"


class LocalServer:
    """A server process on this machine; `with LocalServer(folder) as server: ...`.

    `data_dir` keeps its data, also when the server has stopped; `workers` is the
    number of sampling processes (default: one a core); `log` is the file that
    the server's output goes to (default: server.log in `data_dir`). `environment` is
    added to this process's own: the way for settings and secrets (SYNTHEFLOW_*).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        workers: int | None = None,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.log = log or data_dir / "server.log"
        self.port = self.http_port = 0
        self._workers = workers
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where gRPC answers, as Client and --server take it."""
        return f"{_HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Where HTTP answers: metrics, healthz, readyz."""
        return f"http://{_HOST}:{self.http_port}"

    @property
    def pid(self) -> int:
        """Process id of the server; RuntimeError if it was never started."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What the process ended with; None while it lives or if it was never started."""
        return None if self._process is None else self._process.poll()

    def start(self, *, timeout_seconds: float = 60.0) -> None:
        """Start the server and return when it is ready for work.

        Raises SyntheflowError with the last lines of its log if it ends or is not
        ready in time.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port, self.http_port = _free_ports()
        flags = {"data-dir": self.data_dir, "port": self.port, "http-port": self.http_port}
        if self._workers is not None:
            flags["workers"] = self._workers
        command = [sys.executable, "-m", "syntheflow_server"]
        command += [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                command, stdout=log, stderr=log, env={**os.environ, **self._environment}
            )
        try:
            self._wait_ready(time.monotonic() + timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, timeout_seconds: float = 40.0) -> None:
        """Ask the server to stop, wait, and end it by force if it has not in time."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_ready(self, deadline: float) -> None:
        while not _answers(f"{self.url}/readyz"):
            if not self.running:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise self._failure("was not ready in time")
            time.sleep(0.05)

    def _failure(self, what: str) -> SyntheflowError:
        tail = self.log.read_text(errors="replace").splitlines()[-8:]
        text = f"The server {what}; the end of {self.log}:\n  " + "\n  ".join(tail)
        return SyntheflowError(text, code="UNAVAILABLE", reason="SERVER_NOT_STARTED")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always http
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_ports() -> tuple[int, int]:
    """Return two free ports; both are held until both are known, so that they differ."""
    with ExitStack() as stack:
        first, second = stack.enter_context(_free_port()), stack.enter_context(_free_port())
        return first, second


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind((_HOST, 0))
        yield int(held.getsockname()[1])
