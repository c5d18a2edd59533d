"""A sample of a database in which every reference resolves.

First the drawn rows are read, then, round by round, the rows that they refer to and that
are not there yet, until nothing is missing. Keys are compared here, on disk: the database
is asked for rows by key only.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet as pq

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.ingest.databases.catalogue import Chosen
from syntheflow_server.ingest.databases.drawing import Drawing
from syntheflow_server.ingest.databases.read import (
    Pace,
    Planned,
    describe,
    references_of,
    rows_of,
)
from syntheflow_server.ingest.databases.source import Source, quoted
from syntheflow_server.ingest.tables import IngestedTable, TableWriter

_KEYS_A_QUERY = 1_000
_COMPOSITE_KEYS_A_QUERY = 200


class _Sample:
    """The pieces that were read of each table, as Parquet files in `folder`."""

    def __init__(self, database: Database, source: Source, folder: Path) -> None:
        self._database = database
        self._source = source
        self._folder = folder
        self._numbers = itertools.count()
        self.pieces: dict[str, list[Path]] = {}
        self.lost: dict[str, Counter[str]] = {}
        self._local = duckdb.connect(
            config={
                "memory_limit": "512MB",
                "temp_directory": str(folder / "spill"),
                "threads": "1",
                "allow_unsigned_extensions": "false",
            }
        )

    def close(self) -> None:
        """Close what compares keys."""
        self._local.close()

    def take(self, one: Planned, condition: str, told: Callable[[int], None]) -> int:
        """Read rows that meet a condition; return how many."""
        pieces = self.pieces.setdefault(one.name, [])
        lost = self.lost.setdefault(one.name, Counter())
        place = self._folder / str(next(self._numbers))
        place.mkdir()
        with (
            self._database.guarded("read", one.name),
            TableWriter(place, "piece", one.schema) as writer,
            rows_of(self._source, one, condition, lost) as batches,
        ):
            for batch in batches:
                writer.write(batch)
                told(writer.rows)
        if writer.rows or not pieces:
            pieces.append(writer.path)
        else:
            writer.path.unlink()
            place.rmdir()
        return writer.rows

    def complete(self, tables: dict[str, Planned], references: Sequence[ForeignKey]) -> None:
        """Read what is referred to until nothing is missing that the database has."""
        found = 1
        while found:
            found = 0
            for key in references:
                parent = tables[key.parent_table]
                for condition in self._conditions(key):
                    found += self.take(parent, condition, lambda _: None)

    def _conditions(self, key: ForeignKey) -> Iterator[str]:
        """Yield conditions for all keys that are referred to and not there."""
        missing = self._missing(key)
        columns = [self._source.quote(column) for column in key.parent_columns]
        literal = self._source.literal
        while values := missing.fetchmany(
            _KEYS_A_QUERY if len(columns) == 1 else _COMPOSITE_KEYS_A_QUERY
        ):
            if len(columns) == 1:
                listed = ", ".join(literal(value) for (value,) in values)
                yield f"{columns[0]} IN ({listed})"
            else:
                yield " OR ".join(
                    "("
                    + " AND ".join(
                        f"{column} = {literal(part)}"
                        for column, part in zip(columns, value, strict=True)
                    )
                    + ")"
                    for value in values
                )

    def _missing(self, key: ForeignKey) -> Any:
        pairs = list(zip(key.child_columns, key.parent_columns, strict=True))
        child = ", ".join(f"c.{quoted(column)}" for column in key.child_columns)
        there = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in key.child_columns)
        same = " AND ".join(f"p.{quoted(parent)} = c.{quoted(column)}" for column, parent in pairs)
        # A cursor of its own: parents are read while its rows are fetched.
        return self._local.cursor().execute(
            f"SELECT DISTINCT {child} FROM {self._files(key.child_table)} c WHERE {there} AND NOT "
            f"EXISTS (SELECT 1 FROM {self._files(key.parent_table)} p WHERE {same})"
        )

    def _files(self, table: str) -> str:
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.pieces[table])
        return f"read_parquet([{listed}])"


def read_sample(
    database: Database,
    source: Source,
    planned: Sequence[Planned],
    chosen: Chosen,
    wanted_rows: int,
    out: Path,
    written: list[Path],
    pace: Callable[[dict[str, int]], Pace],
) -> tuple[IngestedTable, ...]:
    """Read about `wanted_rows` rows of the whole, by entity, with all that they refer to."""
    tables = {one.name: one for one in planned}
    references = [key for one in planned for key in references_of(one, chosen)[0]]
    counts = {}
    for one in planned:
        with database.guarded("read", one.name):
            place = source.from_table(one.table)
            counts[one.name] = int(source.first(f"SELECT count(*) FROM {place}")[0])
    drawing = Drawing(source, tables, references, counts, wanted_rows)
    shown = pace({name: round(rows * drawing.share) for name, rows in counts.items()})
    with TemporaryDirectory(dir=out, prefix="sample-") as folder:
        sample = _Sample(database, source, Path(folder))
        try:
            for one in planned:
                told = functools.partial(shown.at, one.name)
                sample.take(one, drawing.condition(one.name), told)
                shown.end(one.name)
            sample.complete(tables, references)
        finally:
            sample.close()
        return tuple(_gather(sample, one, source, chosen, counts, out, written) for one in planned)


def _gather(
    sample: _Sample,
    one: Planned,
    source: Source,
    chosen: Chosen,
    counts: dict[str, int],
    out: Path,
    written: list[Path],
) -> IngestedTable:
    with TableWriter(out, one.name, one.schema) as writer:
        for path in sample.pieces[one.name]:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(use_threads=False):
                    writer.write(batch)
    written.append(writer.path)
    made = describe(writer, source, one, chosen, sample.lost[one.name])
    if writer.rows == counts[one.name]:
        return made
    told = f"a sample: {writer.rows:,} of {counts[one.name]:,} rows, drawn by entity"
    return replace(made, findings=(made.findings[0], told, *made.findings[1:]))
