"""What happens when the network fails between a client and a server that is well."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support import scripted
from syntheflow import Client, SyntheflowError
from syntheflow_server.domain.resources import JobState


class Relay:
    """Passes bytes on to `target` and cuts its first connections after so many from there."""

    def __init__(self, target: str, *, cut_after: int, cuts: int) -> None:
        self._target = target.rpartition(":")[::2]
        self._cut_after, self._cuts = cut_after, cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection((self._target[0], int(self._target[1])))
                limit = self._cut_after if self._cuts > 0 else None
                self._cuts -= 1
                for source, sink, left in ((near, far, None), (far, near, limit)):
                    thread = threading.Thread(target=self._pass, args=(source, sink, left))
                    self._threads.append(thread)
                    thread.start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(4_096):
                sink.sendall(data)
                left = None if left is None else left - len(data)
                if left is not None and left < 0:
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def through(served) -> Iterator:
    opened = []

    def connect(*, cut_after: int, cuts: int) -> Client:
        relay = Relay(served.address, cut_after=cut_after, cuts=cuts)
        client = Client(relay.address)
        opened.append((client, relay))
        return client

    yield connect
    for client, relay in opened:
        client.close()
        relay.close()


@pytest.mark.parametrize("cuts", [1, 3])
def test_reading_a_table_goes_on_where_the_connection_broke(through, client, cuts):
    flaky = through(cut_after=60_000, cuts=cuts)
    sizes = {"people": 20_000}
    assert flaky.read("hr", table="people", sizes=sizes).equals(
        client.read("hr", table="people", sizes=sizes)
    )


def test_waiting_for_a_job_outlives_a_broken_connection(through, served):
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.RUNNING, stage=f"step {step}") for step in range(100)
    ] + [scripted.job(state=JobState.SUCCEEDED, result="models/hr")]
    flaky = through(cut_after=3_000, cuts=2)
    stages = []
    assert flaky.wait("one", on_progress=lambda job: stages.append(job.stage)).result == "models/hr"
    assert len(stages) > 50


def test_a_stream_of_bytes_says_that_the_connection_broke(through):
    flaky = through(cut_after=30_000, cuts=1)
    with pytest.raises(SyntheflowError) as seen:
        list(flaky.generate("hr", rows={"people": 20_000}))
    assert seen.value.reason == "CONNECTION_BROKEN"
    assert "ask again" in seen.value.message


def test_files_of_a_broken_stream_are_not_left(through, tmp_path):
    flaky = through(cut_after=30_000, cuts=1)
    with pytest.raises(SyntheflowError):
        flaky.generate_files("hr", tmp_path / "out", rows={"people": 200_000})
    assert list((tmp_path / "out").iterdir()) == []
