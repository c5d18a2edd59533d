from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from syntheflow_server.telemetry.metrics import FORMATS, JOB_KINDS, REJECTIONS, Metrics


def series(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_series_of_ours_is_there_from_the_start_with_zero():
    found = series(Metrics())
    for kind in JOB_KINDS:
        assert found["syntheflow_jobs", (("kind", kind), ("state", "running"))] == 0
        assert found["syntheflow_job_run_seconds_count", (("kind", kind),)] == 0
    for form in FORMATS:
        assert found["syntheflow_generated_rows_total", (("format", form),)] == 0
    for reason in REJECTIONS:
        assert found["syntheflow_rejections_total", (("reason", reason),)] == 0
    assert found["syntheflow_stall_seconds_total", ()] == 0
    assert not [value for (name, _), value in found.items() if name.startswith("synthe") and value]


def test_the_series_of_an_rpc_are_made_by_name():
    metrics = Metrics()
    metrics.init_grpc_method("unary", "a.Service", "Verb", ["OK", "NotFound"])
    found = series(metrics)
    labels = (("grpc_method", "Verb"), ("grpc_service", "a.Service"), ("grpc_type", "unary"))
    assert found["grpc_server_started_total", labels] == 0
    assert found["grpc_server_handling_seconds_count", labels] == 0
    assert found["grpc_server_handled_total", (("grpc_code", "OK"), *labels)] == 0


def test_two_servers_in_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.stall_seconds.inc()
    assert series(other)["syntheflow_stall_seconds_total", ()] == 0
