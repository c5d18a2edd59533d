"""Rows out: one module per format turns Arrow batches into the bytes of files.

There are two kinds of formats. Encoders turn each batch into bytes on its own, in any
process; books need all rows of a file in one place. Either tells for each part which file
it belongs to.
"""

from __future__ import annotations

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.export.arrow_stream import ArrowEncoder
from syntheflow_server.export.base import (
    MAX_PIECE,
    TARGET_PIECE,
    Book,
    Encoder,
    FilePart,
    Piece,
    Target,
    file_stem,
    split,
)
from syntheflow_server.export.csv_text import CsvEncoder
from syntheflow_server.export.duckdb_file import DuckdbBook
from syntheflow_server.export.excel import ExcelBook
from syntheflow_server.export.json_text import JsonEncoder, JsonLinesEncoder
from syntheflow_server.export.parquet_file import ParquetBook
from syntheflow_server.export.sql_script import SqlEncoder
from syntheflow_server.export.sqlite_file import SqliteBook
from syntheflow_server.export.xml_text import XmlEncoder

ENCODERS: dict[str, type[Encoder]] = {
    "arrow": ArrowEncoder,
    "csv": CsvEncoder,
    "json": JsonEncoder,
    "jsonl": JsonLinesEncoder,
    "sql": SqlEncoder,
    "xml": XmlEncoder,
}
"""Formats whose batches are encoded wherever they are made."""

BOOKS: dict[str, type[Book]] = {
    "parquet": ParquetBook,
    "excel": ExcelBook,
    "sqlite": SqliteBook,
    "duckdb": DuckdbBook,
}
"""Formats that are written by one object in a process of its own."""

__all__ = [
    "BOOKS",
    "ENCODERS",
    "MAX_PIECE",
    "TARGET_PIECE",
    "Book",
    "Encoder",
    "FilePart",
    "Piece",
    "Target",
    "check_format",
    "file_stem",
    "split",
]


def check_format(format: str) -> None:  # noqa: A002 - the word of the contract
    """Raise InvalidArgumentError if the format is unknown."""
    known = [*ENCODERS, *BOOKS]
    if format not in known:
        rule = f"format must be one of {', '.join(known)}"
        raise InvalidArgumentError(
            f"{rule}; {format[:40]!r} is not known",
            reason="FORMAT_UNKNOWN",
            violations=(Violation(field="format", rule=rule),),
        )
