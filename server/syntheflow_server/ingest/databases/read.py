"""Reads the wanted tables of a database into Parquet, all from one snapshot."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.databases import Database, open_database
from syntheflow_server.connect.places import parse_place
from syntheflow_server.domain.hints import ColumnHint, TableHint
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.domain.schema import ForeignKey, SemanticType
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases.catalogue import (
    Chosen,
    SourceTable,
    choose,
    namespaces_wanted,
)
from syntheflow_server.ingest.databases.columns import ColumnPlan, LeftOut
from syntheflow_server.ingest.databases.opening import open_source
from syntheflow_server.ingest.databases.source import Source
from syntheflow_server.ingest.tables import IngestedTable, TableWriter, bad_file

Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Planned:
    """A table under the name that it gets here, with the columns that can be read."""

    name: str
    table: SourceTable
    plans: tuple[ColumnPlan, ...]

    @property
    def schema(self) -> pa.Schema:
        """Stored types."""
        return pa.schema([(plan.name, plan.stored) for plan in self.plans])

    def query(self, source: Source, condition: str = "") -> str:
        """Return the query of all rows, or of those that meet a condition."""
        wanted = ", ".join(f"{p.expression} AS {source.quote(p.name)}" for p in self.plans)
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT {wanted} FROM {source.from_table(self.table)}{where}"


def read_database(
    address: Address, wanted: Wanted, out: Path, report: Report
) -> tuple[IngestedTable, ...]:
    """Read the wanted tables of the database at `address` into Parquet files in `out`.

    What the database declares (keys, types, CHECKs) is in each table's hint and references.
    `report(fraction, stage)` is called while rows arrive; what it raises ends the reading.
    Raises domain errors that name table and column, never a value; then `out` holds
    nothing new.
    """
    with open_database(address) as database:
        return _read(database, wanted, out, report)


def read_database_file(
    path: Path, dialect: Dialect, wanted: Wanted, out: Path, report: Report | None = None
) -> tuple[IngestedTable, ...]:
    """Read a SQLite or DuckDB file as `read_database` does."""
    place = parse_place(f"{dialect.value}:///database")
    with open_database(Address(place=place, path=path)) as database:
        return _read(database, wanted, out, report or _silent)


def _silent(fraction: float, stage: str) -> None:
    del fraction, stage


def _read(
    database: Database, wanted: Wanted, out: Path, report: Report
) -> tuple[IngestedTable, ...]:
    from syntheflow_server.ingest.databases.sampling import read_sample

    written: list[Path] = []
    try:
        with database.guarded("read"), open_source(database) as source:
            planned, chosen = _planned(database, source, wanted)
            if wanted.sample_rows is not None:
                rows = wanted.sample_rows
                pace_of = functools.partial(Pace, report)
                return read_sample(database, source, planned, chosen, rows, out, written, pace_of)
            pace = Pace(report, {p.name: p.table.rows for p in planned})
            return tuple(
                _read_table(database, source, one, chosen, out, written, pace) for one in planned
            )
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


class Pace:
    """Tells how far the reading is, by rows against the database's estimates."""

    def __init__(self, report: Report, estimates: dict[str, int]) -> None:
        self._report = report
        self._estimates = {name: max(rows, 1_000) for name, rows in estimates.items()}
        self._total = sum(self._estimates.values())
        self._ended = 0

    def at(self, table: str, rows: int) -> None:
        """Say that so many rows of a table are there."""
        share = self._ended + min(rows, self._estimates[table])
        self._report(min(share / self._total, 1.0), f"reading {table}: {rows:,} rows")

    def end(self, table: str) -> None:
        """Say that a table is there."""
        self._ended += self._estimates[table]


def _planned(
    database: Database, source: Source, wanted: Wanted
) -> tuple[tuple[Planned, ...], Chosen]:
    spaces = namespaces_wanted(wanted, source.default_namespace, source.namespaces())
    chosen = choose(source.tables(spaces), wanted, source.default_namespace)
    planned = []
    for name, table in chosen.tables.items():
        with database.guarded("read", name):
            found = source.plan(table)
        kept = table
        for column in found:
            if isinstance(column, LeftOut):
                kept = kept.without([column.name], column.why)
        if not kept.columns:
            raise bad_file(
                name,
                "none of its columns holds plain values; exclude the table",
                reason="TYPE_UNSUPPORTED",
            )
        plans = tuple(column for column in found if isinstance(column, ColumnPlan))
        planned.append(Planned(name, kept, plans))
    return tuple(planned), Chosen({p.name: p.table for p in planned}, chosen.names)


def _read_table(
    database: Database,
    source: Source,
    one: Planned,
    chosen: Chosen,
    out: Path,
    written: list[Path],
    pace: Pace,
) -> IngestedTable:
    lost: Counter[str] = Counter()
    with (
        database.guarded("read", one.name),
        TableWriter(out, one.name, one.schema) as writer,
        rows_of(source, one, "", lost) as batches,
    ):
        pace.at(one.name, 0)
        for batch in batches:
            writer.write(batch)
            pace.at(one.name, writer.rows)
    written.append(writer.path)
    pace.end(one.name)
    return describe(writer, source, one, chosen, lost)


@contextmanager
def rows_of(
    source: Source, one: Planned, condition: str, lost: Counter[str]
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Give the table's rows, or those that meet a condition, in the stored types."""
    batches = source.batches(one.query(source, condition), one.plans)
    # Not left to chance when: the cursor must be closed before its connection.
    with closing(batches):
        yield _settled(batches, one, lost)


def _settled(
    batches: Iterator[pa.RecordBatch], one: Planned, lost: Counter[str]
) -> Iterator[pa.RecordBatch]:
    """Yield batches in the stored types; count values that became missing, by column.

    Raises InvalidArgumentError naming the column if a value does not fit.
    """
    schema = one.schema
    for batch in batches:
        columns = []
        for plan, values in zip(one.plans, batch.columns, strict=True):
            try:
                made = plan.settle(values)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise bad_file(
                    one.name,
                    f"a value does not fit the stored type {plan.stored}; exclude the column",
                    column=plan.name,
                    reason="VALUE_INVALID",
                ) from None
            lost[plan.name] += made.null_count - values.null_count
            columns.append(made)
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def describe(
    writer: TableWriter, source: Source, one: Planned, chosen: Chosen, lost: Counter[str]
) -> IngestedTable:
    """Return the written table with all that its database declares."""
    table = one.table
    shown = f"{table.namespace}.{table.name}" if table.namespace else table.name
    references, told = references_of(one, chosen)
    findings = [
        f"{source.dialect.value} table",
        *table.findings,
        *told,
        *(text for plan in one.plans for text in plan.findings),
        *(
            f"column {plan.name!r}: {lost[plan.name]:,} {plan.lost} read as missing"
            for plan in one.plans
            if lost[plan.name]
        ),
        *(
            f"column {c.name!r}: computed by the database, here like any other"
            for c in table.columns
            if c.computed
        ),
    ]
    return replace(
        writer.done(shown, findings),
        hint=_hint(one, lost),
        references=references,
        dialect=source.dialect.value,
    )


def references_of(one: Planned, chosen: Chosen) -> tuple[tuple[ForeignKey, ...], list[str]]:
    """Return the references to tables and columns that are read too, and what is left out."""
    kept: list[ForeignKey] = []
    told: list[str] = []
    for reference in one.table.references:
        parent = chosen.names.get(reference.parent)
        columns = ", ".join(reference.columns)
        if parent is None:
            told.append(f"reference {columns} left out: its table is not read")
        elif set(reference.parent_columns) - set(chosen.tables[parent].column_names):
            told.append(f"reference {columns} left out: the key's column is not read")
        else:
            key = ForeignKey(
                child_table=one.name,
                child_columns=reference.columns,
                parent_table=parent,
                parent_columns=reference.parent_columns,
            )
            if key not in kept:
                kept.append(key)
    return tuple(kept), told


def _hint(one: Planned, lost: Counter[str]) -> TableHint:
    table = one.table
    return TableHint(
        name=one.name,
        columns=tuple(
            ColumnHint(
                name=column.name,
                nullable=column.nullable or lost[column.name] > 0,
                native_type=column.native_type,
                identity=column.identity,
                # New values of a closed list would be refused by the database.
                semantic_type=SemanticType.CATEGORY if column.kind == "enum" else None,
            )
            for column in table.columns
        ),
        primary_key=table.primary_key,
        unique_keys=table.unique_keys,
        checks=tuple(text for text, _ in table.checks),
    )
