"""Rows that are there before any is drawn: kept with the model, given, or existing elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.joins import NULL_ROW, match_rows
from syntheflow_server.engine.graph.structure import Family, LinkKind
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.sampling.demands import checked_seeds
from syntheflow_server.engine.sampling.rng import key_of
from syntheflow_server.engine.sampling.spec import SampleSpec, condition_error

if TYPE_CHECKING:
    from syntheflow_server.engine.sampling.plan import SamplePlan

Ints = npt.NDArray[np.int64]
_SCANNED = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """Rows of a table that are not drawn; `silent` ones exist already and are not put out."""

    rows: pa.Table
    silent: bool


def stands_of(
    model: FittedModel, seeds: Mapping[str, pa.Table], existing: Mapping[str, pa.Table]
) -> tuple[dict[str, Stand], dict[str, pa.Table]]:
    """Return all standing rows, and the given rows that are roots and refer to nothing."""
    if unknown := sorted(set(existing) - set(model.tables)):
        raise _bad(unknown[0], "", "the model has no such table")
    stands, others = {}, {}
    for table in model.family.order:
        structure = model.family[table]
        linked = {name for link in structure.links for name in link.key.child_columns}
        if table in existing:
            rows = checked_seeds(model.tables[table], existing[table], fill_missing=True)
            _check_existing(model, table, rows, table in seeds)
            stands[table] = Stand(rows, silent=True)
        elif table in seeds and (structure.owner or linked & set(seeds[table].column_names)):
            stands[table] = Stand(seeds[table], silent=False)
        elif table in seeds:
            others[table] = seeds[table]
    for table, stand in stands.items():
        if not stand.silent:
            _check_given(model, stands, others, table)
    return stands, others


def grown_rows(
    family: Family, spec: SampleSpec, existing: Mapping[str, pa.Table]
) -> dict[str, int]:
    """Return the new rows of root tables that exist already where only others' sizes are asked for.

    They grow in the proportion of what they refer to, and not at all if that does not grow:
    a hundred more customers want no more products.
    """
    if not spec.rows:
        return {}
    grown = {
        table: rows / max(family[table].rows, 1)
        for table, rows in spec.rows.items()
        if table in existing
    }
    roots = [root for root in family.roots if root in existing and root not in spec.rows]
    for _ in roots:  # so many steps are enough to hand a proportion on to all
        for root in roots:
            parents = {link.key.parent_table for link in family[root].resolved} - {root}
            grown[root] = max((_growth(family, grown, name) for name in parents), default=0.0)
    return {root: round(family[root].rows * grown[root]) for root in roots}


def _growth(family: Family, grown: Mapping[str, float], table: str) -> float:
    """Return in what proportion a table grows: as asked, or as its nearest owner that is asked."""
    lines = (table, *family.above(table))
    return next((grown[name] for name in lines if name in grown), 0.0)


def standing_rows(
    model: FittedModel, stands: Mapping[str, Stand], seeds: Mapping[str, pa.Table], table: str
) -> pa.Table | None:
    """Return the rows of `table` that references of given rows may name, None if there are none."""
    if table in model.kept:
        return model.kept[table]
    return stands[table].rows if table in stands else seeds.get(table)


def parents_of(key: ForeignKey, rows: pa.Table, parents: pa.Table | None) -> Ints | None:
    """Return the row of `parents` that each of `rows` refers to (below 0: none), if both tell."""
    if parents is None or not set(key.parent_columns) <= set(parents.column_names):
        return None
    if not set(key.child_columns) <= set(rows.column_names):
        return None
    pairs = [
        (rows.column(mine), parents.column(theirs))
        for mine, theirs in zip(key.child_columns, key.parent_columns, strict=True)
    ]
    return match_rows(pairs, str(key))


def _check_given(
    model: FittedModel, stands: Mapping[str, Stand], seeds: Mapping[str, pa.Table], table: str
) -> None:
    """Raise InvalidArgumentError unless all references of given rows name standing rows."""
    rows, owner = stands[table].rows, model.family[table].owner
    given = set(rows.column_names)
    if owner and not set(owner.child_columns) <= given:
        rule = (
            f"given rows: they belong to rows of {owner.parent_table!r}; give"
            f" {', '.join(owner.child_columns)} too, and those rows as given or existing ones"
        )
        raise condition_error(table, owner.child_columns[0], rule)
    for key in model.schema.references_from(table):
        held = [name for name in key.child_columns if name in given]
        if not held:
            continue
        if len(held) < len(key.child_columns):
            rule = f"given rows: the reference {key} must be given whole or not at all"
            raise condition_error(table, held[0], rule)
        if key.parent_table == table:
            raise condition_error(table, held[0], "given rows: a self reference is drawn; leave it")
        found = parents_of(key, rows, standing_rows(model, stands, seeds, key.parent_table))
        lost = len(rows) if found is None else int((found < NULL_ROW).sum())
        empty = pc.any(pc.is_null(rows.column(held[0]))).as_py()
        if lost or (empty and owner == key):
            rule = (
                f"given rows: {lost or 'some'} rows refer to no row of {key.parent_table!r} that"
                " is given, existing or kept with its key"
            )
            raise condition_error(table, held[0], rule)


def _check_existing(model: FittedModel, table: str, rows: pa.Table, given: bool) -> None:  # noqa: FBT001 - a fact
    """Raise InvalidArgumentError unless existing rows tell the keys that new rows need."""
    if table in model.kept:
        raise _bad(table, "", "the table is kept as it is: its rows are known")
    if given:
        raise _bad(table, "", "the table's rows are given as well; give them in one of both ways")
    held = set(rows.column_names)
    needed = {name for key in model.schema.references_to(table) for name in key.parent_columns}
    needed |= set(model.schema.table(table).primary_key)
    for below in model.family.below(table):
        for link in model.family[below].links:
            above = (below, *model.family.above(below))
            if link.kind is LinkKind.COPIED and link.above and above[link.above] == table:
                source = link.through.child_columns if link.through else link.key.parent_columns
                needed |= set(source)
    if missing := sorted(needed - held):
        rule = "it is a key or reference that rows of other tables take over; give it too"
        raise _bad(table, missing[0], rule)


def named_parents(
    model: FittedModel, stands: Mapping[str, Stand], seeds: Mapping[str, pa.Table]
) -> dict[str, Ints]:
    """Return by reference the standing parent of each standing row, below 0 for none."""
    named = {}
    for table, stand in stands.items():
        structure = model.family[table]
        keys = [link.key for link in structure.links]
        keys += [structure.owner] if structure.owner else []
        for key in keys:
            parents = standing_rows(model, stands, seeds, key.parent_table)
            found = parents_of(key, stand.rows, parents)
            if found is not None:
                named[str(key)] = found
    return named


def held_parents(model: FittedModel, plan: SamplePlan) -> dict[str, npt.NDArray[np.bool_]]:
    """Return by reference which standing parents have the only child that they may have."""
    held = {}
    for table in plan.stands:
        structure = model.family[table]
        single = [link.key for link in structure.links if link.unique]
        single += [structure.owner] if structure.owner and structure.once else []
        for key in single:
            parents = standing_rows(model, plan.stands, plan.seeds, key.parent_table)
            found = plan.named.get(str(key))
            if found is not None and parents is not None:
                mask = np.zeros(len(parents), np.bool_)
                mask[found[found >= 0]] = True
                held[str(key)] = mask
    return held


def leave_out(model: FittedModel, plan: SamplePlan, table: str) -> None:
    """Note which row numbers of `table`, and of its owner, would give keys that exist already."""
    stand = plan.stands.get(table)
    if stand is None or not stand.silent or table not in plan.table_rows:
        return
    held, of = set(stand.rows.column_names), model.tables[table]
    for maker in (*of.makers, *of.owner_makers):
        asked, rows = plan.table_rows[table], plan.table_rows[table]
        if maker in of.owner_makers:
            asked, rows = 0, plan.places(model.family.owner_of(table))
        if rows and set(maker.columns) <= held:
            last = int(maker.places(np.array([rows - 1]), asked)[0])
            key = key_of(plan.spec.seed, table, *maker.columns) >> 80
            plan.take(table, maker.columns, _taken(maker, key, stand.rows, last + 1))


def _taken(maker: KeyMaker, key: int, existing: pa.Table, needed: int) -> Ints:
    """Return the row numbers whose keys exist, until `needed` others are found or none is left.

    A maker gives each key once, so there are no more of them than existing rows.
    """
    most = maker.capacity if maker.capacity is not None else needed + len(existing)
    found: list[Ints] = []
    start = count = 0
    while start - count < needed and start < most:
        end = min(start + min(_SCANNED, needed - start + count), most)
        made = maker.make(np.arange(start, end), key)
        kinds = [existing.schema.field(name).type for name in maker.columns]
        values = [combined(made[n]).cast(k) for n, k in zip(maker.columns, kinds, strict=True)]
        hit = start + np.flatnonzero(repeats(values, [existing.column(n) for n in maker.columns]))
        found.append(hit)
        start, count = end, count + len(hit)
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def free_places(places: Ints, taken: Ints) -> Ints:
    """Return the numbers that stand for 0, 1, 2, ... without those in `taken` (sorted)."""
    if not len(taken):
        return places
    result: Ints = places + np.searchsorted(taken - np.arange(len(taken)), places, side="right")
    return result


def _bad(table: str, column: str, rule: str) -> InvalidArgumentError:
    return condition_error(table, column, f"existing rows: {rule}")


def repeats(values: list[pa.Array], among: list[pa.ChunkedArray]) -> npt.NDArray[np.bool_]:
    """Return which tuples of `values` are among those of `among` (columns of equal types)."""
    if len(values) == 1:
        found = pc.is_in(values[0], value_set=combined(among[0]))
        mask: npt.NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
        return mask
    pairs = [(pa.chunked_array([v]), a) for v, a in zip(values, among, strict=True)]
    return match_rows(pairs, "existing rows") >= 0
