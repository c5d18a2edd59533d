"""Reads single columns of tables that rows are to be added to: keys and references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.databases import open_database
from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.ingest.databases.catalogue import SourceTable, namespaces_wanted
from syntheflow_server.ingest.databases.columns import LeftOut
from syntheflow_server.ingest.databases.opening import open_source
from syntheflow_server.ingest.databases.read import Planned, rows_of
from syntheflow_server.ingest.databases.source import Source
from syntheflow_server.ingest.tables import TableWriter, bad_file

Tell = Callable[[str, int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A table by its name here and in the database (`label`); so its `columns`."""

    table: str
    label: str
    columns: Mapping[str, str]


def read_keys(
    address: Address,
    namespace: str,
    wanted: Sequence[KeysWanted],
    most_rows: int,
    out: Path,
    tell: Tell,
) -> dict[str, int]:
    """Read the columns of each table that is there and holds rows into a Parquet file in `out`.

    Returns their rows by table. A table that is missing, or lacks a column, is passed over:
    whoever writes into it says what it lacks. `tell(table, rows)` is called while rows arrive.
    Raises FailedPreconditionError for a table of more than `most_rows` rows.
    """
    found: dict[str, int] = {}
    with (
        open_database(address) as database,
        database.guarded("read"),
        open_source(database) as source,
    ):
        space = Wanted(namespace=namespace)
        spaces = namespaces_wanted(space, source.default_namespace, source.namespaces())
        there = _by_name(source.tables(spaces), lambda table: table.name)
        for one in wanted:
            table = there(one.label)
            named = _columns(one, table) if table else {}
            if table is None or not named:
                continue
            with database.guarded("read", one.table):
                rows = _rows(source, table)
                if rows > most_rows:
                    raise _too_many(one.table, rows, most_rows)
                if rows:
                    found[one.table] = _read(source, one.table, table, named, out, tell)
    return found


def _by_name(items: Sequence[T], name_of: Callable[[T], str]) -> Callable[[str], T | None]:
    """Return a look-up by exact name, then without case where that is unambiguous."""
    exact = {name_of(item): item for item in items}
    times = Counter(name.casefold() for name in exact)
    folded = {n.casefold(): item for n, item in exact.items() if times[n.casefold()] == 1}
    return lambda name: exact.get(name) or folded.get(name.casefold())


def _columns(one: KeysWanted, table: SourceTable) -> dict[str, str]:
    """Return the names here of the columns by those in the database; {} if one is missing."""
    look = _by_name(table.columns, lambda column: column.name)
    columns = {name: look(label) for name, label in one.columns.items()}
    named = {column.name: name for name, column in columns.items() if column is not None}
    return named if len(named) == len(one.columns) else {}


def _rows(source: Source, table: SourceTable) -> int:
    return int(source.first(f"SELECT count(*) FROM {source.from_table(table)}")[0])


def _read(
    source: Source, name: str, table: SourceTable, named: Mapping[str, str], out: Path, tell: Tell
) -> int:
    bare = table.without([n for n in table.column_names if n not in named], "it is no key")
    plans = []
    for plan in source.plan(bare):
        if isinstance(plan, LeftOut):
            rule = f"{plan.why}; rows can be added only to tables whose keys are plain values"
            raise bad_file(name, rule, column=plan.name, reason="TYPE_UNSUPPORTED")
        plans.append(plan)
    planned = Planned(name, bare, tuple(plans))
    schema = pa.schema([(named[plan.name], plan.stored) for plan in plans])
    with (
        TableWriter(out, name, schema) as writer,
        rows_of(source, planned, "", Counter()) as batches,
    ):
        for batch in batches:
            writer.write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            tell(name, writer.rows)
    return writer.rows


def _too_many(table: str, rows: int, most: int) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"table {table!r} of the database holds {rows:,} rows; rows can be added to at most "
        f"{most:,}, for all its keys are read so that new ones meet none of them; "
        "use mode truncate or replace, or write into new tables and copy them over",
        reason="EXISTING_TOO_MANY",
        metadata={"table": table},
    )
