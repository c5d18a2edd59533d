"""Stages a delimited file by the exact reader: any marks, and bad rows left out if asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from syntheflow_server.domain.reading import OnBadRow
from syntheflow_server.ingest.dialect import Dialect
from syntheflow_server.ingest.records import (
    LINE_LIMIT,
    QUOTED_EMPTY,
    Record,
    RecordReader,
    RereadError,
)
from syntheflow_server.ingest.tables import bad_file

_BATCH_ROWS = 16_384
_BATCH_CELLS = 1_000_000
_BATCH_CHARACTERS = 1 << 25
_LISTED = 100
RAGGED = "the row has another number of values than the table has columns"


@dataclass(slots=True)
class Rejects:
    """Rows left out: how many by rule, and where the first hundred of them stand."""

    on_bad_row: OnBadRow
    counts: Counter[str] = field(default_factory=Counter)
    places: list[tuple[int, str, str]] = field(default_factory=list)
    comments: int = 0

    @property
    def total(self) -> int:
        """Return the number of rows left out."""
        return self.counts.total()

    def add(self, line: int, rule: str, column: str = "") -> None:
        """Count a row that is left out."""
        self.counts[rule] += 1
        if len(self.places) < _LISTED:
            self.places.append((line, column, rule))

    def findings(self) -> list[str]:
        """Return what to say of the rows that were left out."""
        notes = [f"{count} rows left out: {rule}" for rule, count in self.counts.most_common()]
        if self.on_bad_row is OnBadRow.REPORT:
            for line, column, rule in sorted(self.places):
                place = f"line {line}" + (f", column {column!r}" if column else "")
                notes.append(f"{place} left out: {rule}")
        return notes


def good_records(
    path: Path, dialect: Dialect, table: str, rejects: Rejects
) -> Iterator[tuple[int, list[str]]]:
    """Yield line and values of each record that fits the table; the others go to `rejects`.

    Raises InvalidArgumentError at the first bad one if that is what is asked for.
    """
    columns = dialect.columns
    with path.open(encoding="utf-8-sig", newline=dialect.marks.line_end) as file:
        _skip(file, dialect.data_line - 1, dialect.marks.line_end)
        reader = RecordReader(file, dialect.marks, line=dialect.data_line, single=columns == 1)
        try:
            for record in reader:
                if record.fault:
                    _reject(table, record, record.fault, rejects)
                elif len(record.values) == columns:
                    yield record.line, record.values
                elif len(record.values) == columns + 1 and not record.values[-1]:
                    # A separator at the end of the line.
                    yield record.line, record.values[:-1]
                else:
                    _reject(table, record, RAGGED, rejects, columns)
        except RereadError:
            rule = "more quotes are not closed than can be skipped; say quote='' if they are text"
            raise bad_file(table, rule) from None
        rejects.comments = reader.comments


def stage_carefully(
    path: Path, dialect: Dialect, table: str, staged: Path, on_bad_row: OnBadRow
) -> Rejects:
    """Write the texts of all good records to Parquet as c0, c1, ...; return the others."""
    rejects = Rejects(on_bad_row)
    schema = pa.schema([(f"c{i}", pa.string()) for i in range(dialect.columns)])
    rows = max(1, min(_BATCH_ROWS, _BATCH_CELLS // dialect.columns))
    records = good_records(path, dialect, table, rejects)
    with pq.ParquetWriter(staged, schema, compression="snappy", use_dictionary=False) as writer:
        for batch in _batches((values for _, values in records), rows):
            arrays = [_texts(column) for column in zip(*batch, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return rejects


def lines_of(path: Path, dialect: Dialect, table: str, wanted: Sequence[int]) -> dict[int, int]:
    """Return the lines in which good records begin, by their numbers from 0."""
    last = max(wanted, default=-1)
    chosen = set(wanted)
    found: dict[int, int] = {}
    rejects = Rejects(OnBadRow.SKIP)
    for number, (line, _) in enumerate(good_records(path, dialect, table, rejects)):
        if number in chosen:
            found[number] = line
        if number >= last:
            break
    return found


def _batches(records: Iterable[list[str]], rows: int) -> Iterator[list[list[str]]]:
    """Group records by number and size, so that memory stays bounded."""
    batch: list[list[str]] = []
    size = 0
    for values in records:
        batch.append(values)
        size += sum(map(len, values))
        if len(batch) == rows or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _texts(values: Sequence[str]) -> pa.Array:
    """Return texts with empty ones missing, but for those in quotes."""
    texts = pa.array(values, pa.string())
    missing = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    return pc.if_else(pc.equal(texts, QUOTED_EMPTY), "", missing)


def _skip(file: TextIO, lines: int, line_end: str) -> None:
    for _ in range(lines):
        part = file.readline(LINE_LIMIT)
        while part and not part.endswith(line_end):
            part = file.readline(LINE_LIMIT)


def _reject(table: str, record: Record, rule: str, rejects: Rejects, columns: int = 0) -> None:
    if rejects.on_bad_row is OnBadRow.FAIL:
        _refuse(table, record, rule, columns)
    rejects.add(record.line, rule)


def _refuse(table: str, record: Record, rule: str, columns: int) -> NoReturn:
    help_ = "mend the row, or leave bad rows out with on_bad_row skip or report"
    if rule == RAGGED:
        raise ragged(table, record.line, columns, len(record.values), help_)
    raise bad_file(table, f"{rule}; {help_}", row=record.line, reason="ROW_UNREADABLE")


def ragged(table: str, row: int, expected: int, found: int, help_: str) -> Exception:
    """Return the error for a row of another width than the table."""
    rule = f"the row has {found} values where {expected} are expected; {help_}"
    return bad_file(table, rule, row=row, reason="ROW_RAGGED")
