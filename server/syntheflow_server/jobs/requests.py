"""What callers hand to the Service and get back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.writing import WriteOptions


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One received file: whole, its size and checksum already proved.

    `table` empty means the file's name without its ending; `format` None means by
    name and content (else one of ingest's FORMATS). `sha256` is hexadecimal. `options`
    replace what would be guessed.
    """

    path: Path
    file_name: str
    table: str
    format: str | None
    size_bytes: int
    sha256: str
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, slots=True)
class StagedUpload:
    """A whole upload that waits in a directory of `Service.staging()`.

    `schema` fixes what the user knows; the rest is inferred.
    """

    dataset_id: str
    files: tuple[StagedFile, ...]
    schema: SchemaHint | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows `start` .. `start + count - 1` of `table`; count 0 means to the table's end."""

    table: str
    start: int
    count: int


Scalar = str | int | float | bool | None
"""A value of a cell; dates, times and decimals as text, None is the missing one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the values of one column must be: `values`, or `low` to `high`, or `shares`.

    With `rows_of` instead of `column` it is on the number of rows of that child table.
    """

    column: str = ""
    values: tuple[Scalar, ...] = ()
    low: Scalar = None
    high: Scalar = None
    shares: tuple[tuple[Scalar, float], ...] = ()
    rows_of: str = ""

    def fields(self) -> dict[str, Any]:
        """Return what is said, in the words of the engine's Condition."""
        said = {"values": self.values, "low": self.low, "high": self.high, "shares": self.shares}
        rule = {name: value for name, value in said.items() if value is not None and value != ()}
        subject = {"rows_of": self.rows_of} if self.rows_of else {"column": self.column}
        return {**subject, **rule}


@dataclass(frozen=True, slots=True)
class GivenRows:
    """Rows of a table that a request hands over: an Arrow IPC stream, or a dataset's name."""

    table: str
    source: bytes | str


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """What to generate; `format` is one of export's, `write` its settings.

    `rows` gives the size of single tables, others follow `scale`; `tables` empty
    means all. `range` asks for a window of one table and excludes `tables`.
    `conditions` go by table. With `fill_missing` the missing cells of `completions`
    are drawn too. `existing` rows are there already; with `orphans` as many rows refer
    to rows that do not exist as in the real tables.
    """

    model: str
    seed: int = 0
    scale: float = 1.0
    rows: dict[str, int] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    range: RowRange | None = None
    format: str = "arrow"
    conditions: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    temperature: float = 1.0
    completions: tuple[GivenRows, ...] = ()
    fill_missing: bool = False
    existing: tuple[GivenRows, ...] = ()
    orphans: bool = False
    write: WriteOptions = field(default_factory=WriteOptions)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one file, at most 3.5 MiB; the chunks of a file in order are its bytes.

    `table` is empty where they belong to no table alone. `row_count` is 0 for headers,
    ends, and all but the last piece of rows that do not fit one chunk: rows are
    complete with the chunk that counts them.
    """

    table: str
    first_row: int
    row_count: int
    data: bytes
    file: str = ""
