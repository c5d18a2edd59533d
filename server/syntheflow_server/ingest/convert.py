"""From staged texts to the table: converts all columns by their plans, batch by batch."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from syntheflow_server.ingest.duck import file_literal
from syntheflow_server.ingest.guess import ColumnPlan
from syntheflow_server.ingest.tables import IngestedTable, TableWriter

_BATCH_ROWS = 32_768


def write_planned(
    con: duckdb.DuckDBPyConnection,
    staged: Path,
    columns: list[tuple[str, ColumnPlan]],
    table: str,
    file_name: str,
    out: Path,
    findings: list[str],
    *,
    where: str = "",
) -> IngestedTable:
    """Convert the staged texts by their plans and write the table.

    `where` is SQL over c0, c1, ... that is true for the rows to keep.
    """
    schema = pa.schema([pa.field(name, plan.arrow) for name, plan in columns])
    values = ", ".join(f"{plan.expression} AS v{i}" for i, (_, plan) in enumerate(columns))
    query = f"SELECT {values} FROM read_parquet({file_literal(staged)})"
    query += f" WHERE {where}" if where else ""
    reader = con.sql(query).to_arrow_reader(_BATCH_ROWS)
    with TableWriter(out, table, schema) as writer:
        for batch in reader:
            arrays = [
                values.cast(kind.type) for values, kind in zip(batch.columns, schema, strict=True)
            ]
            writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return writer.done(file_name, findings)
