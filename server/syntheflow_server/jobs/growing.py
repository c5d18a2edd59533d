"""Exports that add rows to tables which hold some: what is there is read, so that both fit.

The keys and references of the tables' rows become the engine's existing rows. New keys
meet none of theirs, and new rows may refer to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from syntheflow_server.connect.access import Address
from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.domain.ids import new_id
from syntheflow_server.domain.resources import Model
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.jobs.process import Progress, Reporter, run_process
from syntheflow_server.jobs.requests import GenerationSpec
from syntheflow_server.jobs.seeds import MOST_ROWS, Seeds, StoredRows
from syntheflow_server.jobs.wishes import tables_of


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a table of the database; `keys` are the columns that were read."""

    rows: int
    keys: Table


@dataclass(frozen=True, slots=True)
class Growth:
    """What an export that adds rows becomes once it is known what is there."""

    spec: GenerationSpec
    given: tuple[Seeds, ...]
    notes: tuple[str, ...]


async def growth(
    model: Model,
    spec: GenerationSpec,
    given: tuple[Seeds, ...],
    address: Address,
    namespace: str,
    folder: Path,
    report: Reporter,
) -> Growth:
    """Return the export of `spec` that suits the rows in the database at `address`.

    Keys are read into `folder`, in a process of its own. Tables whose rows the request
    gives itself are left to it. Raises FailedPreconditionError for tables of too many rows.
    """
    wanted = _needed(model, spec)
    outcome = await run_process(
        "syntheflow_server.jobs.growing:read_existing",
        address,
        model.data_schema,
        tuple(sorted(wanted - {one.table.name for one in given})),
        namespace,
        MOST_ROWS,
        folder,
        title="an export",
        threads=1,
        on_progress=report,
    )
    found: dict[str, Found] = outcome.value
    kept = [table for table in model.kept_tables if table in found]
    mark, stored = new_id(), []
    for name, one in found.items():
        if name not in kept:
            rows = StoredRows("", mark, folder, one.keys)
            # Missing references of rows that are there are none of our business.
            table = model.data_schema.table(name)
            stored.append(Seeds(table, rows, fill_missing=True, field="existing"))
    return Growth(
        _suited(model, spec, found, kept),
        (*given, *stored),
        tuple(
            f"{name}: {one.rows:,} rows were there"
            + (", and as it is kept as it is none were added" if name in kept else "")
            for name, one in found.items()
            if name in tables_of(model, spec)
        ),
    )


def _needed(model: Model, spec: GenerationSpec) -> set[str]:
    """Return the tables that rows are added to, and all that these refer to."""
    schema = model.data_schema
    needed, fresh = set[str](), set(tables_of(model, spec))
    while fresh:
        needed |= fresh
        fresh = {key.parent_table for t in fresh for key in schema.references_from(t)} - needed
    return needed


def _suited(
    model: Model, spec: GenerationSpec, found: dict[str, Found], kept: list[str]
) -> GenerationSpec:
    """Return the spec without kept tables that are there, and without rows that are not written.

    What is written refers to rows that are there where it cannot refer to written ones.
    """
    written = tuple(table for table in tables_of(model, spec) if table not in kept)
    if not written:
        raise FailedPreconditionError(
            "all tables to be written are kept as they are, and the database holds their rows; "
            "there is nothing to add",
            reason="NOTHING_TO_ADD",
        )
    rows = dict(spec.rows)
    absent = set(found) - set(written) - set(kept)
    if absent:
        learned = {card.table: card.train_rows + card.holdout_rows for card in model.tables}
        for table in written:
            if table not in model.kept_tables:
                rows.setdefault(table, round(learned.get(table, 0) * spec.scale))
        rows.update(dict.fromkeys(absent, 0))
    return replace(spec, tables=written, rows=rows)


def read_existing(
    report: Reporter,
    address: Address,
    schema: Schema,
    tables: tuple[str, ...],
    namespace: str,
    most_rows: int,
    out: Path,
) -> dict[str, Found]:
    """Read what keys and references of `tables` hold in the database; runs in its process."""
    from syntheflow_server.export.ddl import fitting_name
    from syntheflow_server.ingest.databases import KeysWanted, read_keys
    from syntheflow_server.schema.types import type_name
    from syntheflow_server.store.tables import StoredTable, file_of

    out.mkdir(parents=True)
    dialect = address.place.dialect
    assert dialect is not None
    wanted = [
        KeysWanted(
            name,
            fitting_name(dialect, name),
            {column: fitting_name(dialect, column) for column in _key_columns(schema, name)},
        )
        for name in tables
    ]

    def tell(table: str, rows: int) -> None:
        report(Progress(0.0, f"reading keys of {table}: {rows:,} rows", {}))

    found = {}
    for name, rows in read_keys(address, namespace, wanted, most_rows, out, tell).items():
        stored = StoredTable(out / file_of(name)).stored_schema
        columns = tuple(
            Column(name=f.name, type=type_name(f.type), semantic_type=SemanticType.IDENTIFIER)
            for f in stored
        )
        found[name] = Found(rows, Table(name=name, columns=columns))
    return found


def _key_columns(schema: Schema, name: str) -> list[str]:
    """Return the columns of the table's keys and references, in its order."""
    held = set(_keyed(schema, name))
    return [column for column in schema.table(name).column_names if column in held]


def _keyed(schema: Schema, name: str) -> Iterator[str]:
    table = schema.table(name)
    yield from table.primary_key
    for unique in table.unique_keys:
        yield from unique
    for key in schema.references_from(name):
        yield from key.child_columns
    for key in schema.references_to(name):
        yield from key.parent_columns
