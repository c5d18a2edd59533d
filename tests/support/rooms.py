"""What tests of the server's rooms share: settings, uploads, streams."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.config import Settings
from syntheflow_server.domain.resources import Dataset, Job
from syntheflow_server.jobs.requests import GenerationSpec, StagedFile, StagedUpload
from syntheflow_server.jobs.service import Service

ENGINES = {"neural": "support.tiny_engine"}


def settings(data_dir: Path, **changes: object) -> Settings:
    return Settings(**{"data_dir": data_dir, "port": 0, "http_port": 0, "workers": 2, **changes})


async def eventually(fact: Callable[[], object], within: float = 20) -> None:
    """Wait until `fact()` is true."""
    end = time.monotonic() + within
    while not fact():
        assert time.monotonic() < end, "it did not come to be"
        await asyncio.sleep(0.01)


async def upload(
    service: Service, dataset_id: str, request_id: str = "", **tables: pa.Table
) -> Dataset:
    """Upload tables as Parquet files."""
    async with service.staging() as folder:
        files = []
        for name, table in tables.items():
            path = folder / f"{name}.parquet"
            pq.write_table(table, path)
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            files.append(StagedFile(path, path.name, "", None, len(data), digest))
        return await service.upload(StagedUpload(dataset_id, tuple(files), request_id=request_id))


async def ended(service: Service, job: Job) -> Job:
    """Return the job's last state."""
    async for state in service.watch(job.name):
        job = state
    return job


async def streamed(service: Service, spec: GenerationSpec) -> dict[str, bytes]:
    """Return the joined bytes of each table."""
    parts: dict[str, list[bytes]] = defaultdict(list)
    async for chunk in service.generate(spec):
        parts[chunk.table].append(chunk.data)
    return {table: b"".join(data) for table, data in parts.items()}


def arrow(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
