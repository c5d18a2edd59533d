"""What an operator sees: health, reflection and metrics, tied to the real state."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.company import MODEL
from support.operations import fetch, metrics, value
from support.wire import connected, joined, synthesis
from syntheflow.v1.synthesis_service_pb2 import GenerateRequest

SERVICES = {
    "syntheflow.v1.SynthesisService",
    "syntheflow.v1.DatasetService",
    "syntheflow.v1.ModelService",
    "syntheflow.v1.JobService",
    "syntheflow.v1.ReportService",
    "grpc.health.v1.Health",
}
METRICS = {
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_msg_sent_total",
    "grpc_server_handling_seconds",
    "syntheflow_jobs",
    "syntheflow_job_queue_seconds",
    "syntheflow_job_run_seconds",
    "syntheflow_generated_rows_total",
    "syntheflow_generated_bytes_total",
    "syntheflow_first_batch_seconds",
    "syntheflow_stall_seconds_total",
    "syntheflow_active_streams",
    "syntheflow_models_loaded",
    "syntheflow_rejections_total",
    "syntheflow_training_loss",
    "syntheflow_training_rows_per_second",
    "syntheflow_quality_score",
}


@pytest.mark.parametrize("service", ["", *sorted(SERVICES - {"grpc.health.v1.Health"})])
def test_health_says_that_it_serves(server, service):
    with connected(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_every_service(server):
    with connected(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(stub.ServerReflectionInfo(iter([ask]), timeout=5)))
    names = {service.name for service in answer.list_services_response.service}
    assert names >= SERVICES


@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_http_says_that_it_is_well(server, path):
    assert fetch(f"{server.url}/{path}")[0] == 200


def test_every_promised_metric_is_there(server):
    page = metrics(server)
    families = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    assert not {name for name in METRICS if name not in families}


def test_rows_and_calls_are_counted(server):
    before = metrics(server)
    with connected(server.address) as channel:
        joined(synthesis(channel).Generate(GenerateRequest(model=f"models/{MODEL}", seed=8)))
    after = metrics(server)
    calls = 'grpc_server_handled_total{grpc_code="OK",grpc_method="Generate"'
    for series in (calls, 'syntheflow_generated_rows_total{format="arrow"}'):
        assert value(after, series) > value(before, series)
