"""Exports: the server writes rows into a database, folder or bucket by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from syntheflow import generation, messages, options, wishes
from syntheflow.resources import OnProgress, Resources, new_request_id, resource_name
from syntheflow.v1 import export_service_pb2, export_service_pb2_grpc, synthesis_service_pb2

if TYPE_CHECKING:
    from syntheflow import values
    from syntheflow.transport import Transport


class Exports(Resources):
    """What makes rows and puts them elsewhere; a base of `Client`."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._exports = transport.stub(export_service_pb2_grpc.ExportServiceStub)

    def export(
        self,
        model: str,
        destination: str,
        *,
        mode: str = "create",
        namespace: str = "",
        format: str = "",  # noqa: A002 - the name that the contract gives it
        where: wishes.Where = (),
        existing: Mapping[str, str] | None = None,
        given: Mapping[str, str] | None = None,
        fill_missing: bool = False,
        wait: bool = True,
        on_progress: OnProgress | None = None,
        **what: Any,
    ) -> values.Job:
        """Make rows, let the server write them to `destination`, and return the job.

        `destination` is a URL without password or the name of a connection, see
        `import_dataset`. `mode` says what happens to tables that are there: create (refuse),
        append, truncate or replace; to files: create or replace. `format` is of files
        (parquet if empty). `existing` and `given` name datasets by table. `what` are the
        further arguments of `generate`: seed, scale, rows, tables, temperature, write, ...
        """
        asked = generation.request(
            resource_name("models", model),
            form=format or "parquet",
            conditions=wishes.conditions_of(where, lambda: self.get_model(model)),
            **what,
        )
        if not format:
            asked.ClearField("format")
        for table, dataset in (given or {}).items():
            asked.completions.append(
                synthesis_service_pb2.Completion(
                    table=table,
                    dataset=resource_name("datasets", dataset),
                    fill_missing=fill_missing,
                )
            )
        for table, dataset in (existing or {}).items():
            name = resource_name("datasets", dataset)
            asked.existing.append(synthesis_service_pb2.Existing(table=table, dataset=name))
        request = export_service_pb2.ExportRequest(
            generate=asked,
            destination=destination,
            mode=options.load_mode(mode),
            namespace=namespace,
            request_id=new_request_id(),
        )
        job = messages.job(self._transport.call(self._exports.Export, request).job)
        return self.wait(job.name, on_progress=on_progress) if wait else job
