"""The server as a process: refusals at the start, and the drain at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.operations import fetch
from support.wire import arrow, connected, ended, eventually, joined, synthesis
from syntheflow import Client
from syntheflow.v1.synthesis_service_pb2 import GenerateRequest, TableRows, TrainRequest

SERVE = """
import asyncio, sys
from pathlib import Path
from support.rooms import ENGINES, settings
from syntheflow_server.app import serve
from syntheflow_server.telemetry.logs import configure_logs
configure_logs("console", "info")
folder, port, http_port, grace, delay = sys.argv[1:]
asyncio.run(serve(settings(Path(folder), port=int(port), http_port=int(http_port),
    shutdown_grace_seconds=float(grace), drain_delay_seconds=float(delay)), ENGINES))
"""


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class Tiny:
    """A server with the tiny engine; its units take 50 ms."""

    def __init__(self, folder: Path, grace: float, delay: float) -> None:
        self.port, self.http_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "log"
        words = map(str, (folder / "data", self.port, self.http_port, grace, delay))
        environment = {**os.environ, "PYTHONPATH": "tests", "TINY_UNIT_SECONDS": "0.05"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, *words], stdout=log, stderr=log, env=environment
            )

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return fetch(f"http://127.0.0.1:{self.http_port}/readyz")[0] == 200
        except OSError:
            return False


@contextmanager
def tiny(folder: Path, *, grace: float = 20, delay: float = 0):
    """A ready server with the dataset and model `d`."""
    server = Tiny(folder, grace, delay)
    try:
        eventually(server.ready, within=60, what="readiness")
        pq.write_table(pa.table({"n": range(100)}), folder / "t.parquet")
        with Client(server.address) as client:
            client.upload("d", [folder / "t.parquet"])
        with connected(server.address) as channel:
            job = synthesis(channel).Train(TrainRequest(dataset="datasets/d")).job
            assert ended(channel, job.name).result == "models/d"
            yield server, channel
    finally:
        server.process.kill()
        server.process.wait()


def rows(count: int) -> GenerateRequest:
    return GenerateRequest(model="models/d", rows=[TableRows(table="t", rows=count)])


def test_a_stopping_server_says_so_refuses_new_work_and_finishes_its_streams(tmp_path):
    with tiny(tmp_path, delay=1.5) as (server, channel):
        expected = joined(synthesis(channel).Generate(rows(100_000)))
        stream = synthesis(channel).Generate(rows(100_000))
        first = [next(stream) for _ in range(3)]
        told = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(told).status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(told).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert fetch(f"http://127.0.0.1:{server.http_port}/readyz")[0] == 503
        time.sleep(1.6)
        with pytest.raises(grpc.RpcError) as refused:
            synthesis(channel).Train(TrainRequest(dataset="datasets/d"), timeout=5)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert joined([*first, *stream]) == expected
        assert arrow(expected["t"]).num_rows == 100_000
        assert server.process.wait(10) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_stream_without_end_is_cut_when_the_grace_is_over(tmp_path):
    with tiny(tmp_path, grace=0.5) as (server, channel):
        stream = synthesis(channel).Generate(rows(10**10))
        next(stream)
        reader = threading.Thread(target=lambda: _drained(stream))
        reader.start()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert time.monotonic() - began > 0.4
        reader.join(5)
        assert not reader.is_alive()
    assert "Traceback" not in server.log.read_text()


def test_a_second_signal_cuts_the_grace_short(tmp_path):
    with tiny(tmp_path, grace=60) as (server, channel):
        stream = synthesis(channel).Generate(rows(10**10))
        next(stream)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 0


def _drained(stream) -> None:
    try:
        for _ in stream:
            pass
    except grpc.RpcError:
        pass


def started(*flags: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "syntheflow_server", *map(str, flags)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


def assert_refused(refused: subprocess.CompletedProcess[str], *words: str) -> None:
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    last = refused.stderr.splitlines()[-1]
    for word in words:
        assert word in last


@pytest.mark.parametrize("flag", ["--port", "--http-port"])
def test_a_taken_port_is_told_in_one_sentence(tmp_path, flag):
    other = {"--port": "--http-port", "--http-port": "--port"}[flag]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = started("--data-dir", tmp_path, flag, port, other, 0)
    assert_refused(refused, "cannot listen", str(port))


def test_a_data_directory_in_use_is_told_in_one_sentence(tmp_path):
    from syntheflow_server.store.lock import locked

    with locked(tmp_path):
        refused = started("--data-dir", tmp_path, "--port", 0, "--http-port", 0)
    assert_refused(refused, "another server", str(os.getpid()), str(tmp_path))


def test_wrong_settings_are_told_by_name(tmp_path):
    assert_refused(started("--port", 70_000), "port", "65535")
    assert_refused(started(SYNTHEFLOW_MAX_RUNNING_JOBS="none"), "max_running_jobs")
    assert_refused(started("--config", tmp_path / "none.toml"), "none.toml")


def test_a_metadata_file_that_is_no_database_is_told_in_one_sentence(tmp_path):
    (tmp_path / "metadata.sqlite").write_bytes(b"no database" * 1000)
    refused = started("--data-dir", tmp_path, "--port", 0, "--http-port", 0)
    assert_refused(refused, "metadata")
