"""Random databases over all shapes of keys, and what must hold of every copy of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable

Rows = list[tuple[Any, ...]]
_KINDS = {
    "int64": SemanticType.INTEGER,
    "double": SemanticType.NUMBER,
    "string": SemanticType.CATEGORY,
    "date32[day]": SemanticType.DATE,
    "bool": SemanticType.BOOLEAN,
}
_SHARE = 0.01


@dataclass
class Draft:
    """One table in the making: columns by name, its key."""

    name: str
    columns: dict[str, list[Any]] = field(default_factory=dict)
    key: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def keys(self) -> Rows:
        return list(zip(*(self.columns[name] for name in self.key), strict=True))


class Drafter:
    """Draws one database; `tables` and `references` fill up as it goes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tables: dict[str, Draft] = {}
        self.references: list[ForeignKey] = []

    def draft(self) -> None:
        """Draw some tables of random shapes, then references between them."""
        makers = [
            self._plain,
            self._plain,
            self._owned,
            self._numbered,
            self._pairs,
            self._same_key,
            self._grid,
            self._keyless,
            self._tenants,
            self._ring,
            self._heads,
        ]
        self._plain()
        for _ in range(int(self.rng.integers(1, 5))):
            makers[int(self.rng.integers(0, len(makers)))]()
        for _ in range(int(self.rng.integers(0, 4))):
            self._extra()
        if self.rng.random() < 0.5:
            self._tree()

    # -- tables ---------------------------------------------------------------------------

    def _new(self, rows: int) -> Draft:
        draft = Draft(f"t{len(self.tables)}")
        self.tables[draft.name] = draft
        draft.columns["note"] = [str(v) for v in self.rng.choice(["red", "blue", "green"], rows)]
        if self.rng.random() < 0.5:
            draft.columns["size"] = [float(v) for v in np.round(self.rng.gamma(2, 3, rows), 1)]
        return draft

    def _size(self) -> int:
        return int(self.rng.choice([3, 12, 25, 60, 130]))

    def _plain(self) -> None:
        draft = self._new(self._size())
        draft.columns = {"id": self._codes(draft.rows), **draft.columns}
        draft.key = ("id",)

    def _codes(self, rows: int) -> list[Any]:
        kind = self.rng.integers(0, 4)
        if kind == 0:
            return (np.arange(rows) + 1).tolist()
        if kind == 1:
            return (np.sort(self.rng.permutation(rows * 9)[:rows]) * 10).tolist()
        if kind == 2:
            return [f"{chr(65 + i % 7)}-{i:04d}" for i in range(rows)]
        return [date(2020, 1, 1) + timedelta(3 * i) for i in range(rows)]

    def _parent(self) -> Draft | None:
        some = [t for t in self.tables.values() if t.key and t.rows]
        return some[int(self.rng.integers(0, len(some)))] if some else None

    def _refer(
        self, child: Draft, parent: Draft, found: np.ndarray, names: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Let the child's rows hold the keys of the parent's rows `found` (-1: none)."""
        number = len(self.references)
        names = names or tuple(f"{name}_of_{parent.name}_{number}" for name in parent.key)
        keys = parent.keys()
        for place, name in enumerate(names):
            child.columns[name] = [keys[i][place] if i >= 0 else None for i in found.tolist()]
        self._note(child.name, names, parent)
        return names

    def _note(self, child: str, names: tuple[str, ...], parent: Draft) -> None:
        self.references.append(
            ForeignKey(
                child_table=child,
                child_columns=names,
                parent_table=parent.name,
                parent_columns=parent.key,
            )
        )

    def _counts(self, parents: int) -> np.ndarray:
        return np.repeat(np.arange(parents), self.rng.poisson(1.6, parents))

    def _owned(self) -> None:
        """Rows of a parent, with a key of their own and perhaps days that rise."""
        parent = self._parent()
        if parent is None:
            return
        found = self._counts(parent.rows)
        draft = self._new(len(found))
        self._refer(draft, parent, found)
        draft.columns["id"] = (np.arange(len(found)) + 500).tolist()
        draft.key = ("id",)
        if self.rng.random() < 0.5:
            days = self.rng.integers(0, 700, len(found))
            draft.columns["day"] = [date(2021, 1, 1) + timedelta(int(d)) for d in days]

    def _numbered(self) -> None:
        """Keys made of the parent's key and a number, a name or a flag within it."""
        parent = self._parent()
        if parent is None:
            return
        kind = self.rng.integers(0, 3)
        most = 2 if kind == 2 else 5
        pairs = [(i, k) for i in range(parent.rows) for k in range(self.rng.integers(0, most + 1))]
        draft = self._new(len(pairs))
        names = self._refer(draft, parent, np.array([i for i, _ in pairs], np.int64))
        values = [[1, 2, 3, 4, 5], ["a", "b", "c", "d", "e"], [False, True]][int(kind)]
        draft.columns["part"] = [values[k] for _, k in pairs]
        draft.key = (*names, "part")

    def _pairs(self) -> None:
        """A link table whose key is made of two references, with or without other columns."""
        left, right = self._parent(), self._parent()
        if left is None or right is None:
            return
        pairs = [
            (i, int(j))
            for i in range(left.rows)
            for j in self.rng.permutation(right.rows)[: self.rng.integers(0, 4)]
        ]
        draft = self._new(len(pairs))
        if self.rng.random() < 0.5:
            draft.columns.clear()
        first = self._refer(draft, left, np.array([i for i, _ in pairs], np.int64))
        second = self._refer(draft, right, np.array([j for _, j in pairs], np.int64))
        draft.key = (*first, *second)

    def _same_key(self) -> None:
        """Inheritance: some rows of the parent, under the parent's key."""
        parent = self._parent()
        if parent is None:
            return
        found = np.flatnonzero(self.rng.random(parent.rows) < 0.7)
        draft = self._new(len(found))
        draft.key = self._refer(draft, parent, found)

    def _grid(self) -> None:
        """A natural key of a name, a year and perhaps a flag."""
        flags = [False, True] if self.rng.random() < 0.5 else [True]
        cells = [(n, y, f) for n in "nesw" for y in range(2000, 2010) for f in flags]
        cells = [cell for cell in cells if self.rng.random() < 0.7]
        draft = self._new(len(cells))
        draft.columns |= {"place": [c[0] for c in cells], "year": [c[1] for c in cells]}
        draft.key = ("place", "year")
        if len(flags) > 1:
            draft.columns["flag"] = [c[2] for c in cells]
            draft.key = ("place", "year", "flag")

    def _keyless(self) -> None:
        self._new(self._size())

    def _tenants(self) -> None:
        """Tenants with customers, products and orders; references share the tenant."""
        rng = self.rng
        tenant = self._new(int(rng.integers(3, 15)))
        tenant.columns["id"] = self._codes(tenant.rows)
        tenant.key = ("id",)
        made = []
        for _ in range(2):
            found = np.repeat(np.arange(tenant.rows), rng.integers(1, 6, tenant.rows))
            draft = self._new(len(found))
            names = self._refer(draft, tenant, found, ("tenant",))
            begins = np.flatnonzero(np.r_[True, np.diff(found) > 0])
            places = np.arange(len(found)) - begins[np.cumsum(np.r_[1, np.diff(found) > 0]) - 1]
            draft.columns["no"] = (places + 1).tolist()
            draft.key = (*names, "no")
            made.append((draft, found))
        (customer, at), (product, there) = made
        who = rng.integers(0, customer.rows, int(rng.integers(20, 120)))
        goods = [np.flatnonzero(there == at[i]) for i in who]
        what = np.array([rng.choice(group) for group in goods])
        if rng.random() < 0.5:
            what[rng.random(len(what)) < 0.2] = -1
        order = self._new(len(who))
        keys, offers = customer.keys(), product.keys()
        order.columns |= {
            "id": np.arange(len(who)).tolist(),
            "tenant": [keys[i][0] for i in who],
            "customer": [keys[i][1] for i in who],
            "product": [offers[j][1] if j >= 0 else None for j in what],
        }
        order.key = ("id",)
        self._note(order.name, ("tenant", "customer"), customer)
        self._note(order.name, ("tenant", "product"), product)

    def _ring(self) -> None:
        """Two tables whose keys refer to each other, row for row."""
        first, rows = self._new(int(self.rng.integers(5, 40))), 0
        rows = first.rows
        first.columns["id"] = self._codes(rows)
        first.key = ("id",)
        second = self._new(rows)
        second.columns["id"] = list(first.columns["id"])
        second.key = ("id",)
        self._note(first.name, ("id",), second)
        self._note(second.name, ("id",), first)

    def _heads(self) -> None:
        """Stores and staff in a circle; the head's key holds the store's own number."""
        store = self._new(int(self.rng.integers(4, 20)))
        store.columns["id"] = (np.arange(store.rows) + 1).tolist()
        store.key = ("id",)
        count = self.rng.integers(1, 5, store.rows)
        found = np.repeat(np.arange(store.rows), count)
        staff = self._new(len(found))
        self._refer(staff, store, found, ("store",))
        staff.columns["no"] = np.concatenate([np.arange(c) + 1 for c in count]).tolist()
        staff.key = ("store", "no")
        heads = [int(self.rng.integers(1, c + 1)) for c in count]
        some = self.rng.random(store.rows) < 0.3
        store.columns["head"] = [
            None if gap else head for gap, head in zip(some, heads, strict=True)
        ]
        self._note(store.name, ("id", "head"), staff)

    # -- references -----------------------------------------------------------------------

    def _extra(self) -> None:
        """One more reference between any two tables: full, with gaps, or with orphans."""
        child, parent = self._parent(), self._parent()
        if child is None or parent is None or child is parent:
            return
        found = self.rng.integers(0, parent.rows, child.rows)
        gaps = float(self.rng.choice([0, 0.15, 0.5]))
        found[self.rng.random(child.rows) < gaps] = -1
        names = self._refer(child, parent, found)
        if gaps and len(names) > 1 and self.rng.random() < 0.5:
            some = np.flatnonzero(found < 0)[::2]
            keys = parent.keys()
            for i in some.tolist():
                child.columns[names[0]][i] = keys[int(self.rng.integers(0, len(keys)))][0]
        if self.rng.random() < 0.3 and isinstance(child.columns[names[-1]][0], int):
            for i in np.flatnonzero(self.rng.random(child.rows) < 0.1).tolist():
                if child.columns[names[-1]][i] is not None and names[-1] not in child.key:
                    child.columns[names[-1]][i] = 999_000 + i % 5

    def _tree(self) -> None:
        """A self reference: a forest, a chain, or a graph with circles."""
        draft = self._parent()
        if draft is None or draft.rows < 3:
            return
        kind = self.rng.integers(0, 4)
        rows = draft.rows
        order = self.rng.permutation(rows)
        place = np.empty(rows, np.int64)
        place[order] = np.arange(rows)
        if kind == 0:
            above = order[(self.rng.random(rows) * place).astype(np.int64)]
            above[self.rng.random(rows) < 0.2] = -1
            above[order[0]] = -1
        elif kind == 1:
            above = np.where(place > 0, order[np.maximum(place - 1, 0)], -1)
            above[self.rng.random(rows) < 0.1] = -1
        elif kind == 2:
            above = self.rng.integers(0, rows, rows)
        else:
            above = order[(self.rng.random(rows) * place).astype(np.int64)]
            above[order[0]] = order[0]
        self._refer(draft, draft, above, tuple(f"{name}_above" for name in draft.key))


def random_database(seed: int) -> tuple[Schema, dict[str, MemoryTable]]:
    """Return a random schema and data for it."""
    drafter = Drafter(seed)
    drafter.draft()
    tables, data = [], {}
    for draft in list(drafter.tables.values()):
        if not draft.rows:  # its columns would have no types
            del drafter.tables[draft.name]
            drafter.references = [
                k for k in drafter.references if draft.name not in (k.child_table, k.parent_table)
            ]
    for draft in drafter.tables.values():
        table = pa.table(draft.columns) if draft.columns else pa.table({"x": pa.nulls(0, "int64")})
        fields = [f.with_type(pa.int64()) if pa.types.is_null(f.type) else f for f in table.schema]
        table = table.cast(pa.schema(fields))
        columns = []
        for name, kind in zip(table.column_names, table.schema.types, strict=True):
            meaning = SemanticType.IDENTIFIER if draft.key == (name,) else _KINDS[str(kind)]
            if pa.types.is_boolean(kind) or pa.types.is_date32(kind):
                meaning = _KINDS[str(kind)]
            text = {"double": "float64", "date32[day]": "date32"}.get(str(kind), str(kind))
            columns.append(Column(name=name, type=text, semantic_type=meaning))
        tables.append(Table(name=draft.name, columns=tuple(columns), primary_key=draft.key))
        data[draft.name] = MemoryTable(table)
    schema = Schema(tables=tuple(tables), foreign_keys=tuple(drafter.references)).checked()
    return schema, data


def faults(schema: Schema, real: Mapping[str, pa.Table], made: Mapping[str, pa.Table]) -> list[str]:
    """Return in words what is wrong with the keys of `made`."""
    found = []
    for table in schema.tables:
        rows = _tuples(made[table.name], table.primary_key) if table.primary_key else []
        if any(value is None for row in rows for value in row):
            found.append(f"{table.name}: a key is missing")
        if repeats := sum(n - 1 for n in Counter(rows).values()):
            found.append(f"{table.name}: {repeats} keys repeat")
    for key in schema.foreign_keys:
        found += _reference_faults(key, real, made)
    return found


def _reference_faults(
    key: ForeignKey, real: Mapping[str, pa.Table], made: Mapping[str, pa.Table]
) -> list[str]:
    found = []
    ours = _tuples(made[key.child_table], key.child_columns)
    known = set(_tuples(made[key.parent_table], key.parent_columns))
    lost = sum(None not in row and row not in known for row in ours)
    if lost:
        found.append(f"{key}: {lost} of {len(ours)} rows refer to nobody")
    theirs = _tuples(real[key.child_table], key.child_columns)
    if ours and theirs:
        shares = [sum(None in row for row in rows) / len(rows) for rows in (theirs, ours)]
        if abs(shares[0] - shares[1]) > _SHARE + 1 / len(ours):
            found.append(f"{key}: {shares[1]:.3f} are null, not {shares[0]:.3f}")
    if key.child_table == key.parent_table:
        was, now = (_circles(tables[key.child_table], key) for tables in (real, made))
        if now and not was:
            found.append(f"{key}: {now} rows lie on circles")
    return found


def _circles(table: pa.Table, key: ForeignKey) -> int:
    """Return how many rows lie on a circle of more than one row."""
    place = {row: i for i, row in enumerate(_tuples(table, key.parent_columns))}
    above = [place.get(row, -1) for row in _tuples(table, key.child_columns)]
    left = {i for i, j in enumerate(above) if j >= 0 and j != i}
    while True:
        ends = {i for i in left if above[i] not in left}
        if not ends:
            return len(left)
        left -= ends


def _tuples(table: pa.Table, names: tuple[str, ...]) -> Rows:
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
