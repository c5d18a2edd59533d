"""What readers leave behind: one Parquet file per table, written as its rows arrive."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.hints import TableHint
from syntheflow_server.domain.schema import ForeignKey

GROUP_ROWS = 131_072
"""Rows of a row group."""
_NAME_LIMIT = 200
_COLUMN_LIMIT = 1_000
# What common file systems allow for a file name, less the ending.
_QUOTED_LIMIT = 240


@dataclass(frozen=True, slots=True)
class IngestedTable:
    """One table as stored: where, how large, and how its file was read, in plain words.

    `read_as` are the settings used, guessed or said, by the names of ReadOptions (each
    can be given back as an override); `rejected` rows were left out. `hint` and
    `references` are what the source declares of keys and types.
    """

    name: str
    rows: int
    bytes: int
    path: Path
    file_name: str
    findings: tuple[str, ...] = ()
    read_as: Mapping[str, str] = field(default_factory=dict)
    rejected: int = 0
    hint: TableHint | None = None
    references: tuple[ForeignKey, ...] = ()
    dialect: str = ""


class TableWriter:
    """Writes one table's batches into `out`; leaves no file behind if the body fails."""

    def __init__(self, out: Path, table: str, schema: pa.Schema) -> None:
        self.table = table
        check_column_names(table, schema.names)
        self.path = _free_path(out, table)
        self.rows = 0
        self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
            self._writer.close()
        else:
            self._writer.close()
            self.path.unlink(missing_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch of the writer's schema."""
        self.rows += batch.num_rows
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def done(self, file_name: str, findings: Iterable[str]) -> IngestedTable:
        """Describe the table after the `with` block."""
        size = self.path.stat().st_size
        return IngestedTable(self.table, self.rows, size, self.path, file_name, tuple(findings))

    def _flush(self) -> None:
        if self._waiting_rows:
            table = pa.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._waiting, self._waiting_rows = [], 0


def placed(
    made: Path, out: Path, table: str, rows: int, file_name: str, findings: Iterable[str]
) -> IngestedTable:
    """Move a Parquet file that was written elsewhere on the disk to its place in `out`."""
    path = _free_path(out, table)
    made.rename(path)
    return IngestedTable(table, rows, path.stat().st_size, path, file_name, tuple(findings))


def _free_path(out: Path, table: str) -> Path:
    path = parquet_path(out, checked_table_name(table))
    if path.exists():
        raise bad_file(
            table,
            "this dataset has a table of that name already; give each file its own table name",
            reason="TABLE_REPEATED",
        )
    return path


def parquet_path(out: Path, table: str) -> Path:
    """Return where `table` is kept in `out`."""
    return out / f"{urllib.parse.quote(table, safe='')}.parquet"


def bad_file(
    table: str,
    problem: str,
    *,
    column: str = "",
    row: int | None = None,
    reason: str = "FILE_INVALID",
) -> InvalidArgumentError:
    """Return the error for a file that cannot be read as asked.

    `problem` names the rule and what to do, never a value; `row` counts the file's
    records from 1, the header included; in delimited text it is the line that the
    record begins in.
    """
    place = f"table {table!r}"
    place += f", column {column!r}" if column else ""
    place += f", row {row}" if row is not None else ""
    violation = Violation(field="file", rule=problem, table=table, column=column, row=row)
    facts = {"table": table, "column": column, "row": "" if row is None else str(row)}
    return InvalidArgumentError(
        f"{place}: {problem}",
        reason=reason,
        violations=(violation,),
        metadata={key: text for key, text in facts.items() if text},
    )


def checked_table_name(table: str) -> str:
    """Return `table` if it may name a table; else raise InvalidArgumentError."""
    if not table or len(table) > _NAME_LIMIT or not table.isprintable():
        rule = f"a table's name must have 1 to {_NAME_LIMIT} characters, none of them control"
    elif len(urllib.parse.quote(table, safe="")) > _QUOTED_LIMIT:
        rule = f"the table's name is too long: percent-encoded it may take {_QUOTED_LIMIT} bytes"
    else:
        return table
    raise bad_file(table[:_NAME_LIMIT], rule, reason="TABLE_NAME_INVALID")


def check_column_names(table: str, names: Iterable[str]) -> None:
    """Raise InvalidArgumentError unless names are unique and 1 to 1,000 characters long."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name or len(name) > _COLUMN_LIMIT:
            rule = f"the name of column {position} must have 1 to {_COLUMN_LIMIT} characters"
            raise bad_file(table, rule, reason="COLUMN_NAME_INVALID")
        if name in seen:
            rule = f"columns {seen[name]} and {position} have the same name; rename one of them"
            raise bad_file(table, rule, column=name, reason="COLUMN_REPEATED")
        seen[name] = position
    if not seen:
        raise bad_file(table, "the table has no columns", reason="TABLE_EMPTY")
