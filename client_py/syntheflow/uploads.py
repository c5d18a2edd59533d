"""Makes the stream of an upload out of files and tables in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from syntheflow.errors import SyntheflowError
from syntheflow.v1 import reading_pb2, synthesis_service_pb2

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an upload; `pieces` gives its bytes from the start each time it is called."""

    table: str
    file_name: str
    format: int
    pieces: Callable[[], Iterator[bytes]]


def parts_of(data: Any) -> list[Part]:
    """Return the files of an upload.

    `data` is a path, a list of paths, or a mapping of table name to a path or a table
    (pyarrow, pandas, polars: whatever speaks Arrow's PyCapsule interface).
    """
    if isinstance(data, (str, Path)):
        data = [data]
    if isinstance(data, Mapping):
        parts = [_part(value, table) for table, value in data.items()]
    elif isinstance(data, Iterable):
        parts = [_part(value, "") for value in data]
    else:
        raise _unfit(f"cannot upload a {type(data).__name__}; give paths, or tables by name")
    if not parts:
        raise _unfit("nothing to upload; give at least one file or table")
    return parts


def requests(
    header: synthesis_service_pb2.UploadHeader,
    parts: list[Part],
    on_bytes: Callable[[int], None] | None = None,
    options: reading_pb2.ReadOptions | None = None,
) -> Iterator[synthesis_service_pb2.UploadRequest]:
    """Yield the messages of an upload; `on_bytes` hears the number of bytes of each piece.

    `options` say how all its files are read.
    """
    message = synthesis_service_pb2.UploadRequest
    yield message(header=header)
    for part in parts:
        start = synthesis_service_pb2.UploadFileStart(
            table=part.table,
            file_name=part.file_name,
            format=synthesis_service_pb2.Format.Name(part.format),
            options=options,
        )
        yield message(file_start=start)
        digest, size = hashlib.sha256(), 0
        for piece in part.pieces():
            digest.update(piece)
            size += len(piece)
            yield message(chunk=piece)
            if on_bytes is not None:
                on_bytes(len(piece))
        end = synthesis_service_pb2.UploadFileEnd(size_bytes=size, sha256=digest.digest())
        yield message(file_end=end)


def send(
    method: Any, stream: Callable[[], Iterator[synthesis_service_pb2.UploadRequest]]
) -> synthesis_service_pb2.UploadResponse:
    """Return the answer to an upload; an error in reading the files ends the call and is raised.

    gRPC reads the stream in a thread of its own and would only log such an error.
    """
    failed: list[Exception] = []
    begun = threading.Event()

    def guarded() -> Iterator[synthesis_service_pb2.UploadRequest]:
        try:
            yield from stream()
        except Exception as error:  # noqa: BLE001 - raised again by the caller's thread
            failed.append(error)
            begun.wait()
            call.cancel()

    call = method.future(guarded())
    begun.set()
    try:
        answer: synthesis_service_pb2.UploadResponse = call.result()
    except (grpc.RpcError, grpc.FutureCancelledError):
        if failed:
            raise _unfit(f"reading the files failed: {failed[0]}") from failed[0]
        raise
    finally:
        call.cancel()
    return answer


def _part(value: Any, table: str) -> Part:
    if isinstance(value, (str, Path)):
        path = Path(value)
        if not path.is_file():
            raise _unfit(f"{path} is not a file; check the path")
        return Part(
            table=table,
            file_name=path.name,
            format=synthesis_service_pb2.FORMAT_UNSPECIFIED,
            pieces=lambda: _file_pieces(path),
        )
    if not table:
        raise _unfit(f"a {type(value).__name__} needs a table name: give a mapping of name to it")
    if not any(hasattr(value, mark) for mark in ("__arrow_c_stream__", "iloc")):
        raise _unfit(f"cannot read a {type(value).__name__} as a table; give a pyarrow table")
    return Part(
        table=table,
        file_name=f"{table.replace('/', '_')}.arrow",
        format=synthesis_service_pb2.FORMAT_ARROW,
        pieces=lambda: _table_pieces(value),
    )


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _table_pieces(value: Any) -> Iterator[bytes]:
    """Yield a table as an Arrow IPC stream, a slice of rows at a time."""
    import pyarrow as pa

    table = value if isinstance(value, pa.Table) else _as_arrow(value)
    sink = _Sink()
    rows = max(1, min(65_536, (4 << 20) * table.num_rows // max(1, table.nbytes)))
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        for batch in table.to_batches(max_chunksize=rows):
            writer.write_batch(batch)
            yield from sink.take()
    yield from sink.take()


class _Sink:
    """A file to write into whose content is taken away in pieces that fit a message."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> Iterator[bytes]:
        data = b"".join(self._written)
        self._written.clear()
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]


def _as_arrow(value: Any) -> Any:
    import pyarrow as pa

    if hasattr(value, "__arrow_c_stream__"):
        return pa.table(value)
    # A pandas frame older than the capsule interface.
    return pa.Table.from_pandas(value, preserve_index=False)


def _unfit(message: str) -> SyntheflowError:
    return SyntheflowError(message, code="INVALID_ARGUMENT", reason="UPLOAD_UNFIT")
