"""Decide from the real tables what every table, key and reference is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.graph.joins import NULL_ROW, Rows, child_counts, parent_rows
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.ownership import Forest, choose_owners
from syntheflow_server.engine.graph.structure import Family, Link, LinkKind, Structure
from syntheflow_server.engine.training.keeping import kept_structure
from syntheflow_server.engine.training.keyroles import key_roles
from syntheflow_server.engine.training.links import classify_links
from syntheflow_server.engine.training.siblings import find_sequence, order_numbers

_FEW_PARENTS = 100
_FEW_CROWDED = 50


@dataclass(frozen=True, slots=True)
class Analysis:
    """The structures, and every reference resolved to parent rows (see graph.joins)."""

    family: Family
    references: Mapping[ForeignKey, Rows]
    rows: Mapping[str, int]

    def owners(self, table: str) -> Rows:
        """Return the owner row of each row of an owned table."""
        owner = self.family[table].owner
        assert owner is not None
        return self.references[owner]


def analyse(schema: Schema, tables: Tables, keep: Collection[str] = ()) -> Analysis:
    """Return what the real tables say; those to `keep` stay as they are.

    Raises UnsupportedError naming the foreign keys or the key that cannot be kept.
    """
    rows = {table.name: tables[table.name].num_rows for table in schema.tables}
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    forest = choose_owners(schema, references, rows, keep)
    structures = {
        name: kept_structure(schema.table(name), tables[name])
        if name in keep
        else _structure(name, schema, tables, references, forest, rows)
        for name in forest.order
    }
    found = Analysis(Family(structures, forest.order), references, rows)
    crowded = {
        name: structure.model_copy(update={"crowds": _crowds(found, name)})
        for name, structure in structures.items()
    }
    return replace(found, family=Family(crowded, forest.order))


def _crowds(analysis: Analysis, table: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return the numbers of children and degrees of few parents: too few to learn from.

    Numbers of rows are no private values.
    """
    family, rows = analysis.family, analysis.rows[table]
    crowds = {child: children_of(analysis, child) for child in family.owned_by(table)}
    for link in family.drawn_from(table):
        found = analysis.references[link.key]
        if link.kind is LinkKind.CODED:
            crowds[str(link.key)] = child_counts(found, rows)
        elif rows <= _FEW_PARENTS and (depth := levels(found)) is not None:
            own = found == np.arange(rows)
            crowds[str(link.key)] = np.where(own, link.levels, depth)
    return {
        name: tuple(sorted(Counter(numbers.tolist()).items()))
        for name, numbers in crowds.items()
        if 0 < rows <= _FEW_PARENTS or 0 < effective(numbers) < _FEW_CROWDED
    }


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
    links = tuple(
        link.model_copy(update={"fixed": tuple(c for c in link.key.child_columns if c == order)})
        for link in links
    )
    _refuse_overlaps(owner, links, order)
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
    resolved = {c for link in links for c in link.key.child_columns}
    unmodelled = {*surrogate, *per_owner, *resolved, order}
    unmodelled |= set(owner.child_columns) if owner else set()
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
        modelled=tuple(c for c in table.column_names if c not in unmodelled),
    )


def _repeat(owners: Rows, numbers: Rows) -> bool:
    """Return whether two children of one owner have the same number."""
    pairs = np.stack([owners, numbers], axis=1)
    return len(np.unique(pairs, axis=0)) < len(pairs)


def _refuse_overlaps(owner: ForeignKey | None, links: tuple[Link, ...], order: str) -> None:
    """Raise UnsupportedError if two references would fill the same column independently."""
    del order
    told = {LinkKind.IMPLIED, LinkKind.COPIED}
    drawn = [link.key for link in links if link.kind not in told]
    drawn = [*([owner] if owner else []), *drawn]
    for i, first in enumerate(drawn):
        for second in drawn[i + 1 :]:
            shared = set(first.child_columns) & set(second.child_columns)
            if shared:
                raise UnsupportedError(
                    f"The foreign keys {first} and {second} share the column"
                    f" {', '.join(sorted(shared))}, and neither parent tells the other;"
                    " drop one of them from the schema",
                    reason="FOREIGN_KEYS_OVERLAP",
                    metadata={"table": first.child_table, "column": min(shared)},
                )


def null_share(found: Rows) -> float:
    """Return the share of rows without parent."""
    return float((found == NULL_ROW).mean()) if len(found) else 0.0


def children_of(analysis: Analysis, table: str) -> Rows:
    """Return each owner row's number of children in the owned `table`."""
    owner = analysis.family[table].owner
    assert owner is not None
    return child_counts(analysis.references[owner], analysis.rows[owner.parent_table])
