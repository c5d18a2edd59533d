"""Make the plan of a request."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.structure import Link, LinkKind
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.beat import Beat, Check
from syntheflow_server.engine.sampling.chosen import choose_parents, codes_in
from syntheflow_server.engine.sampling.crowds import paired, spread_like, unpaired
from syntheflow_server.engine.sampling.demands import checked_seeds, demands_of, refuse
from syntheflow_server.engine.sampling.keeper import KeyKeeper
from syntheflow_server.engine.sampling.lost import check_orphans
from syntheflow_server.engine.sampling.needs import Needs
from syntheflow_server.engine.sampling.plan import ParentIndex, SamplePlan
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.room import tree_of
from syntheflow_server.engine.sampling.runtime import Runtime, decode_numbers
from syntheflow_server.engine.sampling.settle import check_demands
from syntheflow_server.engine.sampling.shares import UNLIMITED, shared_out
from syntheflow_server.engine.sampling.sizes import Sizes, Units
from syntheflow_server.engine.sampling.spec import SampleSpec, condition_error
from syntheflow_server.engine.sampling.standing import (
    grown_rows,
    held_parents,
    leave_out,
    named_parents,
    stands_of,
)
from syntheflow_server.engine.sampling.unit import Unit

Ints = npt.NDArray[np.int64]


def make_plan(
    runtime: Runtime,
    spec: SampleSpec,
    check: Check,
    tables: frozenset[str] | None,
    seeds: Mapping[str, pa.Table],
    existing: Mapping[str, pa.Table],
) -> SamplePlan:
    """Return the plan for `tables` (None: all) of `spec`, with given and existing rows by table.

    Tables without relatives cost nothing, whatever their size. Of other tables only
    what the rows of `tables` depend on is made.
    """
    family = runtime.model.family
    spec = spec.checked(family)
    check_orphans(runtime.model, spec)
    seeds = _checked_seeds(runtime, spec, seeds, existing)
    stands, seeds = stands_of(runtime.model, seeds, existing)
    roots = family.roots
    plan = SamplePlan(
        spec=spec,
        table_rows={root: spec.root_rows(family, root) for root in roots}
        | {table: len(rows) for table, rows in seeds.items()}
        | grown_rows(family, spec, existing)
        | {root: len(s.rows) for root, s in stands.items() if root in roots and not s.silent},
        roots=roots,
        root_of={table: family.root_of(table) for table in family.order},
        owner_of={table: family.owner_of(table) for table in family.order},
        blocks=runtime.model.blocks | {table: runtime.model.block_of(table) for table in stands},
        stands=stands,
        named=named_parents(runtime.model, stands, seeds),
        unbounded=tuple(
            root
            for root in roots
            if _unbounded(runtime, root) and root not in {*seeds, *spec.conditions, *stands}
        ),
        tables=tuple(t for t in family.order if tables is None or t in tables),
        seeds=seeds,
        keys=_given_keys(runtime, seeds) | _kept_keys(runtime),
    )
    plan.held = held_parents(runtime.model, plan)
    for root in roots:
        leave_out(runtime.model, plan, root)
    choose_parents(Units(runtime, plan, Beat(check)))
    for table in sorted({*seeds, *spec.conditions}):
        check_demands(runtime, plan, table, Beat(check))
    needs = Needs(runtime.model, plan.tables)
    _check_grids(runtime, plan, needs)
    units = Units(runtime, plan, Beat(check))
    keeper = KeyKeeper(units, needs)
    sizes = Sizes(units)
    wanted = [table for table in family.order if table in needs.sized]
    for table in wanted:
        sizes.measure(table)
        if table not in roots:
            leave_out(runtime.model, plan, table)
    for table in wanted:
        _index(units, table, needs)
    for table in wanted:
        keeper.keep(table)
    return plan


def _checked_seeds(
    runtime: Runtime,
    spec: SampleSpec,
    seeds: Mapping[str, pa.Table],
    existing: Mapping[str, pa.Table],
) -> dict[str, pa.Table]:
    """Return the given rows in the model's types; raises if they, or conditions, cannot be."""
    found = {}
    known = {table for table, rows in seeds.items() if _told(runtime, table, rows)}
    known |= {*runtime.model.kept, *existing}
    for table, rows in seeds.items():
        if table not in runtime.model.tables:
            raise condition_error(table, "", "given rows: the model has no such table")
        if spec.rows.get(table, len(rows)) != len(rows):
            rule = "given rows: the table has as many rows as are given; do not ask for others"
            raise condition_error(table, "", rule)
        model = runtime.table(table)
        found[table] = checked_seeds(model, rows, fill_missing=spec.fill_missing)
    for table in sorted({*seeds, *spec.conditions}):
        model = runtime.table(table)
        given = tuple(found[table].column_names) if table in found else ()
        refuse(model, demands_of(model, spec), given, frozenset(known))
    return found


def _told(runtime: Runtime, table: str, rows: pa.Table) -> bool:
    """Return whether given rows hold all that others refer to them by."""
    keys = runtime.model.schema.references_to(table)
    return {name for key in keys for name in key.parent_columns} <= set(rows.column_names)


def _given_keys(runtime: Runtime, seeds: Mapping[str, pa.Table]) -> dict[str, dict[str, pa.Array]]:
    """Return the keys in given rows, for references to them."""
    keys = {}
    for table, rows in seeds.items():
        names = {name for maker in runtime.table(table).makers for name in maker.columns}
        held = {n: combined(rows.column(n)) for n in rows.column_names if n in names}
        if held:
            keys[table] = held
    return keys


def _kept_keys(runtime: Runtime) -> dict[str, dict[str, pa.Array]]:
    """Return the columns of kept tables that references read."""
    model = runtime.model
    return {
        table: {
            name: combined(rows.column(name))
            for key in model.schema.references_to(table)
            for name in key.parent_columns
        }
        for table, rows in model.kept.items()
    }


def _unbounded(runtime: Runtime, root: str) -> bool:
    structure = runtime.model.family[root]
    bound = structure.kept or structure.resolved or structure.grid
    return not (bound or runtime.model.family.owned_by(root))


def _check_grids(runtime: Runtime, plan: SamplePlan, needs: Needs) -> None:
    """Raise InvalidArgumentError if a table has fewer keys than rows."""
    for root in needs.sized & set(plan.roots):
        for maker in runtime.table(root).makers:
            taken = len(plan.taken_of(root, maker.columns))
            if maker.capacity is not None and root not in {*plan.spec.rows, *plan.seeds}:
                # A calendar or a map has so many places, at whatever scale.
                most = max(maker.capacity - taken, 0)
                plan.table_rows[root] = min(plan.table_rows[root], most)
            if maker.capacity is not None and plan.table_rows[root] > maker.capacity - taken:
                left = f"{maker.capacity - taken} unused" if taken else f"{maker.capacity}"
                rule = (
                    f"rows: table {root!r} has only {left} different keys"
                    f" ({', '.join(maker.columns)}); ask for at most so many rows"
                )
                fault = Violation(field="rows", table=root, rule=rule)
                raise InvalidArgumentError(rule, reason="ROWS_INVALID", violations=(fault,))


def _index(units: Units, table: str, needs: Needs) -> None:
    """Build the indexes of all needed links that draw from `table`."""
    links = [link for link in needs.links.values() if link.key.parent_table == table]
    if not links:
        return
    made: dict[str, list[Ints]] = {str(link.key): [] for link in links}
    degrees: dict[str, list[Ints]] = {str(link.key): [] for link in links}
    for unit in units.over(table):
        for link in links:
            name = str(link.key)
            made[name].append(_codes(unit, table, link))
            degrees[name].append(_degrees(unit, table, link))
    for link in links:
        name = str(link.key)
        codes, amounts = _joined(made[name]), _joined(degrees[name])
        if link.kind is LinkKind.LEVELS:
            units.plan.levels[name] = tree_of(units, link, *_like_tree(units, codes, amounts, link))
        else:
            amounts = _like_crowd(units, amounts, link)
            units.plan.parents[name] = _parents(units.plan, codes, amounts, link)


def _codes(unit: Unit, table: str, link: Link) -> Ints:
    if link.kind is LinkKind.LEVELS:
        piece = unit.runtime.piece(table, PieceKind.LEVEL, str(link.key))
        return unit.frame(table).codes[:, piece.start].astype(np.int64)
    return codes_in(unit, table, link)


def _degrees(unit: Unit, table: str, link: Link) -> Ints:
    frame = unit.frame(table)
    piece = unit.runtime.piece(table, PieceKind.DEGREE, str(link.key))
    assert piece.codec is not None
    rng = generator(unit.plan.spec.seed, table, unit.block, f"degree {link.key}")
    degrees, _ = decode_numbers(piece.codec, frame.codes[:, piece.where], rng)
    held = unit.plan.held.get(str(link.key))
    if held is not None and frame.silent:
        degrees = np.where(held[frame.row_numbers], 0, degrees)  # they have their only one
    return np.maximum(degrees, 0)


def _chosen(plan: SamplePlan, table: str) -> bool:
    """Return whether rows of `table` are others than really, by the request's choice."""
    asked = plan.spec.conditions.get(table) or table in plan.seeds or plan.given(table)
    return bool(asked) or bool(plan.silent(table)) or plan.natural(table)


def _like_crowd(units: Units, degrees: Ints, link: Link) -> Ints:
    """Return the degrees of all parents in the shape of the real ones.

    Not where something is asked of the parents: they are others than the real ones.
    """
    plan, table = units.plan, link.key.parent_table
    structure = units.runtime.model.family[table]
    real = structure.crowds.get(str(link.key))
    if not real or _chosen(plan, table):
        return degrees
    rng = generator(plan.spec.seed, table, 0, f"crowd {link.key}")
    return spread_like(real, degrees, rng, exact=structure.kept)


def _like_tree(units: Units, levels: Ints, degrees: Ints, link: Link) -> tuple[Ints, Ints]:
    """Return levels and degrees of a small table's rows as the real ones have them together."""
    plan, table = units.plan, link.key.parent_table
    real = units.runtime.model.family[table].crowds.get(str(link.key))
    if not real or _chosen(plan, table):
        return levels, degrees
    rng = generator(plan.spec.seed, table, 0, f"crowd {link.key}")
    return unpaired(spread_like(real, paired(levels, degrees), rng, exact=True))


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _parents(plan: SamplePlan, codes: Ints, degrees: Ints, link: Link) -> ParentIndex:
    """Return the link's index, degrees scaled to the number of rows that refer."""
    rows = plan.table_rows[link.key.child_table]
    stubs = round(rows * (1 - link.null_share))
    cap = 1 if link.unique else UNLIMITED
    chosen = plan.chosen.get(str(link.key))
    if chosen is not None:
        counts, stubs = chosen.shared_out(degrees, rows, link.null_share, cap)
    else:
        counts = shared_out(np.minimum(degrees, cap), stubs, cap)
    had = int(counts.sum())
    if had < stubs:
        none = link.nullable if chosen is None else chosen.none
        if not none and stubs:
            rule = (
                f"rows: {stubs} rows of {link.key.child_table!r} need rows of"
                f" {link.key.parent_table!r} to refer to, but only {had} can be had;"
                f" ask for more rows of {link.key.parent_table!r}"
            )
            fault = Violation(field="rows", table=link.key.parent_table, rule=rule)
            raise InvalidArgumentError(rule, reason="ROWS_INVALID", violations=(fault,))
        stubs = had
    return ParentIndex(np.cumsum(counts), codes, stubs)
