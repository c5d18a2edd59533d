"""Decide from the real tables what every table, key and reference is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.graph.joins import (
    ORPHAN_ROW,
    Rows,
    child_counts,
    parent_rows,
)
from syntheflow_server.engine.graph.ownership import Forest, choose_owners
from syntheflow_server.engine.graph.structure import Family, LinkKind, Structure
from syntheflow_server.engine.training.counters import find_counters
from syntheflow_server.engine.training.keeping import kept_structure
from syntheflow_server.engine.training.keyroles import key_roles
from syntheflow_server.engine.training.links import (
    classify_links,
    filled_by,
    in_turn,
    own_columns,
    unique_keys,
)
from syntheflow_server.engine.training.orphans import lent, orphan_keys
from syntheflow_server.engine.training.panels import find_panels
from syntheflow_server.engine.training.siblings import find_sequence, order_numbers
from syntheflow_server.engine.training.varied import never_shared


@dataclass(frozen=True, slots=True)
class Analysis:
    """The structures, and every reference resolved to parent rows (see graph.joins).

    Rows whose owner does not exist, `unowned` by table, were lent one: they do not teach.
    `orphans` are the numbers of rows by reference whose parent does not exist.
    """

    family: Family
    references: Mapping[ForeignKey, Rows]
    rows: Mapping[str, int]
    unowned: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    orphans: Mapping[ForeignKey, int] = field(default_factory=dict)

    def owners(self, table: str) -> Rows:
        """Return the owner row of each row of an owned table."""
        owner = self.family[table].owner
        assert owner is not None
        return self.references[owner]

    def strays(self, table: str) -> npt.NDArray[np.bool_]:
        """Return which rows of a table were lent an owner."""
        none = np.zeros(self.rows[table], bool)
        return self.unowned.get(table, none)


def analyse(
    schema: Schema, tables: Tables, keep: Collection[str] = (), *, orphans: bool = False
) -> Analysis:
    """Return what the real tables say; those to `keep` stay as they are.

    With `orphans`, rows whose parent does not exist are to be made again: then no
    reference owns that some rows hold in vain. Raises UnsupportedError naming the foreign
    keys or the key that cannot be kept.
    """
    rows = {table.name: tables[table.name].num_rows for table in schema.tables}
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    lost = {key: int((found == ORPHAN_ROW).sum()) for key, found in references.items()}
    forest = choose_owners(
        schema,
        references,
        rows,
        keep,
        orphans=orphans,
        panels=find_panels(schema, tables, references),
    )
    strays = {
        name: references[key] == ORPHAN_ROW for name, key in forest.owner_keys.items() if lost[key]
    }
    references |= {key: lent(references[key]) for key in forest.owner_keys.values()}
    structures = {
        name: kept_structure(schema.table(name), tables[name])
        if name in keep
        else _structure(name, schema, tables, references, forest, rows)
        for name in forest.order
    }
    for name in _answering(structures, forest):
        structures[name] = structures[name].model_copy(update={"always": True})
    return Analysis(Family(structures, forest.order), references, rows, strays, lost)


def _answering(structures: Mapping[str, Structure], forest: Forest) -> set[str]:
    """Return the tables of which each owner must have one row, since it refers to that row."""
    names = set()
    for structure in structures.values():
        for link in structure.links:
            name = link.key.parent_table
            while link.kind is LinkKind.RETURNED and name != structure.table:
                names.add(name)
                name = forest.owner_of(name)
    return names


def effective(counts: Rows) -> float:
    """Return over how many rows children spread: 1 / the chance that two share one (Simpson)."""
    weights = counts.astype(float)
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1.0))


def _structure(
    name: str,
    schema: Schema,
    tables: Tables,
    references: Mapping[ForeignKey, Rows],
    forest: Forest,
    rows: Mapping[str, int],
) -> Structure:
    table = schema.table(name)
    owner = forest.owner_keys.get(name)
    links = classify_links(name, schema, references, forest)
    own = own_columns(unique_keys(table, schema), links)
    roles = key_roles(table, tables[name], schema, owner, links)
    sequence = None
    if owner and not roles.once:
        rest = next((tuple(k) for k in roles.distinct), ())
        candidates = [
            column
            for column in table.column_names
            if column not in roles.taken and column not in owner.child_columns
        ]
        referring = frozenset(c for link in links for c in link.key.child_columns)
        sequence = find_sequence(
            table, tables[name], references[owner], candidates, rest, referring
        )
    order = sequence.order if sequence else ""
    filled = {*own, *(owner.child_columns if owner else ())}
    links = in_turn(links, filled, order, tables[name])
    links = tuple(
        link.model_copy(update={"orphan_keys": orphan_keys(link.key, references, tables[name])})
        if link.orphan_share
        else link
        for link in links
    )
    per_owner = roles.disambiguator if order in roles.disambiguated else ()
    surrogate = roles.surrogate + (() if per_owner else roles.disambiguator)
    distinct = roles.distinct
    if per_owner and owner and sequence:
        # The owners differ in that column; its rows must differ in the rest of the key.
        rest = tuple(c for c in roles.disambiguated if c not in per_owner)
        distinct = (*distinct, rest)
        numbers = order_numbers(tables[name], order)
        strict = numbers is not None and not _repeat(references[owner], numbers)
        sequence = sequence.model_copy(update={"strict": strict})
    resolved = filled_by(links) - own
    counters = {}
    if owner and not roles.once:
        others = [
            column
            for column in table.column_names
            if column not in {*roles.taken, *owner.child_columns, *resolved, order}
        ]
        numbers = order_numbers(tables[name], order) if order else None
        counters = find_counters(tables[name], references[owner], numbers, others)
        # Rows that are counted are told apart by that.
        told = [{order, column} - {""} for column in counters]
        distinct = tuple(key for key in distinct if not any(t <= set(key) for t in told))
    unmodelled = {*surrogate, *per_owner, *resolved, order, *counters}
    unmodelled |= set(owner.child_columns) if owner else set()
    varied: tuple[tuple[str, ...], ...] = ()
    if owner and not roles.once:
        varied = never_shared(links, references, references[owner], distinct)
    return Structure(
        table=name,
        rows=rows[name],
        owner=owner,
        once=roles.once,
        links=links,
        sequence=sequence,
        surrogate=surrogate,
        per_owner=per_owner,
        grid=roles.grid,
        telling=roles.telling,
        distinct=distinct,
        varied=varied,
        counters=counters,
        modelled=tuple(c for c in table.column_names if c not in unmodelled),
    )


def _repeat(owners: Rows, numbers: Rows) -> bool:
    """Return whether two children of one owner have the same number."""
    pairs = np.stack([owners, numbers], axis=1)
    return len(np.unique(pairs, axis=0)) < len(pairs)


def children_of(analysis: Analysis, table: str) -> Rows:
    """Return each owner row's number of children in the owned `table`."""
    owner = analysis.family[table].owner
    assert owner is not None
    own = analysis.references[owner][~analysis.strays(table)]
    return child_counts(own, analysis.rows[owner.parent_table])
