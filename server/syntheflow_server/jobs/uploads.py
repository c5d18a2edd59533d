"""Uploads and edited schemas: checked in a process, committed whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from syntheflow_server.domain.errors import ExhaustedError, InvalidArgumentError, Violation
from syntheflow_server.domain.ids import new_id
from syntheflow_server.domain.resources import Dataset
from syntheflow_server.domain.schema import Schema
from syntheflow_server.jobs.ledger import Note
from syntheflow_server.jobs.process import run_process
from syntheflow_server.jobs.requests import StagedUpload
from syntheflow_server.jobs.tasks import Imported
from syntheflow_server.jobs.work import Workshop, cores, keep
from syntheflow_server.store.documents import taken

_TASKS = "syntheflow_server.jobs.tasks"
_RETRY_SECONDS = 10.0


class Uploads:
    """Runs at most `running` imports and schema checks at a time; `queued` more may wait."""

    def __init__(self, workshop: Workshop, *, running: int, queued: int) -> None:
        self._workshop = workshop
        self._places = asyncio.Semaphore(running)
        self._most_queued, self._queued = queued, 0
        self._ids: set[str] = set()

    async def import_files(self, staged: StagedUpload, note: Note) -> Dataset:
        """Make a dataset of staged files."""
        name = f"datasets/{staged.dataset_id or new_id()}"
        if name in self._ids:
            raise taken(name)
        self._ids.add(name)
        try:
            await self.demand_free(name)
            return await self._import(name, staged, note)
        finally:
            self._ids.discard(name)

    async def demand_free(self, name: str) -> None:
        """Raise AlreadyExistsError if there is a dataset of this name."""
        if await asyncio.to_thread(self._workshop.blobs.path(name).exists):
            raise taken(name)

    async def check_schema(self, dataset: Dataset, schema: Schema) -> None:
        """Check an edited schema: same tables and columns, true to the data."""
        check_same_columns(dataset.data_schema, schema.checked())
        async with self._place("schema"):
            await run_process(
                f"{_TASKS}:check_schema",
                self._workshop.blobs.path(dataset.name),
                schema,
                title="a schema check",
                threads=cores(),
            )

    async def _import(self, name: str, staged: StagedUpload, note: Note) -> Dataset:
        with self._workshop.blobs.staging() as out:
            async with self._place("import"):
                outcome = await run_process(
                    f"{_TASKS}:import_files",
                    staged.files,
                    staged.schema,
                    out,
                    title="an import",
                    threads=cores(),
                )
            imported: Imported = outcome.value
            now = datetime.now(UTC)
            dataset = Dataset(
                name=name,
                create_time=now,
                update_time=now,
                data_schema=imported.schema,
                tables=imported.tables,
            )
            documents, blobs = self._workshop.documents, self._workshop.blobs
            # From here to the end at once, whoever goes away meanwhile.
            commit = asyncio.ensure_future(
                asyncio.to_thread(keep, documents, blobs, dataset, out, note(name))
            )
            try:
                await asyncio.shield(commit)
            finally:
                await asyncio.wait({commit})
            return dataset

    @asynccontextmanager
    async def _place(self, kind: str) -> AsyncIterator[None]:
        metrics = self._workshop.metrics
        if self._places.locked() and self._queued >= self._most_queued:
            metrics.rejections.labels("uploads_full").inc()
            raise ExhaustedError(
                f"{self._queued} uploads wait already; ask again in a moment",
                reason="UPLOADS_FULL",
                retry_after_seconds=_RETRY_SECONDS,
            )
        asked = time.monotonic()
        self._queued += 1
        try:
            with metrics.jobs.labels(kind, "queued").track_inprogress():
                await self._places.acquire()
        finally:
            self._queued -= 1
        began = time.monotonic()
        metrics.job_queue_seconds.labels(kind).observe(began - asked)
        state = "failed"
        try:
            with metrics.jobs.labels(kind, "running").track_inprogress():
                yield
            state = "succeeded"
        except asyncio.CancelledError:
            state = "cancelled"
            raise
        finally:
            self._places.release()
            metrics.jobs_ended.labels(kind, state).inc()
            metrics.job_run_seconds.labels(kind).observe(time.monotonic() - began)


def check_same_columns(old: Schema, new: Schema) -> None:
    """Raise InvalidArgumentError unless both have the same tables and columns, in any order."""
    faults = list(_differences("table", "", old.table_names, new.table_names))
    for table in new.tables:
        if table.name in old.table_names:
            known = old.table(table.name).column_names
            faults += _differences("column", table.name, known, table.column_names)
    if faults:
        raise InvalidArgumentError(
            "The tables and columns must be those that were uploaded: "
            + "; ".join(f.rule for f in faults[:3]),
            reason="SCHEMA_DIFFERS",
            violations=tuple(faults),
        )


def _differences(
    what: str, table: str, old: Collection[str], new: Collection[str]
) -> Iterator[Violation]:
    where = f"table {table!r}: " if table else ""
    for verb, names in (("is missing", set(old) - set(new)), ("is unknown", set(new) - set(old))):
        for name in sorted(names):
            yield Violation(
                field=f"{what}s",
                table=table if what == "column" else name,
                column=name if what == "column" else "",
                rule=f"{where}{what} {name!r} {verb}",
            )
