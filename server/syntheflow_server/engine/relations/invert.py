"""Carry what is asked of computed columns to the columns that they are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from syntheflow_server.engine.relations.arithmetic import Linear
from syntheflow_server.engine.relations.base import Relation, same
from syntheflow_server.engine.relations.bounds import Bounded
from syntheflow_server.engine.relations.cells import Cells, Mask, numbers_of
from syntheflow_server.engine.relations.differences import Difference
from syntheflow_server.engine.relations.mapping import Mapping
from syntheflow_server.engine.relations.moments import Part
from syntheflow_server.engine.relations.onehot import OneHot
from syntheflow_server.engine.relations.sheet import Sheet
from syntheflow_server.engine.relations.strings import Composed, parts_of, splits
from syntheflow_server.engine.relations.sums import Sum, pick_made, solve

_INVERTED = (Bounded, Difference, Linear, Mapping, OneHot, Part)
Wanted = list[tuple[str, Mask]]
"""Columns to be drawn next, with the rows that need them."""


def in_order(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    """Return the relations such that each comes after those that make what it needs."""
    left, done = list(relations), list[Relation]()
    while left:
        open_ = {name for relation in left for name in relation.makes}
        ready = [r for r in left if not open_ & {ref.column for ref in r.needs}]
        if not ready:
            break
        done += ready
        left = [relation for relation in left if relation not in ready]
    return tuple(done + left)


def refusal(relation: Relation, asked: set[str], fixed: set[str]) -> str:
    """Return why demands on the columns `asked` of a relation cannot be met, '' if they can.

    `fixed` are columns that are known in every row.
    """
    mine = asked & set(relation.makes)
    needs = {ref.column for ref in relation.needs}
    told = mine <= fixed
    others = ", ".join(repr(name) for name in sorted(needs))
    rule = f"it is computed from {others}; give values of these instead"
    if isinstance(relation, Linear) and relation.product:
        possible = told and len(needs - fixed) <= 1
        rule = f"it is the product of {others}; give values of these instead"
    elif any(ref.link for ref in relation.needs):
        possible = told
        rule = f"it is {others} of the row referred to; give values of it instead"
    elif isinstance(relation, Composed):
        possible = told and splits(relation)
        rule = f"it is composed of {others}; give values of these instead"
    else:
        possible = isinstance(relation, _INVERTED)
    return "" if not mine or needs <= fixed or possible else rule


def push(relations: Sequence[Relation], sheet: Sheet) -> Wanted:
    """Carry all demands as far as they go; `relations` are `in_order`.

    Returns the columns whose values must be drawn before demands can go further.
    """
    for relation in relations:
        _tell(relation, sheet)
    computed = {name for relation in relations for name in relation.makes if not relation.hints}
    wanted: Wanted = []
    for relation in reversed(relations):
        if any(sheet.asked(name) for name in relation.makes):
            wanted += _push(relation, sheet, computed)
    return [(name, rows) for name, rows in wanted if (rows & ~sheet[name].known).any()]


def _tell(relation: Relation, sheet: Sheet) -> None:
    """Compute what is known because all that it is computed from is."""
    needs = tuple(ref.column for ref in relation.needs)
    hidden = tuple(column.name for column in relation.hidden)
    if hidden and all(sheet.asked(name) for name in (*needs, *relation.makes)):
        rows = sheet.all_known((*needs, *relation.makes))
        if (rows & ~sheet[hidden[0]].known).any():
            for name, values in relation.hide(sheet.given(relation)).items():
                sheet[name].know(rows, values)
    rows = sheet.all_known((*needs, *hidden))
    for name in relation.makes if rows.any() else ():
        contradicted = sheet.strict and (rows & sheet[name].known).any()
        if contradicted or (rows & ~sheet[name].known).any():
            made = relation.derive(name, sheet.given(relation))
            if contradicted and not same(made, sheet[name].values)[rows & sheet[name].known].all():
                sheet.fail(name)
            sheet[name].know(rows, made)


def _push(relation: Relation, sheet: Sheet, computed: set[str]) -> Wanted:
    if isinstance(relation, Mapping):
        _through_mapping(relation, sheet)
    elif isinstance(relation, OneHot):
        _through_flags(relation, sheet)
    elif isinstance(relation, Bounded):
        return _through_bounds(relation, sheet)
    elif isinstance(relation, Part):
        return _through_part(relation, sheet, computed)
    elif isinstance(relation, Composed):
        _through_text(relation, sheet)
    elif isinstance(relation, (Linear, Difference)):
        made = sheet[relation.makes[0]]
        total = Sum.of(relation)
        _gaps(made, total.parts, total.gap, sheet)
        pick_made(total, sheet)
        return solve(total, sheet)
    return []


def _gaps(made: Cells, sources: Sequence[str], gap: str, sheet: Sheet) -> None:
    """Let the source `gap` be missing where the made cell is, and none where it must not."""
    there = made.required | (made.bounded & ~made.known)
    there |= made.known & made.values.is_valid().to_numpy(zero_copy_only=False)
    for name in sources:
        sheet[name].required = sheet[name].required | (there & ~sheet[name].known)
    gone = made.known & made.values.is_null().to_numpy(zero_copy_only=False)
    gone &= ~sheet.all_known(tuple(sources))
    if gone.any():
        sheet[gap].know(gone, pa.nulls(sheet.rows, sheet[gap].values.type))


def _through_mapping(relation: Mapping, sheet: Sheet) -> None:
    made, source = sheet[relation.makes[0]], sheet[relation.needs[0].column]
    kind, samples = made.signatures()
    sets = []
    for number, row in enumerate(samples.tolist()):
        fits = relation.sources.filter(pa.array(made.admits(row, relation.targets)))
        if not len(fits):
            sheet.fail(made.name)
            kind[kind == number] = -1
        sets.append(fits.cast(source.values.type))
    source.choose(kind, sets, strict=sheet.strict)


def _through_flags(relation: OneHot, sheet: Sheet) -> None:
    able = np.ones((sheet.rows, len(relation.makes)), np.bool_)
    for place, name in enumerate(relation.makes):
        if not sheet.asked(name):
            continue
        cells = sheet[name]
        both = pa.array([False, True]).cast(cells.values.type)
        kind, samples = cells.signatures()
        admitted = np.ones((len(samples) + 1, 2), np.bool_)
        for number, row in enumerate(samples.tolist()):
            admitted[number] = cells.admits(row, both)
        off, on = admitted[kind].T
        able[:, place] &= on
        others = np.arange(len(relation.makes)) != place
        able[:, others] &= off[:, None]
    lines, kind = np.unique(able, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    count = lines.sum(axis=1)
    if not count.all():
        sheet.fail(relation.makes[0])
    says = (count > 0) & (count < len(relation.makes))
    kind = np.where(says[kind], kind, -1)
    hidden = sheet[relation.hidden[0].name]
    sets = [pa.array(np.flatnonzero(line), pa.int64()) for line in lines]
    hidden.choose(kind, sets, strict=sheet.strict)


def _through_bounds(relation: Bounded, sheet: Sheet) -> Wanted:
    """Ask the raw value for what the made one shall be, and keep the bounds out of its way."""
    made, raw = sheet[relation.makes[0]], sheet[relation.hidden[0].name]
    raw.know(made.known, made.values)
    _gaps(made, (raw.name,), raw.name, sheet)
    free = ~made.known
    raw.bound(free, made.low, made.high)
    raw.choose(np.where(free, made.choice.of_row, -1), made.choice.sets, strict=sheet.strict)
    raw.shun(np.where(free, made.apart.of_row, -1), made.apart.sets)
    named = made.ruled & ~sheet.all_known(tuple(ref.column for ref in relation.needs))
    wanted: Wanted = []
    if named.any():
        # The raw value comes first; then the bounds must leave it as it is.
        made.know(named & raw.known, raw.values)
        wanted.append((raw.name, named))
    numbers, missing = numbers_of(made.values)
    fixed = made.known & ~missing
    for place, ref in enumerate(relation.needs):
        need = sheet[ref.column]
        theirs, empty = numbers_of(need.values)
        told = made.ruled & need.known & ~empty
        if place < relation.lows:
            need.bound(fixed & ~need.known, high=numbers, after=True)
            raw.bound(told, low=theirs)
        else:
            need.bound(fixed & ~need.known, low=numbers, after=True)
            raw.bound(told, high=theirs)
    return wanted


def _through_part(relation: Part, sheet: Sheet, computed: set[str]) -> Wanted:
    """Let the moment be there where its part is; which moment, `moving.met` decides."""
    made, moment = sheet[relation.makes[0]], sheet[relation.needs[0].column]
    gone = made.known & made.values.is_null().to_numpy(zero_copy_only=False)
    moment.know(gone, pa.nulls(sheet.rows, moment.values.type))
    rows = made.asked & ~gone & ~moment.known
    moment.required = moment.required | rows
    return [(moment.name, rows)] if moment.name in computed else []


def _through_text(relation: Composed, sheet: Sheet) -> None:
    made = sheet[relation.makes[0]]
    sources = tuple(ref.column for ref in relation.needs)
    every = (*sources, *(column.name for column in relation.hidden))
    _gaps(made, every, every[-1], sheet)
    rows = made.known & ~sheet.all_known(sources)
    if rows.any() and splits(relation):
        texts = made.values.to_pylist()
        parsed = [parts_of(relation, texts[i]) for i in np.flatnonzero(rows)]
        for place, name in enumerate(sources):
            found: list[str | None] = [None] * sheet.rows
            for i, parts in zip(np.flatnonzero(rows).tolist(), parsed, strict=True):
                found[i] = parts[place] if parts else None
            values = pa.array(found, pa.string())
            there = values.is_valid().to_numpy(zero_copy_only=False)
            sheet[name].know(rows & there, values)
