"""Nested Arrow values become related tables: structs spread over columns, lists over tables.

The same shape as `shred` gives to JSON; here the types are known and whole batches move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.hints import TableHint
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.ingest.canonical import finding, stored_type, to_stored, unsigned_type
from syntheflow_server.ingest.stage import COLUMN_LIMIT
from syntheflow_server.ingest.tables import (
    IngestedTable,
    TableWriter,
    bad_file,
    check_column_names,
    checked_table_name,
)

_DEPTH_LIMIT = 16
_TABLE_LIMIT = 500
Batches = Callable[[], Iterator[pa.RecordBatch]]
"""Reads the source from its start, each time it is called."""


@dataclass(slots=True)
class _Table:
    """A table to be: its plain columns, and the lists that become its children."""

    name: str
    parent: _Table | None = None
    columns: list[pa.Field] = field(default_factory=list)
    children: list[_Table] = field(default_factory=list)
    key: str = ""
    rows: int = 0

    def tree(self) -> Iterator[_Table]:
        """Yield this table and those below it, parents first."""
        yield self
        for child in self.children:
            yield from child.tree()


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one table out of one batch; `refs` are the rows of its parent's, from 1."""

    table: _Table
    columns: list[pa.Array]
    first: int
    count: int
    refs: pa.Array | None


def store_tables(
    schema: pa.Schema,
    batches: Batches,
    *,
    table: str,
    file_name: str,
    out: Path,
    findings: list[str],
) -> tuple[IngestedTable, ...]:
    """Write the rows of `batches` as one table, or several where values are nested.

    Raises InvalidArgumentError for types that can neither be stored nor spread.
    """
    check_column_names(table, schema.names)
    root = _Table(table)
    made = [root]
    _plan(root, list(schema), made, 0)
    for each in made:
        _give_keys(each)
    stored = _stored(made, batches)
    with ExitStack() as stack:
        writers = {
            each.name: stack.enter_context(TableWriter(out, each.name, stored[each.name]))
            for each in made
        }
        for part in _parts(root, batches):
            writers[part.table.name].write(_batch(part, stored[part.table.name]))
    return tuple(
        _described(writers[each.name].done(file_name, _notes(each, stored, findings)), each)
        for each in made
    )


def _plan(table: _Table, fields: list[pa.Field], made: list[_Table], depth: int) -> None:
    """Sort the fields into columns and children, at any depth."""
    for each in fields:
        kind = _bare(each.type)
        if pa.types.is_struct(kind) and depth < _DEPTH_LIMIT:
            inner = [pa.field(f"{each.name}.{f.name}", f.type) for f in kind]
            _plan(table, inner, made, depth + 1)
        elif _is_list(kind) and depth < _DEPTH_LIMIT:
            if len(made) == _TABLE_LIMIT:
                rule = f"the file makes more than {_TABLE_LIMIT} tables; send fewer columns"
                raise bad_file(table.name, rule, reason="TABLES_TOO_MANY")
            taken = {other.name for other in made}
            wish = f"{table.name}_{each.name.replace('.', '_')}"[:190]
            names = (wish, *(f"{wish}_{i}" for i in range(2, _TABLE_LIMIT + 2)))
            child = _Table(checked_table_name(next(n for n in names if n not in taken)), table)
            table.children.append(child)
            made.append(child)
            _plan(child, _item_fields(kind), made, depth + 1)
        else:
            table.columns.append(each)
    if len(table.columns) > COLUMN_LIMIT:
        rule = f"the file has more than {COLUMN_LIMIT:,} columns"
        raise bad_file(table.name, rule, reason="TOO_MANY_COLUMNS")


def _give_keys(table: _Table) -> None:
    taken = {each.name for part in (table, *table.children) for each in part.columns}
    wishes = (f"{table.name}_id", *(f"{table.name}_key{i}" for i in range(len(taken) + 2)))
    table.key = next(name for name in wishes if name not in taken)


def _bare(kind: pa.DataType) -> pa.DataType:
    return _bare(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_map(kind)
    )


def _item_fields(kind: pa.DataType) -> list[pa.Field]:
    if pa.types.is_map(kind):
        return [pa.field("key", kind.key_type), pa.field("value", kind.item_type)]
    inner = _bare(kind.value_type)
    return list(inner) if pa.types.is_struct(inner) else [pa.field("value", inner)]


def _parts(root: _Table, batches: Batches) -> Iterator[_Part]:
    """Yield the rows of every table, batch by batch, parents before children."""
    for table in root.tree():
        table.rows = 0
    for batch in batches():
        yield from _spread(root, list(batch.columns), batch.num_rows, None)


def _spread(
    table: _Table, values: list[pa.Array], count: int, refs: pa.Array | None
) -> Iterator[_Part]:
    columns: list[pa.Array] = []
    lists: list[pa.Array] = []
    _sort(values, columns, lists, 0)
    first = table.rows + 1
    table.rows += count
    yield _Part(table, columns, first, count, refs)
    for child, array in zip(table.children, lists, strict=True):
        inner = pc.list_flatten(array)
        rows = pc.add(pc.list_parent_indices(array), pa.scalar(first, pa.int64()))
        parts = [inner]
        if pa.types.is_struct(inner.type):
            parts = inner.flatten()
        yield from _spread(child, parts, len(inner), rows.cast(pa.int64()))


def _sort(
    values: list[pa.Array], columns: list[pa.Array], lists: list[pa.Array], depth: int
) -> None:
    """Do with arrays what `_plan` did with their fields; order and depths are the same."""
    for value in values:
        array = value
        while isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        if pa.types.is_struct(array.type) and depth < _DEPTH_LIMIT:
            _sort(array.flatten(), columns, lists, depth + 1)
        elif _is_list(array.type) and depth < _DEPTH_LIMIT:
            lists.append(_as_list(array))
        else:
            columns.append(value)


def _as_list(array: pa.Array) -> pa.Array:
    if pa.types.is_map(array.type):
        entry = pa.struct(
            [pa.field("key", array.type.key_type), pa.field("value", array.type.item_type)]
        )
        return array.cast(pa.list_(entry))
    kind = array.type.value_type
    if isinstance(kind, pa.BaseExtensionType):
        return array.cast(pa.list_(_bare(kind)))
    return array


def _stored(made: list[_Table], batches: Batches) -> dict[str, pa.Schema]:
    """Return the stored schema of each table; unsigned integers are measured first."""
    largest: dict[tuple[str, int], int | None] = {
        (table.name, i): None
        for table in made
        for i, each in enumerate(table.columns)
        if _bare(each.type) == pa.uint64()
    }
    if largest:
        for part in _parts(made[0], batches):
            for place, before in largest.items():
                if place[0] == part.table.name:
                    top = pc.max(part.columns[place[1]]).as_py()
                    if top is not None:
                        largest[place] = max(top, before or 0)
    schemas: dict[str, pa.Schema] = {}
    for table in made:
        fields = [
            pa.field(
                each.name,
                unsigned_type(largest[table.name, i])
                if (table.name, i) in largest
                else stored_type(each.type, table=table.name, column=each.name),
            )
            for i, each in enumerate(table.columns)
        ]
        if table.children:
            fields.append(pa.field(table.key, pa.int64()))
        if table.parent:
            fields.append(pa.field(table.parent.key, pa.int64()))
        schemas[table.name] = pa.schema(fields)
    return schemas


def _batch(part: _Part, stored: pa.Schema) -> pa.RecordBatch:
    table = part.table
    columns = [
        to_stored(values, each.type, table=table.name, column=each.name)
        for values, each in zip(part.columns, stored, strict=False)
    ]
    if table.children:
        columns.append(pa.array(np.arange(part.first, part.first + part.count)))
    if part.refs is not None:
        columns.append(part.refs)
    return pa.RecordBatch.from_arrays(columns, schema=stored)


def _notes(table: _Table, stored: dict[str, pa.Schema], findings: list[str]) -> list[str]:
    notes = list(findings)
    for before, after in zip(table.columns, stored[table.name], strict=False):
        if change := finding(before.type, after.type, before.name):
            notes.append(change)
    if table.children:
        notes.append(f"column {table.key!r}: a key made for the tables of nested lists")
    if table.parent:
        about = f"refers to the row of {table.parent.name!r} around it"
        notes.append(f"column {table.parent.key!r}: {about}")
    return notes


def _described(made: IngestedTable, table: _Table) -> IngestedTable:
    if table.children:
        made = replace(made, hint=TableHint(name=table.name, primary_key=(table.key,)))
    if table.parent:
        link = ForeignKey(
            child_table=table.name,
            child_columns=(table.parent.key,),
            parent_table=table.parent.name,
            parent_columns=(table.parent.key,),
        )
        made = replace(made, references=(link,))
    return made
