"""Nested records become related tables: objects spread over columns, arrays make child tables.

`{"id": 1, "to": {"city": "x"}, "items": [{"n": 2}], "tags": ["a"]}` in table `orders` is a
row (id, to.city, orders_id) there, a row (n, orders_id) in `orders_items` and a row
(value, orders_id) in `orders_tags`; `orders_id` is a generated key and its reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntheflow_server.domain.hints import TableHint
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.duck import connection, file_literal
from syntheflow_server.ingest.guess import ColumnPlan, Rules, plan_columns
from syntheflow_server.ingest.stage import Stage, StagedColumn
from syntheflow_server.ingest.tables import IngestedTable, bad_file, checked_table_name

DEPTH_LIMIT = 16
"""Objects and arrays within each other that are spread; what is deeper is kept as text."""
TABLE_LIMIT = 500
"""Tables that one file may make."""
COLUMN_LIMIT = 10_000
"""Fields that the records of one table may have."""
TEXT, NUMBER, TRUTH = "text", "number", "truth"


class Number(str):
    """A number as it is written."""

    __slots__ = ()


@dataclass(slots=True)
class _Node:
    """A table in the making: where its rows wait, and what it is to its parent."""

    name: str
    stage: Stage
    parent: _Node | None
    depth: int
    shape: _Shape
    taken: dict[str, int] = field(default_factory=dict)
    children: list[_Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: int = 0


@dataclass(slots=True)
class _Shape:
    """Fields of the objects that are found at one path of a table."""

    path: str
    depth: int
    fields: dict[str, _Field] = field(default_factory=dict)


@dataclass(slots=True)
class _Field:
    """What a field is: a column, an object of its own shape, a child table; or several."""

    path: str
    place: int
    column: StagedColumn | None = None
    shape: _Shape | None = None
    child: _Node | None = None


class Shredder:
    """Takes records of named tables and stages their parts; `settle` writes the tables."""

    def __init__(self, work: Path, null_values: tuple[str, ...] = ()) -> None:
        self._work = work
        self._nulls = frozenset(null_values)
        self._roots: dict[str, _Node] = {}
        self._nodes: list[_Node] = []
        self._names: set[str] = set()

    def open(self, table: str) -> None:
        """Make sure that a root table is there, even if no record comes."""
        if table not in self._roots:
            self._roots[table] = self._node(checked_table_name(table), None)

    def add(self, table: str, record: Any) -> None:
        """Add a record to a root table; raises InvalidArgumentError if it is no object."""
        self.open(table)
        node = self._roots[table]
        if not isinstance(record, dict):
            rule = "an object is expected in each place"
            raise bad_file(table, rule, row=node.stage.rows + 1)
        number = node.stage.begin_row()
        self._fill(node, node.shape, record, number)

    def settle(
        self, file_name: str, out: Path, findings: list[str], rules: Callable[[set[str]], Rules]
    ) -> tuple[IngestedTable, ...]:
        """Write all tables, parents first; `rules` says what kinds of values may become."""
        return tuple(_settle(node, self._work, file_name, out, findings, rules)
                     for node in self._nodes)  # fmt: skip

    def close(self) -> None:
        """Let go of all files."""
        for node in self._nodes:
            node.stage.close()

    def _node(self, name: str, parent: _Node | None) -> _Node:
        if len(self._nodes) == TABLE_LIMIT:
            rule = f"the file makes more than {TABLE_LIMIT} tables; name the records to take"
            raise bad_file(name, rule, reason="TABLES_TOO_MANY")
        final, count = name, 1
        while final in self._names:
            count += 1
            final = f"{name}_{count}"
        self._names.add(checked_table_name(final))
        stage = Stage(self._work, final, len(self._nodes))
        depth = parent.depth + 1 if parent else 0
        made = _Node(final, stage, parent, depth, _Shape("", depth))
        self._nodes.append(made)
        if parent:
            parent.children.append(made)
        return made

    def _fill(self, node: _Node, shape: _Shape, record: Mapping[str, Any], number: int) -> None:
        fields = shape.fields
        for key, value in record.items():
            at = fields.get(key)
            if at is None:
                at = fields[key] = self._field(node, shape, key)
            if value is None:
                continue
            if isinstance(value, str):
                family = NUMBER if type(value) is Number else TEXT
                self._put(node, at, value, family)
            elif isinstance(value, bool):
                self._put(node, at, "true" if value else "false", TRUTH)
            elif isinstance(value, dict):
                self._inner(node, shape, at, value, number)
            else:
                self._rows(node, shape, at, value, number)

    def _field(self, node: _Node, shape: _Shape, key: str) -> _Field:
        # An object may have a text of its own, as elements of XML have: its name is empty.
        path = f"{shape.path}.{key}" if shape.path and key else key or shape.path or "value"
        node.places += 1
        if node.places > COLUMN_LIMIT:
            rule = f"the records have more than {COLUMN_LIMIT:,} different fields; are keys data?"
            raise bad_file(node.name, rule, reason="TOO_MANY_COLUMNS")
        return _Field(path, node.places)

    def _put(self, node: _Node, at: _Field, text: str, family: str) -> None:
        if at.column is None:
            at.column = node.stage.column(self._column_name(node, at.path), at.place)
        if family == TEXT and text in self._nulls:
            return
        node.stage.put(at.column, text, family)

    def _column_name(self, node: _Node, path: str) -> str:
        count = node.taken[path] = node.taken.get(path, 0) + 1
        if count == 1:
            return path
        node.notes.append(f"two fields lead to {path!r}; one is called {path}_{count}")
        return self._column_name(node, f"{path}_{count}")

    def _inner(
        self, node: _Node, shape: _Shape, at: _Field, value: dict[str, Any], number: int
    ) -> None:
        if shape.depth >= DEPTH_LIMIT:
            self._deep(node, at, value)
            return
        if at.shape is None:
            at.shape = _Shape(at.path, shape.depth + 1)
        self._fill(node, at.shape, value, number)

    def _rows(self, node: _Node, shape: _Shape, at: _Field, values: list[Any], number: int) -> None:
        if shape.depth >= DEPTH_LIMIT:
            self._deep(node, at, values)
            return
        if not values:
            return
        if at.child is None:
            short = at.path.replace(".", "_")
            at.child = self._node(f"{node.name}_{short}"[:200], node)
            at.child.depth = at.child.shape.depth = shape.depth + 1
        child = at.child
        for value in values:
            row = child.stage.begin_row(number)
            if isinstance(value, dict):
                self._fill(child, child.shape, value, row)
            elif isinstance(value, list):
                self._deep(child, self._value_of(child), value)
            else:
                self._fill(child, child.shape, {"value": value}, row)

    def _value_of(self, child: _Node) -> _Field:
        fields = child.shape.fields
        if "value" not in fields:
            fields["value"] = self._field(child, child.shape, "value")
        return fields["value"]

    def _deep(self, node: _Node, at: _Field, value: Any) -> None:
        if at.column is None:
            node.notes.append(f"column {at.path!r}: nested deeper than is spread, kept as JSON")
        self._put(node, at, _json(value), TEXT)


def _json(value: Any) -> str:
    if type(value) is Number:
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value)


def _touched(shape: _Shape, node: _Node, make: Callable[[_Node, str], str]) -> None:
    """Give fields that never had a value a column, so that no name is lost."""
    for at in shape.fields.values():
        if at.shape is not None and at.shape.fields:
            _touched(at.shape, node, make)
        elif at.column is None and at.child is None:
            at.column = node.stage.column(make(node, at.path), at.place)


def _settle(
    node: _Node,
    work: Path,
    file_name: str,
    out: Path,
    findings: list[str],
    rules: Callable[[set[str]], Rules],
) -> IngestedTable:
    _touched(node.shape, node, lambda _, path: path)
    stage = node.stage
    staged = stage.whole()
    order = sorted(range(len(stage.columns)), key=lambda i: stage.columns[i].place)
    names = [column.name for column in stage.columns]
    with connection(work) as con:
        source = f"read_parquet({file_literal(staged)})"
        allowed = [rules(column.families) for column in stage.columns]
        plans = plan_columns(con, source, names, allowed)
        columns = [(names[i], plans[i]) for i in order]
        key = _generated(node, columns)
        notes = [*findings, *node.notes, *_mixed(node), *key.notes]
        notes += [note for i in order for note in plans[i].findings]
        made = write_planned(con, staged, columns, node.name, file_name, out, notes)
    staged.unlink()
    return replace(made, hint=key.hint, references=key.references)


def _mixed(node: _Node) -> list[str]:
    return [
        f"column {column.name!r}: {'s and '.join(sorted(column.families))}s mixed, kept as text"
        for column in node.stage.columns
        if len(column.families) > 1
    ]


@dataclass(slots=True)
class _Keys:
    notes: list[str]
    hint: TableHint | None = None
    references: tuple[ForeignKey, ...] = ()


def _generated(node: _Node, columns: list[tuple[str, ColumnPlan]]) -> _Keys:
    """Add the generated key and reference to `columns` and say what they are."""
    found = _Keys([])
    if node.children:
        name = key_name(node)
        columns.append((name, ColumnPlan("key", pa.int64())))
        found.hint = TableHint(name=node.name, primary_key=(name,))
        found.notes.append(f"column {name!r}: a key made for the tables of nested arrays")
    if node.parent:
        name = key_name(node.parent)
        columns.append((name, ColumnPlan("ref", pa.int64())))
        found.notes.append(f"column {name!r}: refers to the row of {node.parent.name!r} around it")
        found.references = (
            ForeignKey(
                child_table=node.name,
                child_columns=(name,),
                parent_table=node.parent.name,
                parent_columns=(name,),
            ),
        )
    return found


def key_name(node: _Node) -> str:
    """Return the name of a table's generated key, which its children use too."""
    taken = set(node.taken)
    for child in node.children:
        taken |= set(child.taken)
    wishes = [f"{node.name}_id", f"{node.name}_key"]
    wishes += [f"{node.name}_key_{i}" for i in range(2, len(taken) + 4)]
    return next(name for name in wishes if name not in taken)
