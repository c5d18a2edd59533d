"""Parents that a condition on a reference leaves: rows that are known before any is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.codes import code_inputs
from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.layout import Piece
from syntheflow_server.engine.relations.cells import held, numbers_of
from syntheflow_server.engine.sampling.demands import Demand, demands_of
from syntheflow_server.engine.sampling.shares import UNLIMITED, shared_out
from syntheflow_server.engine.sampling.spec import condition_error
from syntheflow_server.engine.sampling.standing import standing_rows

if TYPE_CHECKING:
    from syntheflow_server.engine.sampling.sizes import Units
    from syntheflow_server.engine.sampling.unit import Unit

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Which parents a reference may have.

    `rows` are their (sorted) numbers, `codes` the (sorted) codes that the link knows them
    by, and `none` says whether the reference may be missing.
    """

    rows: Ints
    codes: Ints
    none: bool

    def shared_out(self, degrees: Ints, rows: int, null_share: float, cap: int) -> tuple[Ints, int]:
        """Return the stubs of all parents, of which only the chosen have any, and their sum.

        `rows` of the child table refer to one of these parents, but those that may be missing
        and are, in their proportion to what is left of the others.
        """
        mine = degrees[self.rows]
        missing = null_share if self.none else 0.0
        left = (1 - null_share) * mine.sum() / max(int(degrees.sum()), 1)
        stubs = round(rows * left / max(left + missing, 1e-12)) if missing else rows
        stubs = stubs if len(self.rows) else 0
        counts = np.zeros(len(degrees), np.int64)
        counts[self.rows] = shared_out(np.minimum(mine, cap), stubs, cap)
        return counts, stubs

    def room(self, owners: int, room: Ints | None) -> Ints:
        """Return the room [owners] for children, `room` cut to the chosen."""
        most = np.zeros(owners, np.int64)
        most[self.rows] = UNLIMITED - 1 if room is None else room[self.rows]
        return most

    def weigh(
        self,
        piece: Piece,
        token: int,
        codes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Leave of the `weights` [b, K] of the piece's `token`, 0 or 1, those of the chosen.

        `codes` [b, T] are the rows' tokens so far.
        """
        assert piece.link is not None
        members, groups = piece.link.members, piece.link.groups
        known = np.zeros((piece.tokens[0].size, piece.tokens[1].size), np.bool_)
        known[self.codes // members, self.codes % members] = True
        known[groups : groups + 1] = self.none and piece.link.nullable
        allowed = known[codes[:, piece.start]] if token else known.any(axis=1)
        found = weights * allowed
        dead = ~(found.sum(axis=1) > 0)
        if dead.any():
            # What the network thinks impossible is asked for: all allowed codes are as likely.
            found[dead] = np.broadcast_to(allowed, weights.shape)[dead]
        weights[:] = found


def choose_parents(units: Units) -> None:
    """Put into the plan which parents are left of those that conditions are on."""
    runtime, plan = units.runtime, units.plan
    for table in plan.spec.conditions:
        structure = runtime.model.family[table]
        # Given cells win over conditions.
        given = plan.stands[table].rows if table in plan.stands else plan.seeds.get(table)
        said = set(given.column_names) if given is not None else set[str]()
        every = [d for d in demands_of(runtime.table(table), plan.spec) if d.column not in said]
        named = {link.key.child_columns: link for link in structure.links}
        for key in [link.key for link in structure.links] + [structure.owner]:
            demands = [d for d in every if key and not d.rows_of and d.column in key.child_columns]
            if key is None or not demands:
                continue
            parents = standing_rows(runtime.model, plan.stands, plan.seeds, key.parent_table)
            assert parents is not None
            left, none = _left(combined(parents.column(key.parent_columns[0])), demands)
            link = named.get(key.child_columns)
            none = none and link is not None and link.nullable
            _check(table, demands, left, none=none)
            rows = np.flatnonzero(left)
            codes = np.zeros(0, np.int64)
            if link is not None and len(rows):
                codes = np.unique(_known_codes(units, link)[rows])
            plan.chosen[str(key)] = Chosen(rows, codes, none)


def _left(values: pa.Array, demands: Sequence[Demand]) -> tuple[Mask, bool]:
    """Return which keys [n] all demands leave, and whether none is left as well."""
    left, none = values.is_valid().to_numpy(zero_copy_only=False), True
    for demand in demands:
        values = values.cast(demand.values.type)
        if demand.shares:
            left = left & ~held(values, demand.values)
            none = none and not demand.values.null_count
        elif len(demand.values):
            left = left & held(values, demand.values)
            none = none and bool(demand.values.null_count)
        else:
            numbers, missing = numbers_of(values)
            left = left & ~missing & (numbers >= demand.low) & (numbers <= demand.high)
            none = False
    return left, none


def _check(table: str, demands: Sequence[Demand], left: Mask, *, none: bool) -> None:
    """Raise InvalidArgumentError if a condition on a reference leaves nothing, or has shares."""
    if any(share for demand in demands for share in demand.shares):
        rule = "it refers to another table: shares of its values cannot be asked for"
    elif not left.any() and not none:
        rule = "no row that it could refer to has such a key"
    else:
        return
    raise condition_error(table, demands[0].column, rule)


def codes_in(unit: Unit, table: str, link: Link) -> Ints:
    """Return the codes by which `link` knows the unit's rows of `table`."""
    frame = unit.frame(table)
    inputs = code_inputs(frame.codes, frame.owner_codes(), unit.runtime.code_tokens(link))
    return unit.runtime.model.codebooks[str(link.key)].assign(inputs)


def _known_codes(units: Units, link: Link) -> Ints:
    """Return the codes of the parents that are there before any is drawn."""
    table = link.key.parent_table
    parts = [
        codes_in(unit, table, link)
        for unit in units.over(table)
        if table not in units.plan.stands or unit.stands(table)
    ]
    return np.concatenate(parts)
