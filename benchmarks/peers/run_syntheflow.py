"""Syntheflow's own engine, from the Parquet file to Arrow batches, without a server."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from peers.child import Draw, Job, main
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit
from syntheflow_server.ingest import ingest
from syntheflow_server.schema import infer

TABLE = "table"


def prepare(job: Job) -> Path:
    """Make the folder that the file is read into."""
    folder = Path(job.out) / "ingested"
    folder.mkdir(exist_ok=True)
    return folder


def learn(job: Job, folder: Path) -> Draw:
    """Read the file, find the schema, fit; all of it counts as training."""
    stored = ingest(Path(job.train), file_name="t.parquet", table=TABLE, format=None, out=folder)[0]
    rows = pq.read_table(stored.path)
    tables = {stored.name: MemoryTable(rows)}
    schema = infer(tables, {stored.name: rows.schema}, None)
    model = fit(schema, tables, FitSettings(seed=job.seed), lambda _: None)
    sampler = Sampler(model)

    def draw(count: int) -> pa.Table:
        plan = sampler.plan(SampleSpec(seed=job.seed, rows={stored.name: count}), lambda: None)
        return pa.Table.from_batches(
            fragment.batch
            for unit in range(plan.unit_count)
            for fragment in sampler.sample(plan, unit, None)
        )

    return draw


if __name__ == "__main__":
    main(prepare, learn)
