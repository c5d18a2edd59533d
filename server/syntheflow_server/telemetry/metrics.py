"""All Prometheus metrics, with bounded labels and every series there from the start.

The grpc_server_* names and labels are those of go-grpc-middleware, so that
stock dashboards work. Units: seconds and bytes.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

JOB_KINDS = ("train", "validate", "import", "export", "schema")
JOB_STATES = ("queued", "running")
JOB_ENDS = ("succeeded", "failed", "cancelled")
FORMATS = (
    "arrow", "csv", "json", "jsonl", "parquet", "excel", "xml", "sql", "sqlite", "duckdb"
)  # fmt: skip
REJECTIONS = ("jobs_full", "streams_full", "uploads_full", "draining", "upload_too_large")
_LONG = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        # A second series for each counter, which no dashboard asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._make_grpc(registry)
        self._make_jobs(registry)
        self._make_streams(registry)

    def _make_grpc(self, registry: CollectorRegistry) -> None:
        call = ("grpc_type", "grpc_service", "grpc_method")
        self.grpc_started = Counter(
            "grpc_server_started_total", "RPCs started.", call, registry=registry
        )
        self.grpc_handled = Counter(
            "grpc_server_handled_total",
            "RPCs ended, whatever the code.",
            (*call, "grpc_code"),
            registry=registry,
        )
        self.grpc_received = Counter(
            "grpc_server_msg_received_total", "Messages received.", call, registry=registry
        )
        self.grpc_sent = Counter(
            "grpc_server_msg_sent_total", "Messages sent.", call, registry=registry
        )
        self.grpc_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from an RPC's start to its end.",
            call,
            buckets=_SHORT,
            registry=registry,
        )

    def _make_jobs(self, registry: CollectorRegistry) -> None:
        self.jobs = Gauge(
            "syntheflow_jobs", "Jobs waiting or working.", ("kind", "state"), registry=registry
        )
        self.jobs_ended = Counter(
            "syntheflow_jobs_ended_total", "Jobs ended.", ("kind", "state"), registry=registry
        )
        self.job_queue_seconds = Histogram(
            "syntheflow_job_queue_seconds",
            "Seconds that a job waited for a worker.",
            ("kind",),
            buckets=_LONG,
            registry=registry,
        )
        self.job_run_seconds = Histogram(
            "syntheflow_job_run_seconds",
            "Seconds that a job worked.",
            ("kind",),
            buckets=_LONG,
            registry=registry,
        )
        for kind in JOB_KINDS:
            for state in JOB_STATES:
                self.jobs.labels(kind, state)
            for state in JOB_ENDS:
                self.jobs_ended.labels(kind, state)
            self.job_queue_seconds.labels(kind)
            self.job_run_seconds.labels(kind)
        self.training_loss = Gauge(
            "syntheflow_training_loss",
            "Latest loss of the running training, nats a row.",
            ("split",),
            registry=registry,
        )
        for split in ("train", "validation"):
            self.training_loss.labels(split)
        self.training_rows_per_second = Gauge(
            "syntheflow_training_rows_per_second",
            "Rows that the running training learns a second.",
            registry=registry,
        )
        self.quality_score = Gauge(
            "syntheflow_quality_score", "Quality of the latest report, 0 to 1.", registry=registry
        )

    def _make_streams(self, registry: CollectorRegistry) -> None:
        labels = ("format",)
        self.rows = Counter(
            "syntheflow_generated_rows_total", "Rows streamed.", labels, registry=registry
        )
        self.bytes = Counter(
            "syntheflow_generated_bytes_total", "Bytes streamed.", labels, registry=registry
        )
        self.first_batch_seconds = Histogram(
            "syntheflow_first_batch_seconds",
            "Seconds from the asking to the first rows.",
            labels,
            buckets=_SHORT,
            registry=registry,
        )
        self.stall_seconds = Counter(
            "syntheflow_stall_seconds_total",
            "Seconds that streams waited for slow readers.",
            registry=registry,
        )
        for kind in FORMATS:
            for metric in (self.rows, self.bytes, self.first_batch_seconds):
                metric.labels(kind)
        self.active_streams = Gauge(
            "syntheflow_active_streams", "Streams being generated.", registry=registry
        )
        self.queued_streams = Gauge(
            "syntheflow_queued_streams", "Streams waiting for a place.", registry=registry
        )
        self.models_loaded = Gauge(
            "syntheflow_models_loaded", "Models in the workers' memory.", registry=registry
        )
        self.workers_ready = Gauge(
            "syntheflow_workers_ready", "Sampling workers that are warm.", registry=registry
        )
        self.worker_deaths = Counter(
            "syntheflow_worker_deaths_total",
            "Worker processes that died unasked.",
            ("kind",),
            registry=registry,
        )
        for kind in ("sampling", "job"):
            self.worker_deaths.labels(kind)
        self.rejections = Counter(
            "syntheflow_rejections_total", "Requests refused.", ("reason",), registry=registry
        )
        for reason in REJECTIONS:
            self.rejections.labels(reason)

    def init_grpc_method(self, grpc_type: str, service: str, method: str, codes: list[str]) -> None:
        """Make the zero series of one RPC; `grpc_type` is unary, server_stream, ..."""
        labels = (grpc_type, service, method)
        for metric in (self.grpc_started, self.grpc_received, self.grpc_sent, self.grpc_seconds):
            metric.labels(*labels)
        for code in codes:
            self.grpc_handled.labels(*labels, code)

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
