"""Decide how each unique key of a table is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import RARE_ROWS
from syntheflow_server.engine.encoding.forms import form_of
from syntheflow_server.engine.graph.structure import Link, LinkKind
from syntheflow_server.engine.keys.cells import MOST_CELLS
from syntheflow_server.engine.training.links import filled_by, own_columns, unique_keys
from syntheflow_server.engine.training.telling import counts_up, side_by_side, tells

_GRID_FILL = 0.05
_THIN_FILL = 0.002
_SHARED_ROWS = 0.8
_FEW_ROWS = 2


@dataclass(frozen=True, slots=True)
class KeyRoles:
    """What `key_roles` found; see Structure for most fields.

    `disambiguator` is a column that makes the key `disambiguated` unique; `taken` are
    columns that have a role already, so that they cannot order siblings.
    """

    once: bool
    surrogate: tuple[str, ...]
    telling: tuple[str, ...]
    disambiguator: tuple[str, ...]
    disambiguated: tuple[str, ...]
    grid: tuple[str, ...]
    distinct: tuple[tuple[str, ...], ...]
    taken: frozenset[str]


def key_roles(
    table: Table,
    source: TableSource,
    schema: Schema,
    owner: ForeignKey | None,
    links: tuple[Link, ...],
) -> KeyRoles:
    """Return how the keys of `table` are made; UnsupportedError if one cannot be."""
    owned = set(owner.child_columns) if owner else set()
    keys = unique_keys(table, schema)
    needed = {
        table.primary_key,
        *(key.parent_columns for key in schema.references_to(table.name)),
    }
    linked = filled_by(links) - own_columns(keys, links)
    once = False
    surrogate: list[str] = []
    distinct: list[tuple[str, ...]] = []
    grid: tuple[str, ...] = ()
    disambiguator: tuple[str, ...] = ()
    disambiguated: tuple[str, ...] = ()
    for key in keys:
        if set(key) & {*surrogate, *disambiguator}:
            continue
        free = [column for column in key if column not in owned | linked]
        if owner and owned <= set(key):
            rest = tuple(column for column in key if column not in owned)
            once = once or not rest
            if rest:
                distinct.append(rest)
        elif len(key) == 1 and free and _is_countable(table, source, key[0], key in needed):
            surrogate.append(key[0])
        elif _is_unique_link(key, links) or (
            key not in needed and (not free or disambiguator or _is_formed(table, key[0]))
        ):
            continue
        elif not free:
            raise _unsupported(table, key)
        elif not owner and len(free) == len(key) and not grid and _fills_grid(table, source, key):
            grid = key
        else:
            disambiguator = (_richest(source, free),)
            disambiguated = key
    made = {*surrogate, *disambiguator, *grid}
    surrogate += _other_identifiers(table, source, made | owned | linked, alone=not owner)
    others = [name for name in table.column_names if name not in {*surrogate, *linked}]
    telling = () if owner else _telling(source, surrogate, others)
    return KeyRoles(
        once=once,
        surrogate=tuple(surrogate),
        telling=telling,
        disambiguator=disambiguator,
        disambiguated=disambiguated,
        grid=tuple(grid),
        distinct=tuple(distinct),
        taken=frozenset({*surrogate, *disambiguator, *grid}) | _agreeing(links),
    )


def _other_identifiers(
    table: Table, source: TableSource, known: set[str], *, alone: bool
) -> list[str]:
    """Return the columns, beside those `known`, whose values are made from the row's number."""
    return [
        column.name
        for column in table.columns
        if column.name not in known
        and not _is_formed(table, column.name)
        and (
            _identifies(column.semantic_type, column.name, source)
            or (alone and counts_up(source.column(column.name)))
        )
    ]


def _agreeing(links: tuple[Link, ...]) -> frozenset[str]:
    """Return the columns that links fill, which cannot order siblings.

    A column of a composite reference may: the parent that is drawn must agree with it.
    """
    return frozenset(
        column
        for link in links
        if link.kind is not LinkKind.CODED or len(link.key.child_columns) == 1
        for column in link.key.child_columns
    )


def _telling(source: TableSource, surrogate: list[str], others: list[str]) -> tuple[str, ...]:
    """Return the first key that tells of other columns, and those that rise together with it."""
    for place, name in enumerate(surrogate):
        if tells(source, name, others):
            rest = [key for key in surrogate[place + 1 :] if side_by_side(source, name, key)]
            return (name, *rest)
    return ()


def _is_unique_link(key: tuple[str, ...], links: tuple[Link, ...]) -> bool:
    return any(set(link.key.child_columns) == set(key) and link.unique for link in links)


def _unsupported(table: Table, key: tuple[str, ...]) -> UnsupportedError:
    return UnsupportedError(
        f"The key ({', '.join(key)}) of table {table.name!r} is made of references that may be"
        " empty or that go round in a circle, so its uniqueness cannot be kept; drop one of the"
        " foreign keys or the key",
        reason="KEY_UNSUPPORTED",
        metadata={"table": table.name, "column": key[0]},
    )


def _identifies(kind: SemanticType, name: str, source: TableSource) -> bool:
    """Return True for an identifier column without repeats that is not itself a key."""
    if kind is not SemanticType.IDENTIFIER:
        return False
    values = source.column(name)
    present = len(values) - values.null_count
    return bool(present >= _FEW_ROWS and pc.count_distinct(values).as_py() == present)


def _is_countable(table: Table, source: TableSource, name: str, needed: bool) -> bool:  # noqa: FBT001
    """Return True if the key's values can be made from the row's number."""
    return not _is_boolean(source, name) and (needed or not _is_formed(table, name))


def _is_formed(table: Table, name: str) -> bool:
    """Return True for texts of a form (addresses, JSON) that counting would not keep."""
    form = form_of(table.column(name).native_type, ())
    return form is not None and form.kind != "uuid"


def _is_boolean(source: TableSource, name: str) -> bool:
    return bool(pa.types.is_boolean(source.column(name).type))


def _fills_grid(table: Table, source: TableSource, key: tuple[str, ...]) -> bool:
    """Return True if the key is a place in a grid of values that come back.

    A thin grid must be small enough to weigh its cells, of values that rows share. Flags
    are nothing but a grid.
    """
    if all(table.column(name).type == "bool" for name in key):
        return True
    counts = [pc.value_counts(source.column(name)).field("counts") for name in key]
    cells = float(np.prod([len(own) for own in counts]))
    fill = source.num_rows / max(cells, 1.0)
    if source.num_rows == 0 or fill < _THIN_FILL:
        return False
    shared = [pc.sum(own.filter(pc.greater_equal(own, RARE_ROWS))).as_py() or 0 for own in counts]
    thin = cells <= MOST_CELLS and min(shared) >= _SHARED_ROWS * source.num_rows
    return fill >= _GRID_FILL or thin


def _richest(source: TableSource, columns: list[str]) -> str:
    """Return the column that can tell most rows apart: text before numbers."""

    def rank(column: str) -> tuple[bool, int]:
        values = source.column(column)
        return pa.types.is_string(values.type), int(pc.count_distinct(values).as_py())

    return max(columns, key=rank)
