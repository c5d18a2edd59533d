"""Imports and exports: rows between the server and places outside, each in a process of its own.

Credentials are looked up when the work begins and go to its process through the pipe
alone; orders and jobs hold URLs without password.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter

from syntheflow_server.connect.access import Access, Address
from syntheflow_server.connect.places import PlaceKind
from syntheflow_server.domain.errors import InvalidArgumentError, SyntheflowError, Violation
from syntheflow_server.domain.ids import id_of
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.domain.resources import Dataset, ExportOrder, ImportOrder, Job, Model
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.export import Target
from syntheflow_server.jobs.desks import Begin, Bytes, Discard, End, Load
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.growing import growth
from syntheflow_server.jobs.process import Progress, Reporter, run_process
from syntheflow_server.jobs.requests import GenerationSpec
from syntheflow_server.jobs.runner import Commit, Made, Runner, Work
from syntheflow_server.jobs.sampling import ModelRef
from syntheflow_server.jobs.scribe import Scribe
from syntheflow_server.jobs.seeds import Seeds
from syntheflow_server.jobs.tasks import Imported
from syntheflow_server.jobs.wishes import tables_of
from syntheflow_server.jobs.work import Workshop, cores, keep

_DESKS = "syntheflow_server.jobs.desks"
_TASKS = "syntheflow_server.jobs.tasks"
_FOR_FILES = frozenset({LoadMode.CREATE, LoadMode.REPLACE})
_LOADED = 0.95
"""Share of an export's progress when all rows are written."""
_DISCARD_SECONDS = 60.0
_LEAVE_SECONDS = 10.0
_SPECS = TypeAdapter(GenerationSpec)
Given = Callable[[Model, GenerationSpec], Awaitable[tuple[Seeds, ...]]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model whose rows are written elsewhere: where it lies, and the rows it is given."""

    model: Model
    ref: ModelRef
    spec: GenerationSpec
    given: tuple[Seeds, ...] = ()

    @property
    def target(self) -> Target:
        """What is written."""
        name = id_of(self.model.name, "models")
        tables = tables_of(self.model, self.spec)
        return Target(self.model.data_schema, tables, name, self.spec.write)


class Transfers:
    """Makes the work of imports and exports; `access` says which places may be reached."""

    def __init__(
        self, workshop: Workshop, access: Access, generator: Generator, runner: Runner
    ) -> None:
        self._workshop, self._access = workshop, access
        self._generator, self._runner = generator, runner

    async def address(self, text: str, *, writing: bool) -> Address:
        """Return the place of a URL or connection; errors if it may not be reached."""
        return await asyncio.to_thread(self._access.resolve, text, writing=writing)

    def importing(self, order: ImportOrder) -> Work:
        """Return the work that makes the dataset `order.dataset`."""

        async def work(report: Reporter, staging: Path) -> Commit:
            address = await self.address(order.source, writing=False)
            outcome = await run_process(
                f"{_TASKS}:import_place",
                address,
                order,
                staging,
                title="an import",
                threads=cores(),
                on_progress=report,
            )
            made: Imported = outcome.value
            peak = float(outcome.peak_memory_bytes)
            return lambda: self._keep(order.dataset, made, staging, peak)

        return work

    def _keep(self, name: str, made: Imported, staging: Path, peak: float) -> Made:
        now = datetime.now(UTC)
        dataset = Dataset(
            name=name,
            create_time=now,
            update_time=now,
            data_schema=made.schema,
            tables=made.tables,
        )
        keep(self._workshop.documents, self._workshop.blobs, dataset, staging)
        rows = {table.name: table.rows for table in made.tables}
        metrics = {"rows": float(sum(rows.values())), "peak_memory_bytes": peak}
        return Made(name, metrics, rows)

    def exporting(self, job: Job, order: ExportOrder, subject: Subject) -> Work:
        """Return the work that writes rows to `order.destination`."""

        async def work(report: Reporter, staging: Path) -> Commit:
            address = await self.address(order.destination, writing=True)
            tally = _Tally(report)
            if address.place.kind is PlaceKind.DATABASE:
                notes = await self._load(job, order, subject, address, tally, staging)
            else:
                notes = await self._deliver(order, subject, address, tally, staging)
            made = Made(address.place.url, tally.metrics(), tally.rows, notes)
            return lambda: made

        return work

    async def _load(
        self,
        job: Job,
        order: ExportOrder,
        subject: Subject,
        address: Address,
        tally: _Tally,
        staging: Path,
    ) -> tuple[str, ...]:
        grown: tuple[str, ...] = ()
        if order.mode is LoadMode.APPEND:
            subject, grown = await _growing(order, subject, address, tally, staging)
        load = _load_of(job, order, subject)
        async with self._discarding(job, address, load), _scribe("load", address, load) as desk:

            async def have(rows: Mapping[str, int]) -> Mapping[str, int]:
                there: dict[str, int] = await _answer(desk, Begin())
                tally.expect(rows, there)
                return there

            units = self._generator.raw(
                subject.model, subject.ref, subject.spec, subject.given, have
            )
            async with aclosing(units):
                async for pieces in units:
                    for piece in pieces:
                        await _drain(desk.take(piece))
                        tally.add(piece.table, piece.first_row + piece.row_count)
            tally.say(_LOADED, "putting keys, references and counters in order")
            loaded = await _final(desk)
        tally.rows.update(loaded.rows)
        return (*grown, *loaded.notes)

    @asynccontextmanager
    async def _discarding(self, job: Job, address: Address, load: Load) -> AsyncIterator[None]:
        """Take back what a load leaves behind, unless it is to go on later.

        That is what a named load has committed, and a new file of a database.
        """
        # One that goes on after a restart has made the file in its time before.
        new = job.start_time is not None or not await _is_file(address)
        try:
            yield
        except (SyntheflowError, asyncio.CancelledError):
            if (load.name or new) and not self._runner.pauses(job.name):
                await asyncio.shield(asyncio.ensure_future(_discard(address, load, new_file=new)))
            raise

    async def give_up(self, job: Job, order: ExportOrder, subject: Subject) -> None:
        """Take back what an export that will not be taken up again has left in a database."""
        address = await self.address(order.destination, writing=True)
        if address.place.kind is PlaceKind.DATABASE:
            await _discard(address, _load_of(job, order, subject), new_file=True)

    async def _deliver(
        self,
        order: ExportOrder,
        subject: Subject,
        address: Address,
        tally: _Tally,
        staging: Path,
    ) -> tuple[str, ...]:
        overwrite = order.mode is LoadMode.REPLACE
        tally.expect(_likely_rows(subject), {})
        async with _scribe("delivery", address, overwrite, staging) as desk:
            chunks = self._generator.stream(subject.model, subject.ref, subject.spec, subject.given)
            async with aclosing(chunks):
                async for chunk in chunks:
                    await _drain(desk.take(Bytes(chunk.file, chunk.data)))
                    if chunk.row_count:
                        tally.add(chunk.table, chunk.first_row + chunk.row_count)
            tally.say(_LOADED, "putting the files in place")
            files: list[str] = await _final(desk)
        return (f"{len(files)} file{'s' * (len(files) != 1)}: {', '.join(files[:20])}",)


@dataclass(slots=True)
class _Tally:
    """Counts rows by table and tells the job."""

    report: Reporter
    rows: dict[str, int] = field(default_factory=dict)
    expected: int = 0
    found: int = 0
    began: float = field(default_factory=time.monotonic)

    def expect(self, rows: Mapping[str, int], there: Mapping[str, int]) -> None:
        """Note how many rows there will be, and how many there are from before."""
        self.expected, self.found = sum(rows.values()), sum(there.values())
        self.rows.update({table: there.get(table, 0) for table in rows})

    def add(self, table: str, rows: int) -> None:
        """Note that the first `rows` rows of the table have been handed over."""
        self.rows[table] = max(rows, self.rows.get(table, 0))
        done = sum(self.rows.values())
        share = done / self.expected if self.expected else 0.0
        self.say(_LOADED * min(1.0, share), f"writing {table}")

    def say(self, fraction: float, stage: str) -> None:
        """Tell the job."""
        self.report(Progress(fraction, stage, self.metrics(), dict(self.rows)))

    def metrics(self) -> dict[str, float]:
        """Return the job's figures."""
        done = sum(self.rows.values())
        seconds = max(1e-9, time.monotonic() - self.began)
        return {"rows": float(done), "rows_per_second": (done - self.found) / seconds}


async def _growing(
    order: ExportOrder, subject: Subject, address: Address, tally: _Tally, staging: Path
) -> tuple[Subject, tuple[str, ...]]:
    """Return the subject that suits the rows which are there, and what is to be told of it."""
    model, spec, given = subject.model, subject.spec, subject.given
    folder = staging / "existing"
    grown = await growth(model, spec, given, address, order.namespace, folder, tally.report)
    return replace(subject, spec=grown.spec, given=grown.given), grown.notes


@asynccontextmanager
async def _scribe(desk: str, *arguments: Any) -> AsyncIterator[Scribe]:
    made = Scribe(f"{_DESKS}:{desk}_desk", *arguments, title="an export")
    made.start()
    try:
        yield made
    finally:
        await made.leave(_LEAVE_SECONDS)


def _load_of(job: Job, order: ExportOrder, subject: Subject) -> Load:
    # New tables are committed as they fill, so that a restarted server goes on there;
    # tables that were there before change at once, in the end, or not at all.
    name = job.name if order.mode is LoadMode.CREATE else ""
    return Load(subject.target, order.mode, order.namespace, name)


async def _is_file(address: Address) -> bool:
    return address.path is None or await asyncio.to_thread(address.path.exists)


async def _discard(address: Address, load: Load, *, new_file: bool) -> None:
    """Take back a load in a process of its own: that of the load may be in any state."""
    async with _scribe("load", address, load) as desk:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_drain(desk.finish(Discard(new_file))), _DISCARD_SECONDS)


async def _answer(desk: Scribe, command: Any) -> Any:
    """Return the one answer to a command, when all commands before are done."""
    answers = [answer async for answer in desk.finish(command)]
    return answers[-1]


async def _final(desk: Scribe) -> Any:
    """Let the desk make all final and return its answer.

    Who stops the job now comes late: if it is done in a moment, that is the job's end, for
    it could not be taken back, nor be done again.
    """
    answer = asyncio.ensure_future(_answer(desk, End()))
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        await asyncio.wait({answer}, timeout=_LEAVE_SECONDS)
        if not answer.done():
            await desk.end()
            await asyncio.wait({answer})
        if answer.cancelled() or answer.exception() is not None:
            raise
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return answer.result()


async def _drain(answers: AsyncIterator[Any]) -> None:
    async for _ in answers:
        pass


def _likely_rows(subject: Subject) -> dict[str, int]:
    """Return about how many rows each table will have."""
    spec = subject.spec
    learned = {card.table: card.train_rows + card.holdout_rows for card in subject.model.tables}
    return {
        table: spec.rows.get(table, round(learned.get(table, 0) * spec.scale))
        for table in subject.target.tables
    }


def stored_spec(spec: GenerationSpec) -> dict[str, JsonValue]:
    """Return a generation as an order keeps it; rows that it is given must lie in datasets."""
    for field_, given in (("completions", spec.completions), ("existing", spec.existing)):
        if any(isinstance(rows.source, bytes) for rows in given):
            rule = f"{field_} of an export must name datasets: upload the rows first"
            raise InvalidArgumentError(
                rule, reason="EXPORT_INVALID", violations=(Violation(field=field_, rule=rule),)
            )
    stored: dict[str, JsonValue] = _SPECS.dump_python(spec, mode="json")
    return stored


def spec_of(order: ExportOrder) -> GenerationSpec:
    """Return the generation that an order asks for."""
    return _SPECS.validate_python(order.spec)


def check_export(spec: GenerationSpec, address: Address, mode: LoadMode) -> None:
    """Raise InvalidArgumentError unless these rows can go to such a place in this way."""
    database = address.place.kind is PlaceKind.DATABASE
    rules = (
        ("generate.range", "a window of a table cannot go into a database; name its rows instead",
         not database or spec.range is None),
        ("mode", "files can be created or replaced, not appended to or truncated",
         database or mode in _FOR_FILES),
    )  # fmt: skip
    _refuse(rules, "EXPORT_INVALID")


def check_import(wanted: Wanted, address: Address) -> None:
    """Raise InvalidArgumentError unless this can be wanted of such a place."""
    database = address.place.kind is PlaceKind.DATABASE
    rules = (
        ("exclude", "only tables and columns of databases can be left out; name the files to take",
         database or not wanted.exclude),
        ("namespace", "only databases have namespaces", database or not wanted.namespace),
        ("sample_rows", "only databases can be sampled", database or wanted.sample_rows is None),
    )  # fmt: skip
    _refuse(rules, "IMPORT_INVALID")


def _refuse(rules: tuple[tuple[str, str, bool], ...], reason: str) -> None:
    faults = tuple(Violation(field=name, rule=rule) for name, rule, fine in rules if not fine)
    if faults:
        raise InvalidArgumentError(
            "; ".join(fault.rule for fault in faults), reason=reason, violations=faults
        )
