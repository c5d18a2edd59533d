"""Rows out: one encoder per format turns Arrow batches into the bytes of a stream.

An encoder's `begin()`, then the pieces of each `batch`, then `end()` are one file (or
one Arrow IPC stream) of one table.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.export.arrow_stream import ArrowEncoder
from syntheflow_server.export.base import MAX_PIECE, TARGET_PIECE, Encoder, Piece, split
from syntheflow_server.export.csv_text import CsvEncoder
from syntheflow_server.export.json_text import JsonEncoder, JsonLinesEncoder
from syntheflow_server.export.parquet_file import ParquetEncoder

ENCODERS: dict[str, Callable[[pa.Schema], Encoder]] = {
    "arrow": ArrowEncoder,
    "csv": CsvEncoder,
    "json": JsonEncoder,
    "jsonl": JsonLinesEncoder,
    "parquet": ParquetEncoder,
}

__all__ = ["ENCODERS", "MAX_PIECE", "TARGET_PIECE", "Encoder", "Piece", "encoder", "split"]


def encoder(format: str, schema: pa.Schema) -> Encoder:  # noqa: A002 - the word of the contract
    """Return a new encoder of `format` for one table with this Arrow schema.

    Raises InvalidArgumentError if the format is unknown.
    """
    if make := ENCODERS.get(format):
        return make(schema)
    rule = f"format must be one of {', '.join(ENCODERS)}"
    raise InvalidArgumentError(
        f"{rule}; {format[:40]!r} is not known",
        reason="FORMAT_UNKNOWN",
        violations=(Violation(field="format", rule=rule),),
    )
