"""Calls through the real gRPC server: errors, cancellation, deadlines, health, metrics."""

from __future__ import annotations

import re
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from pyarrow import ipc
from structlog.testing import capture_logs

from support import scripted
from support.wire import eventually, joined, synthesis
from syntheflow.v1 import dataset_service_pb2 as datasets
from syntheflow.v1 import dataset_service_pb2_grpc, report_service_pb2, report_service_pb2_grpc
from syntheflow.v1.synthesis_service_pb2 import GenerateRequest, TrainRequest
from syntheflow_server.domain.errors import ExhaustedError, SyntheflowError
from syntheflow_server.rpc.server import SERVICES

HR = GenerateRequest(model="models/hr")


def dataset_service(channel):
    return dataset_service_pb2_grpc.DatasetServiceStub(channel)


def get(channel, name="datasets/hr"):
    return dataset_service(channel).GetDataset(datasets.GetDatasetRequest(name=name), timeout=5)


def error_of(call) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as seen:
        call()
    return seen.value


def error_info(error) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert [d.Unpack(info) for d in status.details].count(True) == 1
    return info


def test_a_stream_is_one_arrow_stream_a_table(channel):
    tables = joined(synthesis(channel).Generate(HR, timeout=10))
    assert tables.keys() == {"people", "pets"}
    people = ipc.open_stream(tables["people"]).read_all()
    assert people["id"].to_pylist() == list(range(2_500))


def test_a_domain_error_carries_its_details(channel):
    error = error_of(lambda: get(channel, "datasets/none"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error_info(error).reason == "NOT_FOUND"


@pytest.mark.parametrize("name", ["hr", "models/hr", "datasets/", "datasets/A b", "datasets/a/b"])
def test_a_bad_name_is_an_invalid_argument(channel, name):
    error = error_of(lambda: get(channel, name))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "REQUEST_INVALID"


def test_an_error_that_nobody_foresaw_tells_an_id_and_nothing_else(served, channel):
    served.service.fail["get_dataset"] = [ValueError("salary of Anna Schmidt: 91,000")]
    with capture_logs() as logs:
        error = error_of(lambda: get(channel))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "Anna" not in f"{error} {error.trailing_metadata()}"
    incident = re.search(r"internal error (\w+)", error.details())[1]
    entry = next(log for log in logs if log["event"] == "internal error")
    assert incident in entry.values()
    assert "ValueError" in entry["trace"]
    assert "Anna" not in str(logs)


def test_an_error_in_mid_stream_is_told_after_the_rows(served, channel):
    served.service.cut_after = 2_000
    served.service.fail["cut"] = [ExhaustedError("Full.", reason="FULL", retry_after_seconds=1)]
    stream = synthesis(channel).Generate(HR, timeout=10)
    received = []
    error = error_of(lambda: received.extend(stream))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(error).reason == "FULL"


def test_a_cancelled_stream_closes_the_work_behind_it(served, channel):
    served.service.endless = True
    stream = synthesis(channel).Generate(HR)
    next(stream)
    assert not served.service.closed.is_set()
    stream.cancel()
    assert served.service.closed.wait(5)
    eventually(lambda: handled(served, "Generate", "Canceled") == 1)


def test_a_deadline_closes_the_work_behind_it(served, channel):
    served.service.endless = True
    stream = synthesis(channel).Generate(HR, timeout=0.3)
    error = error_of(lambda: list(stream))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert served.service.closed.wait(5)
    eventually(
        lambda: handled(served, "Generate", "DeadlineExceeded")
        + handled(served, "Generate", "Canceled") == 1
    )  # fmt: skip


def test_a_client_that_is_gone_closes_the_work_behind_it(served):
    served.service.endless = True
    channel = grpc.insecure_channel(served.address)
    next(synthesis(channel).Generate(HR))
    channel.close()
    assert served.service.closed.wait(5)


def test_a_watcher_who_leaves_is_noticed(served, channel):
    from syntheflow.v1 import job_service_pb2, job_service_pb2_grpc

    request = job_service_pb2.WatchJobRequest(name="jobs/one")
    stream = job_service_pb2_grpc.JobServiceStub(channel).WatchJob(request)
    next(stream)
    stream.cancel()
    assert served.service.closed.wait(5)


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"dataset": "hr"}, "dataset"),
        ({"model_id": "Not An Id"}, "model_id"),
        ({"seed": -1}, "seed"),
        ({"holdout_share": 0.6}, "holdout_share"),
        ({"holdout_share": float("nan")}, "holdout_share"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"time_limit": {"seconds": 0}}, "time_limit"),
        ({"time_limit": {"seconds": -5}}, "time_limit"),
    ],
)
def test_train_refuses_what_makes_no_sense(channel, fields, broken):
    request = TrainRequest(**{"dataset": "datasets/hr", **fields})
    error = error_of(lambda: synthesis(channel).Train(request, timeout=5))
    violations = error_details_pb2.BadRequest()
    [d.Unpack(violations) for d in rpc_status.from_call(error).details]
    assert [v.field for v in violations.field_violations] == [broken]


def test_train_hands_on_what_was_asked(served, channel):
    request = TrainRequest(
        dataset="datasets/hr", model_id="m", seed=4, time_limit={"seconds": 2, "nanos": 500_000_000}
    )
    assert synthesis(channel).Train(request, timeout=5).job.name == "jobs/one"
    assert served.service.calls[-1] == (
        "train",
        (
            "datasets/hr",
            {
                "model_id": "m",
                "engine": "",
                "seed": 4,
                "time_limit_seconds": 2.5,
                "holdout_share": 0.1,
                "rare_holders": 3,
                "epsilon": None,
                "delta": None,
                "base_model": "",
                "keep": (),
                "entity_rows": None,
                "orphans": False,
                "request_id": "",
            },
        ),
    )
    synthesis(channel).Train(TrainRequest(dataset="datasets/hr", holdout_share=0), timeout=5)
    assert served.service.calls[-1][1][1]["holdout_share"] == 0


def test_a_report_is_rendered_in_pieces_that_fit_a_message(channel):
    stub = report_service_pb2_grpc.ReportServiceStub(channel)
    request = report_service_pb2.RenderReportRequest(name="reports/one")
    pieces = [piece.data for piece in stub.RenderReport(request, timeout=5)]
    assert b"".join(pieces) == b"<html>" * 300_000
    assert max(map(len, pieces)) <= 1 << 20


def test_health_follows_the_readiness_of_the_service(served, channel):
    stub = health_pb2_grpc.HealthStub(channel)

    def status(name: str) -> int:
        return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status

    states = health_pb2.HealthCheckResponse
    for name in ("", *SERVICES):
        eventually(lambda name=name: status(name) == states.SERVING)
    served.do(lambda: served.service.readiness.set(ready=False, reason="the disk is full"))
    eventually(lambda: status("") == states.NOT_SERVING)
    served.do(lambda: served.service.readiness.set(ready=True))
    eventually(lambda: status("") == states.SERVING)
    served.do(served.service.readiness.drain)
    for name in ("", *SERVICES):
        eventually(lambda name=name: status(name) == states.NOT_SERVING)


def test_reflection_tells_every_service_and_its_methods(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asks = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES[0]),
    ]
    listed, described = stub.ServerReflectionInfo(iter(asks), timeout=5)
    assert {s.name for s in listed.list_services_response.service} >= set(SERVICES)
    assert b"Generate" in b"".join(described.file_descriptor_response.file_descriptor_proto)


def test_an_unknown_method_is_unimplemented(channel):
    call = channel.unary_unary("/syntheflow.v1.SynthesisService/Guess")
    assert error_of(lambda: call(b"", timeout=5)).code() is grpc.StatusCode.UNIMPLEMENTED


def metric(served, name: str, **labels: str) -> float:
    value = served.service.metrics.registry.get_sample_value(name, labels)
    assert value is not None, f"there is no series {name} {labels}"
    return value


def handled(served, method: str, code: str) -> float:
    kind = {"Generate": "server_stream", "Upload": "client_stream"}.get(method, "unary")
    service = "SynthesisService" if kind != "unary" else "DatasetService"
    return metric(
        served,
        "grpc_server_handled_total",
        grpc_type=kind,
        grpc_service=f"syntheflow.v1.{service}",
        grpc_method=method,
        grpc_code=code,
    )


def test_calls_are_counted_by_their_code(served, channel):
    assert handled(served, "GetDataset", "OK") == 0  # there before the first call
    get(channel)
    error_of(lambda: get(channel, "datasets/none"))
    served.service.fail["get_dataset"] = [KeyError("x"), SyntheflowError("?", reason="?")]
    error_of(lambda: get(channel))
    error_of(lambda: get(channel))
    eventually(lambda: handled(served, "GetDataset", "Unknown") == 1)
    assert handled(served, "GetDataset", "OK") == 1
    assert handled(served, "GetDataset", "NotFound") == 1
    assert handled(served, "GetDataset", "Internal") == 1


def test_messages_and_seconds_are_counted(served, channel):
    labels = {
        "grpc_type": "server_stream",
        "grpc_service": "syntheflow.v1.SynthesisService",
        "grpc_method": "Generate",
    }
    sent = len(list(synthesis(channel).Generate(HR, timeout=10)))
    eventually(lambda: handled(served, "Generate", "OK") == 1)
    assert metric(served, "grpc_server_started_total", **labels) == 1
    assert metric(served, "grpc_server_msg_received_total", **labels) == 1
    assert metric(served, "grpc_server_msg_sent_total", **labels) == sent
    assert metric(served, "grpc_server_handling_seconds_count", **labels) == 1


def test_every_call_is_logged_without_its_content(channel):
    with capture_logs() as logs:
        get(channel)
        time.sleep(0.1)
    entry = next(log for log in logs if log["event"] == "call")
    assert (entry["method"], entry["code"]) == ("GetDataset", "OK")
    assert entry.keys() == {"event", "log_level", "service", "method", "code", "seconds"}


def test_two_servers_cannot_share_a_port(served, tmp_path):
    import asyncio

    from syntheflow_server.rpc import build_server

    async def second() -> None:
        port = int(served.address.rpartition(":")[2])
        service = scripted.ScriptedService(tmp_path)
        with pytest.raises(OSError, match="another server"):
            build_server(service, host="127.0.0.1", port=port, max_upload_bytes=1)

    asyncio.run(second())
