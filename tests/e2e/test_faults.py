"""Processes die and callers leave: nobody waits for ever, and the server stays sound."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import psutil
import pytest

from support.company import DATASET, MODEL, ORDERS
from support.operations import metric
from support.wire import arrow, children, connected, ended, eventually, jobs, joined, synthesis
from syntheflow.local import LocalServer
from syntheflow.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    job_service_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
)
from syntheflow.v1.synthesis_service_pb2 import (
    GenerateRequest,
    TableRows,
    TrainRequest,
    UploadFileEnd,
    UploadFileStart,
    UploadHeader,
    UploadRequest,
    ValidateRequest,
)

LONG = GenerateRequest(
    model=f"models/{ORDERS}", seed=1, rows=[TableRows(table=ORDERS, rows=300_000)]
)
ENDLESS = GenerateRequest(
    model=f"models/{ORDERS}", seed=1, rows=[TableRows(table=ORDERS, rows=10**10)]
)


@pytest.fixture(scope="module")
def server(start_server: Callable[..., LocalServer]) -> LocalServer:
    """One for this module alone: its tests hurt it."""
    return start_server()


@pytest.fixture
def channel(server: LocalServer) -> Iterator[grpc.Channel]:
    with connected(server.address) as channel:
        yield channel


def train(channel: grpc.Channel, model: str) -> str:
    request = TrainRequest(dataset=f"datasets/{DATASET}", model_id=model, seed=1)
    return str(synthesis(channel).Train(request, timeout=20).job.name)


def working(channel: grpc.Channel, job: str) -> None:
    """Wait until the job is under way."""
    request = job_service_pb2.WatchJobRequest(name=job)
    for answer in jobs(channel).WatchJob(request, timeout=60):
        if answer.job.state == job_service_pb2.JOB_STATE_RUNNING and answer.job.progress > 0:
            return
    raise AssertionError(f"{job} ended before it was under way")


def seconds_worked(server: LocalServer) -> float:
    """Processor seconds of all workers so far."""
    return sum(process.cpu_times().user for process in children(server.pid).values())


def resources(channel: grpc.Channel) -> set[str]:
    """Names of all datasets, models and reports."""
    datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel).ListDatasets(
        dataset_service_pb2.ListDatasetsRequest()
    )
    models = model_service_pb2_grpc.ModelServiceStub(channel).ListModels(
        model_service_pb2.ListModelsRequest()
    )
    reports = report_service_pb2_grpc.ReportServiceStub(channel).ListReports(
        report_service_pb2.ListReportsRequest()
    )
    return {r.name for r in (*datasets.datasets, *models.models, *reports.reports)}


def assert_sound(server: LocalServer, expected: set[str]) -> None:
    """The server holds what it held, nothing half made, and still makes the same rows."""
    with connected(server.address) as channel:
        assert resources(channel) == expected
        rows = joined(synthesis(channel).Generate(GenerateRequest(model=f"models/{MODEL}")))
        assert arrow(rows["employees"]).num_rows > 0
        for job in jobs(channel).ListJobs(job_service_pb2.ListJobsRequest()).jobs:
            ended(channel, job.name, within=30)


def test_sampling_workers_killed_in_mid_stream_cost_no_row(server, channel):
    expected = joined(synthesis(channel).Generate(LONG, timeout=120))
    fragments = []
    for fragment in synthesis(channel).Generate(LONG, timeout=120):
        fragments.append(fragment)
        if len(fragments) == 3:
            victims = children(server.pid)
            assert metric(server, "syntheflow_active_streams") == 1
            for process in victims.values():
                process.kill()
    assert joined(fragments) == expected
    assert metric(server, "syntheflow_worker_deaths_total") >= len(victims) == 2
    eventually(lambda: len(children(server.pid)) == 2, what="new workers")


def test_a_killed_training_process_is_a_failed_job(server, channel):
    before = resources(channel)
    workers = set(children(server.pid))
    job = train(channel, "killed")
    eventually(lambda: set(children(server.pid)) - workers, what="the training process")
    victims = [process for pid, process in children(server.pid).items() if pid not in workers]
    for process in victims:
        process.kill()
    last = ended(channel, job, within=20)
    assert last.state == job_service_pb2.JOB_STATE_FAILED
    assert last.error.message
    assert_sound(server, before)


def test_a_cancelled_training_ends_at_once_and_leaves_nothing(server, channel):
    before = resources(channel)
    workers = set(children(server.pid))
    job = train(channel, "cancelled")
    working(channel, job)
    jobs(channel).CancelJob(job_service_pb2.CancelJobRequest(name=job))
    assert ended(channel, job, within=5).state == job_service_pb2.JOB_STATE_CANCELLED
    eventually(lambda: set(children(server.pid)) <= workers, within=5, what="the end of training")
    assert_sound(server, before)


def test_a_cancelled_stream_stops_the_work(server, channel):
    stream = synthesis(channel).Generate(ENDLESS)
    next(stream)
    assert metric(server, "syntheflow_active_streams") == 1
    stream.cancel()
    eventually(
        lambda: metric(server, "syntheflow_active_streams") == 0, within=5, what="the stream's end"
    )
    made, used = metric(server, "syntheflow_generated_rows_total"), seconds_worked(server)
    time.sleep(1)
    assert metric(server, "syntheflow_generated_rows_total") == made
    assert seconds_worked(server) - used < 0.3


def test_a_slow_reader_slows_the_server(server, channel):
    stream = synthesis(channel).Generate(ENDLESS)
    next(stream)
    counts = [-1.0, metric(server, "syntheflow_generated_rows_total")]

    def still() -> bool:
        time.sleep(1.5)
        counts.append(metric(server, "syntheflow_generated_rows_total"))
        return counts[-1] == counts[-2]

    eventually(still, within=30, what="the server to wait for its reader")
    stream.cancel()


@pytest.mark.parametrize("verb", ["upload", "train", "generate", "validate"])
def test_a_server_killed_in_the_middle_is_sound_after_its_restart(server, verb):
    with connected(server.address) as channel:
        before = resources(channel)
        job = BEGIN[verb](channel)
        orphans = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        server.kill()
        with pytest.raises(grpc.RpcError) as seen:
            AFTER[verb](channel, job)
        assert seen.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    _, alive = psutil.wait_procs(orphans, timeout=15)
    assert not alive, "processes outlived their server"
    server.start()
    if verb == "train":  # it goes on, until it is told otherwise
        with connected(server.address) as channel:
            working(channel, job)
            jobs(channel).CancelJob(job_service_pb2.CancelJobRequest(name=job))
            assert ended(channel, job).state == job_service_pb2.JOB_STATE_CANCELLED
    assert_sound(server, before)
    if verb == "validate":
        with connected(server.address) as channel:
            last = ended(channel, job)
        assert last.state == job_service_pb2.JOB_STATE_FAILED
        assert "start it again" in last.error.message


def test_after_a_crash_the_same_upload_goes_through(server):
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (row, row % 7) for row in range(500))
    end = UploadFileEnd(size_bytes=len(data), sha256=hashlib.sha256(data).digest())
    messages = [
        UploadRequest(header=UploadHeader(dataset_id="half")),
        UploadRequest(file_start=UploadFileStart(file_name="numbers.csv")),
        UploadRequest(chunk=data),
        UploadRequest(file_end=end),
    ]
    with connected(server.address) as channel:
        answer = synthesis(channel).Upload(iter(messages), timeout=60)
        assert [t.rows for t in answer.dataset.tables] == [500]
        request = dataset_service_pb2.DeleteDatasetRequest(name="datasets/half")
        dataset_service_pb2_grpc.DatasetServiceStub(channel).DeleteDataset(request)


class _Upload:
    """An upload whose last message never comes."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._go_on = threading.Event()
        self._sent = threading.Event()
        self.call = synthesis(channel).Upload.future(self._messages())
        assert self._sent.wait(10)

    def _messages(self) -> Iterator[UploadRequest]:
        yield UploadRequest(header=UploadHeader(dataset_id="half"))
        yield UploadRequest(file_start=UploadFileStart(file_name="numbers.csv"))
        for _ in range(4):
            yield UploadRequest(chunk=b"a,b\n1,2\n" * 50_000)
        self._sent.set()
        self._go_on.wait(30)

    def result(self) -> None:
        try:
            self.call.result(timeout=30)
        finally:
            self._go_on.set()


def _begin_generate(channel: grpc.Channel) -> Iterator[object]:
    stream = synthesis(channel).Generate(LONG)
    next(stream)
    return stream


def _begin_train(channel: grpc.Channel) -> str:
    job = train(channel, "half")
    working(channel, job)
    return job


def _begin_validate(channel: grpc.Channel) -> str:
    request = ValidateRequest(model=f"models/{MODEL}", seed=1)
    job = str(synthesis(channel).Validate(request, timeout=20).job.name)
    working(channel, job)
    return job


BEGIN = {
    "upload": _Upload,
    "train": _begin_train,
    "generate": _begin_generate,
    "validate": _begin_validate,
}
AFTER = {
    "upload": lambda _, upload: upload.result(),
    "train": lambda channel, job: ended(channel, job, within=10),
    "generate": lambda _, stream: list(stream),
    "validate": lambda channel, job: ended(channel, job, within=10),
}
