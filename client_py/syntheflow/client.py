"""`Client`: the server's verbs as methods, typed, with plain values in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from syntheflow import generation, messages, options, uploads, values, wishes
from syntheflow.errors import SyntheflowError
from syntheflow.exports import Exports
from syntheflow.resources import (
    OnProgress,
    new_request_id,
    resource_id,
    resource_name,
    schema_fields,
)
from syntheflow.transport import Transport
from syntheflow.v1 import synthesis_service_pb2, synthesis_service_pb2_grpc

if TYPE_CHECKING:
    import pyarrow as pa


class Client(Exports):
    """A connection to a syntheflow server; use it in a `with` block or `close` it.

    `target` is HOST:PORT. `timeout_seconds` bounds calls that should be quick;
    `patience_seconds` how long a full server is asked again (RESOURCE_EXHAUSTED with
    RetryInfo). Resources are named by their id (hr) or name (datasets/hr). Every
    method raises SyntheflowError. Safe to share between threads.

    >>> with Client() as client:                            # doctest: +SKIP
    ...     client.upload("hr", ["employees.csv", "departments.csv"])
    ...     client.train("hr")
    ...     employees = client.read("hr", table="employees")
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout_seconds: float = 30.0,
        patience_seconds: float = 60.0,
    ) -> None:
        super().__init__(
            Transport(target, timeout_seconds=timeout_seconds, patience_seconds=patience_seconds)
        )
        self._synthesis = self._transport.stub(synthesis_service_pb2_grpc.SynthesisServiceStub)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way end."""
        self._transport.close()

    def upload(
        self,
        dataset: str,
        data: Any,
        *,
        schema: Mapping[str, Any] | values.Schema | None = None,
        read: Mapping[str, Any] | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> values.Dataset:
        """Upload files or tables as a new dataset, all or nothing.

        `data` is a path, a list of paths (the file's stem names the table), or a
        mapping of table name to a path or a table (pyarrow, pandas, polars).
        `schema` fixes what it names, in the form of a schema file; the rest is inferred.
        `read` says how the files are read, such as {"separator": ";", "decimal": ","}; the
        rest is guessed, and told in `TableSummary.read_as` (see `syntheflow.options`).
        `on_bytes` hears the number of bytes of each piece sent.
        """
        parts = uploads.parts_of(data)
        header = synthesis_service_pb2.UploadHeader(
            dataset_id=resource_id("datasets", dataset),
            request_id=new_request_id(),
            schema=None if schema is None else messages.schema_message(schema_fields(schema)),
        )
        how = options.read_message(read)
        answer = self._transport.retrying(
            lambda: uploads.send(
                self._synthesis.Upload, lambda: uploads.requests(header, parts, on_bytes, how)
            )
        )
        return messages.dataset(answer.dataset)

    def train(
        self,
        dataset: str,
        *,
        model: str = "",
        seed: int = 0,
        time_limit_seconds: float | None = None,
        engine: str = "",
        holdout_share: float | None = None,
        rare_holders: int | None = None,
        epsilon: float | None = None,
        delta: float | None = None,
        base: str = "",
        keep: Sequence[str] = (),
        entity_rows: int | None = None,
        orphans: bool = False,
        wait: bool = True,
        on_progress: OnProgress | None = None,
    ) -> values.Job:
        """Learn a dataset and return the job, whose `result` names the model.

        A value held by fewer than `rare_holders` rows (3 if None) is never put out as it
        is. With `epsilon` the training is (epsilon, delta)-differentially private, each row
        (in related tables each root entity) being one person; `delta` None means one in ten
        times their number. `base` is an earlier model of the same tables from which it
        starts; not with `epsilon`.
        Tables of `keep` come out row for row as they are. With `epsilon` at most
        `entity_rows` rows of one table are learned from for each person. With `orphans` it
        is learned which rows refer to rows that do not exist.

        Waits for the end by default; `on_progress` then hears the job at each change,
        and a job that fails or is cancelled raises SyntheflowError.
        """
        request = synthesis_service_pb2.TrainRequest(
            dataset=resource_name("datasets", dataset),
            model_id=resource_id("models", model),
            engine=engine,
            seed=seed,
            holdout_share=holdout_share,
            rare_holders=rare_holders,
            privacy=_budget(epsilon, delta),
            base_model=resource_name("models", base) if base else "",
            keep_tables=keep,
            entity_rows=entity_rows,
            orphans=orphans,
            request_id=new_request_id(),
        )
        if time_limit_seconds is not None:
            request.time_limit.FromNanoseconds(round(time_limit_seconds * 1e9))
        job = messages.job(self._transport.call(self._synthesis.Train, request).job)
        return self.wait(job.name, on_progress=on_progress) if wait else job

    def validate(
        self,
        model: str,
        *,
        seed: int = 0,
        wait: bool = True,
        on_progress: OnProgress | None = None,
    ) -> values.Job:
        """Judge a model and return the job, whose `result` names the report; see `train`."""
        request = synthesis_service_pb2.ValidateRequest(
            model=resource_name("models", model), seed=seed, request_id=new_request_id()
        )
        job = messages.job(self._transport.call(self._synthesis.Validate, request).job)
        return self.wait(job.name, on_progress=on_progress) if wait else job

    def generate(
        self,
        model: str,
        *,
        seed: int = 0,
        scale: float = 1.0,
        rows: Mapping[str, int] | None = None,
        tables: Sequence[str] = (),
        window: generation.Window | None = None,
        format: str = "arrow",  # noqa: A002 - the name that the contract gives it
        where: wishes.Where = (),
        temperature: float = 1.0,
        given: wishes.Given | None = None,
        fill_missing: bool = False,
        existing: wishes.Given | None = None,
        orphans: bool = False,
        write: Mapping[str, Any] | None = None,
    ) -> Iterator[values.Fragment]:
        """Stream synthetic rows as the server's bytes.

        `rows` sets the size of single tables instead of `scale`; `tables` picks
        tables; `window` (table, first row, rows; 0 rows means to the end) picks rows of
        one. `format` is arrow, csv, json, jsonl, parquet, excel, xml, sql, sqlite or
        duckdb, `write` its settings, such as {"dialect": "mysql"} (see `syntheflow.options`).
        Closing the iterator stops the server. A broken stream raises here; `batches` and
        `read` go on instead.

        `where` are conditions that every row keeps: Condition values or texts such as
        "age >= 30" (see `syntheflow.conditions`). `temperature` below 1 keeps rows to what
        is frequent, above 1 lets them stray. `given` maps tables to rows to be completed
        (a path, a pyarrow, pandas or polars table, or a dataset's name): their cells come
        out as given, with `fill_missing` the missing ones are drawn too. `existing` are
        rows that are there already, in the same form: new rows may refer and belong to
        them, and new keys never meet theirs. With `orphans` as many rows refer to rows that
        do not exist as in the real tables.
        """
        request = generation.request(
            resource_name("models", model),
            seed=seed,
            scale=scale,
            rows=rows,
            tables=tables,
            window=window,
            form=format,
            conditions=self._conditions(model, where),
            temperature=temperature,
            orphans=orphans,
            write=write,
        )
        if not given and not existing and not fill_missing:
            return generation.fragments(self._transport, request)
        handed = wishes.handed(self, given or {}, existing or {}, fill_missing=fill_missing)
        return self._with_rows(request, handed)

    def _with_rows(
        self,
        request: synthesis_service_pb2.GenerateRequest,
        handed: AbstractContextManager[wishes.Handed],
    ) -> Iterator[values.Fragment]:
        with handed as rows:
            request.completions.extend(rows.completions)
            request.existing.extend(rows.existing)
            yield from generation.fragments(self._transport, request)

    def _conditions(self, model: str, where: wishes.Where) -> tuple[values.Condition, ...]:
        return wishes.conditions_of(where, lambda: self.get_model(model))

    def generate_files(
        self,
        model: str,
        out: str | Path,
        format: str = "parquet",  # noqa: A002 - the name that the contract gives it
        *,
        on_rows: Callable[[str, int], None] | None = None,
        **what: Any,
    ) -> tuple[values.WrittenFile, ...]:
        """Write the files of a format into the folder `out`; all appear when all are whole.

        One file a table, named after it; one workbook, script or database for all of them
        in the formats excel, sql, sqlite and duckdb.
        `what` are the further arguments of `generate`; `on_rows` hears table and rows
        as they come.
        """
        from syntheflow.files import ENDINGS, write_files

        fragments = self.generate(model, format=format, **what)
        return write_files(fragments, Path(out), ENDINGS[format], on_rows)

    def tables(
        self,
        model: str,
        *,
        seed: int = 0,
        scale: float = 1.0,
        rows: Mapping[str, int] | None = None,
        tables: Sequence[str] = (),
        **wish: Any,
    ) -> dict[str, pa.Table]:
        """Return all tables (or those asked) in memory, by name.

        `wish` are further arguments of `generate`, such as `where`.
        """
        return generation.read_tables(
            self.generate(model, seed=seed, scale=scale, rows=rows, tables=tables, **wish)
        )

    def batches(
        self,
        model: str,
        table: str | None = None,
        *,
        start_row: int = 0,
        row_count: int = 0,
        seed: int = 0,
        scale: float = 1.0,
        sizes: Mapping[str, int] | None = None,
        where: wishes.Where = (),
        temperature: float = 1.0,
        given: wishes.Given | None = None,
        fill_missing: bool = False,
        existing: wishes.Given | None = None,
        orphans: bool = False,
    ) -> generation.TableStream:
        """Stream one table as Arrow batches, from `start_row` on; 0 rows means to the end.

        If the connection breaks, the stream goes on at the next row: rows have
        addresses, so nothing is lost or repeated. `table` may be left out if the model
        has only one; `sizes` are the `rows` of `generate`, the rest as there.
        """
        name = resource_name("models", model)
        chosen = table if table is not None else self.only_table(model)
        conditions = self._conditions(model, where)

        def ask(
            first: int, count: int, handed: wishes.Handed
        ) -> synthesis_service_pb2.GenerateRequest:
            return generation.request(
                name,
                seed=seed,
                scale=scale,
                rows=sizes,
                window=(chosen, first, count),
                conditions=conditions,
                temperature=temperature,
                handed=handed,
                orphans=orphans,
            )

        def hold() -> AbstractContextManager[wishes.Handed]:
            return wishes.handed(self, given or {}, existing or {}, fill_missing=fill_missing)

        return generation.TableStream(self._transport, ask, start_row, row_count, hold)

    def read(
        self, model: str, *, table: str | None = None, rows: int | None = None, **what: Any
    ) -> pa.Table:
        """Return one table in memory: all of it, or `rows` rows.

        `what` are the further arguments of `batches`, such as `start_row` and `seed`.
        """
        if rows == 0:  # 0 on the wire means all
            return self.read(model, table=table, rows=1, **what).slice(0, 0)
        stream = self.batches(model, table, row_count=rows or 0, **what)
        return generation.read_table(stream)

    def only_table(self, model: str) -> str:
        """Return the name of the model's table; SyntheflowError if it has several."""
        found = self.get_model(model)
        tables = [table.name for table in found.schema.tables]
        if len(tables) == 1:
            return tables[0]
        raise SyntheflowError(
            f"{found.name} has {len(tables)} tables; name one of {', '.join(tables)}",
            code="INVALID_ARGUMENT",
            reason="TABLE_NEEDED",
        )


def _budget(
    epsilon: float | None, delta: float | None
) -> synthesis_service_pb2.PrivacyBudget | None:
    """Return the message of a privacy budget; None without one."""
    if epsilon is None:
        if delta is not None:
            raise SyntheflowError(
                "delta needs epsilon", code="INVALID_ARGUMENT", reason="PRIVACY_INVALID"
            )
        return None
    return synthesis_service_pb2.PrivacyBudget(epsilon=epsilon, delta=delta)
