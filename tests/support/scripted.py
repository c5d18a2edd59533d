"""A Service of plain dictionaries behind the real gRPC server.

For tests of what stands in front of the Service: it answers at once, and fails or
dawdles when told to, which the real one does only by chance. Rows and encoders are real.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyarrow as pa

from syntheflow_server.domain.errors import NotFoundError, OutOfRangeError
from syntheflow_server.domain.resources import (
    Dataset,
    Job,
    JobKind,
    JobState,
    Model,
    Report,
    Score,
    TableCard,
    TableScores,
    TableSummary,
)
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.export import ENCODERS, Target
from syntheflow_server.jobs.assembly import assembly
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.requests import Chunk, GenerationSpec, StagedUpload
from syntheflow_server.jobs.sampling import RAW, Piece
from syntheflow_server.rpc import build_server
from syntheflow_server.store.documents import Page
from syntheflow_server.store.etag import etag_of
from syntheflow_server.telemetry.metrics import Metrics

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNIT = 1_000


def schema() -> Schema:
    def column(name: str, kind: str, semantic: SemanticType) -> Column:
        return Column(name=name, type=kind, semantic_type=semantic, nullable=False)

    people = Table(
        name="people",
        columns=(
            column("id", "int64", SemanticType.IDENTIFIER),
            column("name", "string", SemanticType.TEXT),
        ),
        primary_key=("id",),
    )
    pets = Table(
        name="pets",
        columns=(
            column("id", "int64", SemanticType.IDENTIFIER),
            column("owner", "int64", SemanticType.IDENTIFIER),
        ),
        primary_key=("id",),
    )
    key = ForeignKey(
        child_table="pets",
        child_columns=("owner",),
        parent_table="people",
        parent_columns=("id",),
    )
    return Schema(tables=(people, pets), foreign_keys=(key,))


def one_table() -> Schema:
    return Schema(tables=schema().tables[:1])


def dataset(name: str = "datasets/hr", data_schema: Schema | None = None) -> Dataset:
    chosen = data_schema or schema()
    return Dataset(
        name=name,
        create_time=NOW,
        update_time=NOW,
        data_schema=chosen,
        tables=tuple(
            TableSummary(name=t.name, rows=2_500, bytes=9_000, file_name=f"{t.name}.csv",
                         findings=("CSV, separator ','",))
            for t in chosen.tables
        ),
    )  # fmt: skip


def model(name: str = "models/hr", data_schema: Schema | None = None) -> Model:
    chosen = data_schema or schema()
    return Model(
        name=name,
        create_time=NOW,
        dataset="datasets/hr",
        engine="neural",
        data_schema=chosen,
        seed=7,
        holdout_share=0.1,
        train_seconds=12.5,
        bytes=4_000_000,
        tables=tuple(
            TableCard(
                table=t.name, train_rows=2_250, holdout_rows=250, columns=len(t.columns), tokens=5,
                parameters=1_000, epochs=3.5, validation_loss=1.25, train_seconds=6.0,
            )
            for t in chosen.tables
        ),
        versions={"torch": "2"},
        settings={"seed": "7", "rare_holders": "3"},
    )  # fmt: skip


def job(name: str = "jobs/one", state: JobState = JobState.QUEUED, **more: Any) -> Job:
    kind = more.pop("kind", JobKind.TRAIN)
    target = more.pop("target", "datasets/hr")
    return Job(name=name, create_time=NOW, kind=kind, state=state, target=target, **more)


def report(name: str = "reports/one", quality: float = 0.9) -> Report:
    score = Score(name="detection", value=quality, raw=0.55, detail="Hard to tell apart.")
    return Report(
        name=name,
        create_time=NOW,
        model="models/hr",
        quality=quality,
        parts=(score,),
        tables=(TableScores(table="people", scores=(score,)),),
        warnings=("Few rows.",),
    )


def rows(table: Table, first: int, count: int) -> pa.RecordBatch:
    """Rows whose values are functions of their number."""
    numbers = range(first, first + count)
    columns = [
        pa.array([f"{table.name} {n}" for n in numbers] if c.type == "string" else list(numbers))
        for c in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.arrow)


@dataclass
class ScriptedService:
    """Answers from dictionaries; `fail` maps a method to the error that it raises next."""

    folder: Path
    metrics: Metrics = field(default_factory=Metrics)
    readiness: Readiness = field(default_factory=Readiness)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    jobs: dict[str, list[Job]] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    fail: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    uploads: list[tuple[StagedUpload, dict[str, bytes]]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    endless: bool = False
    cut_after: int | None = None

    def _note(self, method: str, detail: Any = None) -> None:
        self.calls.append((method, detail))
        if errors := self.fail.get(method):
            raise errors.pop(0)

    @staticmethod
    def _found(kept: dict[str, Any], name: str) -> Any:
        if name not in kept:
            raise NotFoundError.of(name)
        return kept[name]

    @staticmethod
    def _page(kept: dict[str, Any], size: int, token: str) -> Page[Any]:
        start, items = int(token or 0), list(kept.values())
        stop = start + (size or 50)
        following = str(stop) if stop < len(items) else ""
        return Page(items=tuple(items[start:stop]), next_page_token=following)

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[Path]:
        with TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)

    async def precheck_upload(self, dataset_id: str, request_id: str) -> None:
        self._note("precheck_upload", (dataset_id, request_id))

    async def upload(self, staged: StagedUpload) -> Dataset:
        self._note("upload", staged)
        contents = {file.file_name: file.path.read_bytes() for file in staged.files}
        self.uploads.append((staged, contents))
        made = dataset(f"datasets/{staged.dataset_id or 'made'}")
        self.datasets[made.name] = made
        return made

    async def get_dataset(self, name: str) -> Dataset:
        self._note("get_dataset", name)
        return self._found(self.datasets, name)

    async def list_datasets(self, page_size: int = 0, page_token: str = "") -> Page[Dataset]:
        self._note("list_datasets", (page_size, page_token))
        return self._page(self.datasets, page_size, page_token)

    async def update_schema(
        self, name: str, schema: Schema, etag: str = "", request_id: str = ""
    ) -> Dataset:
        self._note("update_schema", (schema, etag))
        before = self._found(self.datasets, name)
        assert etag in {"", etag_of(before)}
        self.datasets[name] = before.model_copy(update={"data_schema": schema})
        return self.datasets[name]

    async def delete_dataset(self, name: str, request_id: str = "") -> None:
        self._note("delete_dataset", name)
        self._found(self.datasets, name)
        del self.datasets[name]

    async def get_model(self, name: str) -> Model:
        self._note("get_model", name)
        return self._found(self.models, name)

    async def list_models(self, page_size: int = 0, page_token: str = "") -> Page[Model]:
        return self._page(self.models, page_size, page_token)

    async def delete_model(self, name: str, request_id: str = "") -> None:
        self._found(self.models, name)
        del self.models[name]

    async def get_job(self, name: str) -> Job:
        self._note("get_job", name)
        return self._found(self.jobs, name)[0]

    async def list_jobs(self, page_size: int = 0, page_token: str = "") -> Page[Job]:
        return self._page({n: s[0] for n, s in self.jobs.items()}, page_size, page_token)

    async def cancel(self, name: str) -> Job:
        self._note("cancel", name)
        states = self._found(self.jobs, name)
        before = states[0]
        if not before.state.ended:
            states[:] = [before.model_copy(update={"state": JobState.CANCELLED})]
        return before

    async def watch(self, name: str) -> AsyncIterator[Job]:
        self._note("watch", name)
        states = self._found(self.jobs, name)
        try:
            while True:
                current = states[0]
                yield current
                if current.state.ended:
                    return
                await asyncio.sleep(0.01)
                if len(states) > 1:
                    states.pop(0)
        finally:
            self.closed.set()

    async def delete_job(self, name: str, request_id: str = "") -> None:
        self._note("delete_job", name)
        self._found(self.jobs, name)
        del self.jobs[name]

    async def get_report(self, name: str) -> Report:
        return self._found(self.reports, name)

    async def list_reports(self, page_size: int = 0, page_token: str = "") -> Page[Report]:
        return self._page(self.reports, page_size, page_token)

    async def delete_report(self, name: str, request_id: str = "") -> None:
        self._found(self.reports, name)
        del self.reports[name]

    async def render(self, name: str, format: str = "html") -> bytes:  # noqa: A002
        self._found(self.reports, name)
        return f"<{format}>".encode() * 300_000

    async def train(self, dataset: str, **settings: Any) -> Job:
        self._note("train", (dataset, settings))
        return self.jobs["jobs/one"][0]

    async def import_dataset(self, source: str, **settings: Any) -> Job:
        self._note("import_dataset", (source, settings))
        return self.jobs["jobs/one"][0]

    async def export(self, spec: GenerationSpec, destination: str, **settings: Any) -> Job:
        self._note("export", (spec, destination, settings))
        return self.jobs["jobs/one"][0]

    async def validate(self, model: str, *, seed: int = 0, request_id: str = "") -> Job:
        self._note("validate", (model, seed, request_id))
        return self.jobs["jobs/one"][0]

    async def generate(self, spec: GenerationSpec) -> AsyncIterator[Chunk]:
        self._note("generate", spec)
        known: Model = self._found(self.models, spec.model)
        sizes = {
            t: spec.rows.get(t, round(2_500 * spec.scale)) for t in known.data_schema.table_names
        }
        windows = {t: (0, n) for t, n in sizes.items() if t in spec.tables or not spec.tables}
        if spec.range:
            start = spec.range.start
            if start >= sizes[spec.range.table]:
                raise OutOfRangeError("beyond the table's end", reason="ROW_OUT_OF_RANGE")
            count = spec.range.count or sizes[spec.range.table] - start
            windows = {spec.range.table: (start, count)}
        try:
            async for chunk in self._stream(known.data_schema, windows, spec.format):
                yield chunk
        finally:
            self.closed.set()

    async def _stream(
        self, schema: Schema, windows: dict[str, tuple[int, int]], form: str
    ) -> AsyncIterator[Chunk]:
        target = Target(schema, tuple(windows))
        made = assembly(form, target)
        try:
            for chunk in await made.begin():
                yield chunk
            async for table, row, batch in self._units(schema, windows):
                pieces = _pieces(made.unit_format, target, table, row, batch)
                async for chunk in made.add(pieces):
                    yield chunk
            async for chunk in made.end():
                yield chunk
        finally:
            await made.close()

    async def _units(
        self, schema: Schema, windows: dict[str, tuple[int, int]]
    ) -> AsyncIterator[tuple[str, int, pa.RecordBatch]]:
        for table, (first, count) in windows.items():
            row, end = first, 2**62 if self.endless else first + count
            while row < end:
                if self.cut_after is not None and row >= self.cut_after:
                    self.cut_after = None
                    raise self.fail["cut"][0]
                # Rows cross in units: a window that begins within one gives its rest.
                size = min(UNIT - row % UNIT, end - row)
                yield table, row, rows(schema.table(table), row, size)
                row += size
                await asyncio.sleep(0)


def _pieces(
    form: str, target: Target, table: str, first_row: int, batch: pa.RecordBatch
) -> list[Piece]:
    """What a worker would send for one unit of one table."""
    if form == RAW:
        return [Piece(table, first_row, batch.num_rows, batch.serialize().to_pybytes())]
    made: list[Piece] = []
    for data, complete in ENCODERS[form](target, table).pieces(batch, first=first_row == 0):
        made.append(Piece(table, first_row, complete, data))
        first_row += complete
    return made


class Served:
    """A scripted service that listens at `address`, on a loop in a thread of its own."""

    def __init__(self, service: ScriptedService, *, max_upload_bytes: int = 1 << 30) -> None:
        self.service = service
        self._max = max_upload_bytes
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.loop: asyncio.AbstractEventLoop
        self.address = ""

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = build_server(
            self.service,  # type: ignore[arg-type]
            host="127.0.0.1",
            port=0,
            max_upload_bytes=self._max,
        )
        await server.start()
        self.service.readiness.set(ready=True)
        self.address = f"127.0.0.1:{server.port}"
        self._ready.set()
        await self._stop.wait()
        await server.stop(0)

    def do(self, work: Callable[[], None]) -> None:
        """Do `work` on the server's loop."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (work(), done.set()))
        assert done.wait(5)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


@contextmanager
def scripted(folder: Path, **settings: Any) -> Iterator[Served]:
    """A server that knows a dataset hr, a model hr, a job and a report."""
    service = ScriptedService(folder)
    service.datasets["datasets/hr"] = dataset()
    service.models["models/hr"] = model()
    service.models["models/alone"] = model("models/alone", one_table())
    service.jobs["jobs/one"] = [job()]
    service.reports["reports/one"] = report()
    with Served(service, **settings) as served:
        yield served
