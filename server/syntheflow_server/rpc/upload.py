"""Receives the stream of an upload into a staging folder, proving size and checksum."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from syntheflow.v1 import synthesis_service_pb2
from syntheflow_server.domain.errors import DataLossError, InvalidArgumentError, Violation
from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.jobs.requests import StagedFile, StagedUpload
from syntheflow_server.jobs.service import Service
from syntheflow_server.rpc.checks import Checks
from syntheflow_server.rpc.formats import INPUT_FORMATS
from syntheflow_server.rpc.options import read_options_of
from syntheflow_server.rpc.schemas import hint_of

Requests = AsyncIterator[synthesis_service_pb2.UploadRequest]
MOST_FILES = 1_000
LONGEST_FILE_NAME = 255


async def receive(
    requests: Requests, service: Service, folder: Path, *, max_bytes: int
) -> StagedUpload:
    """Write the files of an upload into `folder` and return what was received.

    The folder is the caller's to remove. Raises InvalidArgumentError for messages out of
    order, bad names and too many bytes, DataLossError if a file is not what its end says,
    and whatever makes the upload vain from the start (its dataset exists, no place is
    free), before the files come.
    """
    header = await _header(requests)
    hint = _checked_header(header)
    await service.precheck_upload(header.dataset_id, header.request_id)
    room = _Room(max_bytes, service)
    files: list[StagedFile] = []
    async for request in requests:
        if request.WhichOneof("part") != "file_start":
            raise _out_of_order("a file_start", request)
        if len(files) == MOST_FILES:
            raise _refused("file_start", f"an upload has at most {MOST_FILES:,} files")
        path = folder / f"{len(files):04}"
        files.append(await _receive_file(request.file_start, requests, path, room))
    if not files:
        raise _refused("file_start", "an upload needs at least one file")
    return StagedUpload(
        dataset_id=header.dataset_id,
        files=tuple(files),
        schema=hint,
        request_id=header.request_id,
    )


class _Room:
    """Bytes that an upload may still bring."""

    def __init__(self, max_bytes: int, service: Service) -> None:
        self._max = self._left = max_bytes
        self._service = service

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self._service.metrics.rejections.labels("upload_too_large").inc()
            raise _refused(
                "chunk",
                f"an upload has at most {self._max:,} bytes; send less, or start the server "
                "with a larger max_upload_bytes",
                reason="UPLOAD_TOO_LARGE",
            )


async def _header(requests: Requests) -> synthesis_service_pb2.UploadHeader:
    async for request in requests:
        if request.WhichOneof("part") != "header":
            raise _out_of_order("the header", request)
        header: synthesis_service_pb2.UploadHeader = request.header
        return header
    raise _refused("header", "an upload begins with a header")


def _checked_header(header: synthesis_service_pb2.UploadHeader) -> SchemaHint | None:
    checks = Checks()
    checks.new_id("header.dataset_id", header.dataset_id)
    checks.request_id(header.request_id)
    hint = hint_of(header.schema, checks) if header.HasField("schema") else None
    checks.done()
    return hint


async def _receive_file(
    start: synthesis_service_pb2.UploadFileStart, requests: Requests, path: Path, room: _Room
) -> StagedFile:
    options = _check_start(start)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        async for request in requests:
            part = request.WhichOneof("part")
            if part == "file_end":
                _prove(start.file_name, request.file_end, size, digest.digest())
                return StagedFile(
                    path=path,
                    file_name=start.file_name,
                    table=start.table,
                    format=INPUT_FORMATS[start.format],
                    size_bytes=size,
                    sha256=digest.hexdigest(),
                    options=options,
                )
            if part != "chunk":
                raise _out_of_order("a chunk or the file_end", request)
            room.take(len(request.chunk))
            size += len(request.chunk)
            # In a thread: disk and digest must not hold up the other calls.
            await asyncio.to_thread(_keep, file, digest, request.chunk)
    raise DataLossError(
        f"The upload ended in the middle of file {start.file_name!r}; send it again",
        reason="UPLOAD_CUT",
    )


def _keep(file: BinaryIO, digest: hashlib._Hash, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _check_start(start: synthesis_service_pb2.UploadFileStart) -> ReadOptions:
    checks = Checks()
    name = start.file_name
    checks.rule("file_start.file_name", "must not be empty", holds=bool(name))
    rule = f"must have at most {LONGEST_FILE_NAME} bytes"
    checks.rule("file_start.file_name", rule, holds=len(name.encode()) <= LONGEST_FILE_NAME)
    plain = not set(name) & set("/\\\0") and name not in {".", ".."}
    checks.rule("file_start.file_name", "must be a name without folders", holds=plain)
    checks.text("file_start.table", start.table, required=False)
    known = start.format in INPUT_FORMATS
    checks.rule("file_start.format", "is not a format of the contract", holds=known)
    options = read_options_of(start.options, "file_start.options", checks)
    checks.done()
    return options


def _prove(
    file_name: str, end: synthesis_service_pb2.UploadFileEnd, size: int, digest: bytes
) -> None:
    checks = Checks()
    checks.rule("file_end.sha256", "must have 32 bytes", holds=len(end.sha256) == len(digest))
    checks.done()
    if end.size_bytes != size:
        raise DataLossError(
            f"File {file_name!r}: {end.size_bytes:,} bytes were sent, {size:,} arrived; "
            "send it again",
            reason="UPLOAD_SIZE_MISMATCH",
        )
    if end.sha256 != digest:
        raise DataLossError(
            f"File {file_name!r}: the SHA-256 differs from what arrived; send it again",
            reason="UPLOAD_CHECKSUM_MISMATCH",
        )


def _out_of_order(
    wanted: str, request: synthesis_service_pb2.UploadRequest
) -> InvalidArgumentError:
    got = request.WhichOneof("part") or "a message without a part"
    return _refused("part", f"{wanted} must come here, not {got}")


def _refused(field: str, rule: str, reason: str = "UPLOAD_INVALID") -> InvalidArgumentError:
    return InvalidArgumentError(
        rule[0].upper() + rule[1:],
        reason=reason,
        violations=(Violation(field=field, rule=rule),),
    )
