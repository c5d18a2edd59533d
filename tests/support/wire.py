"""Talks to a server with the generated stubs alone: what is on the wire, and nothing added."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import grpc
import psutil
import pyarrow as pa
from pyarrow import ipc

from syntheflow.v1 import job_service_pb2, job_service_pb2_grpc
from syntheflow.v1.synthesis_service_pb2 import GenerateResponse
from syntheflow.v1.synthesis_service_pb2_grpc import SynthesisServiceStub

ENDED = {
    job_service_pb2.JOB_STATE_SUCCEEDED,
    job_service_pb2.JOB_STATE_FAILED,
    job_service_pb2.JOB_STATE_CANCELLED,
}


@contextmanager
def connected(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        yield channel


def synthesis(channel: grpc.Channel) -> SynthesisServiceStub:
    return SynthesisServiceStub(channel)


def jobs(channel: grpc.Channel) -> job_service_pb2_grpc.JobServiceStub:
    return job_service_pb2_grpc.JobServiceStub(channel)


def joined(fragments: Iterable[GenerateResponse]) -> dict[str, bytes]:
    """The bytes of every table: its fragments put together in order."""
    parts: dict[str, list[bytes]] = defaultdict(list)
    for fragment in fragments:
        parts[fragment.table].append(fragment.data)
    return {table: b"".join(pieces) for table, pieces in parts.items()}


def arrow(data: bytes) -> pa.Table:
    return ipc.open_stream(data).read_all()


def ended(channel: grpc.Channel, name: str, *, within: float = 60.0) -> job_service_pb2.Job:
    """The job's last state, as WatchJob tells it."""
    request = job_service_pb2.WatchJobRequest(name=name)
    last = job_service_pb2.Job()
    for answer in jobs(channel).WatchJob(request, timeout=within):
        last = answer.job
    assert last.state in ENDED, "WatchJob stopped before the job did"
    return last


def children(pid: int) -> dict[int, psutil.Process]:
    """The server's worker processes, by id; Python's own helpers are left out."""
    found = {}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in words:
            found[process.pid] = process
    return found


def eventually(true: Callable[[], object], *, within: float = 20.0, what: str = "") -> None:
    """Wait until `true()` holds; fail, saying `what` was waited for, if it never does."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"waited {within} s in vain: {what}"
        time.sleep(0.05)
