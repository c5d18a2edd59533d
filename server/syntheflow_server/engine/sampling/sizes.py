"""How many rows every table gets, and where each unit's rows begin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.counting import count_rows
from syntheflow_server.engine.sampling.plan import SamplePlan, of_existing
from syntheflow_server.engine.sampling.room import room_of
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.shares import (
    MULTIPLIERS,
    UNLIMITED,
    Share,
    parts_by_multiplier,
    share_of,
    taken_below,
)
from syntheflow_server.engine.sampling.unit import Unit
from syntheflow_server.engine.sampling.values import Values

Ints = npt.NDArray[np.int64]
_KEPT_ROWS = 1_000_000


class Units:
    """The units of a plan in the making; recent ones are kept so that passes share them."""

    def __init__(self, runtime: Runtime, plan: SamplePlan, beat: Beat) -> None:
        self.runtime, self.plan, self.beat = runtime, plan, beat
        self.values = Values(runtime, plan, beat)
        self._kept: dict[tuple[str, int], Unit] = {}
        self._kept_rows = 0

    def over(self, table: str) -> Iterator[Unit]:
        """Yield all units that make `table`, in order; `beat` is called before each."""
        root = self.plan.root_of[table]
        for block in range(len(self.plan.units_of(table))):
            self.beat()
            unit = self._kept.get((root, block))
            if unit is None:
                unit = Unit(self.runtime, self.plan, root, block, self.beat, noting=True)
                if self._kept_rows < _KEPT_ROWS:
                    self._kept[root, block] = unit
                    self._kept_rows += self._rows_of(root)
            yield unit

    def _rows_of(self, root: str) -> int:
        """Return how many rows one of the root's units holds, roughly."""
        family = self.runtime.model.family
        below = sum(family[name].rows for name in family.below(root))
        return int(self.plan.blocks[root] * below / max(family[root].rows, 1))


class Sizes:
    """Measures owned tables, owners first; fills the plan."""

    def __init__(self, units: Units) -> None:
        self._units, self._plan = units, units.plan
        self._runtime = units.runtime
        self._family = units.runtime.model.family
        self._busy: set[str] = set()

    def measure(self, table: str) -> None:
        """Set the rows of `table` and what they depend on."""
        if self._plan.given(table):
            self._stand(table)
            return
        if table in self._plan.table_rows or table in self._busy:
            return
        self._busy.add(table)
        owner = self._family.owner_of(table)
        self.measure(owner)
        # An owner that is being measured asks how many rows there are: nobody knows yet.
        if owner in self._plan.table_rows:
            cap = self._cap(table)
            if cap < UNLIMITED:
                self._plan.caps[table] = cap
            room = room_of(self._units, self.measure, table)
            room = self._room_beside(table, room, cap)
            chosen = self._plan.chosen.get(str(self._family[table].owner))
            if chosen is not None:
                room = chosen.room(self._plan.places(owner), room)
            if room is not None:
                self._plan.rooms[table] = np.minimum(room, cap)
                cap = min(cap, UNLIMITED - 1)
            self._share(table, owner, cap)
        self._busy.discard(table)

    def _cap(self, table: str) -> int:
        """Return how many rows one owner can have without repeating a key."""
        structure = self._family[table]
        most = 1 if structure.once else UNLIMITED
        for names in structure.distinct:
            most = min(most, self._combinations(table, names))
        return most

    def _combinations(self, table: str, names: tuple[str, ...]) -> int:
        model = self._runtime.table(table)
        ways, left = 1, set(names)
        for link in model.structure.resolved:
            mine = set(link.key.child_columns)
            if mine & left:
                parent = link.key.parent_table
                self.measure(parent)
                known = parent in self._plan.table_rows
                ways *= self._plan.places(parent) if known else UNLIMITED
                left -= mine
        for name in left:
            piece = model.layout.find(PieceKind.COLUMN, name)
            counts_up = model.table.column(name).type not in {"string", "bool"}
            if piece is None or piece.codec is None or counts_up:
                return UNLIMITED
            ways *= max(1, int(np.prod(piece.codec.sizes)))
            if model.table.column(name).type == "string":
                # Words that few rows hold are no codes, but others can be made of them.
                ways = max(ways, self._most(table))
        return min(ways, UNLIMITED)

    def _most(self, table: str) -> int:
        """Return the largest number of rows that an owner is drawn to have."""
        most = [int(unit.proposed(table).max(initial=0)) for unit in self._units.over(table)]
        return max(most, default=0)

    def _stand(self, table: str) -> None:
        """Set where the units' given rows of an owned table begin."""
        plan, rows = self._plan, len(self._plan.stands[table].rows)
        root = plan.root_of[table]
        places = [plan.standing(root, block) for block in range(len(plan.units_of(table)))]
        mine = [place is not None and place[0] == table for place in places]
        before = np.concatenate([[0], np.cumsum(mine)]) * plan.blocks[table]
        plan.first_rows[table] = np.minimum(before, rows).astype(np.int64)
        plan.table_rows[table] = rows

    def _room_beside(self, table: str, room: Ints | None, cap: int) -> Ints | None:
        """Return the room for new rows where existing owners have rows already."""
        plan, structure = self._plan, self._family[table]
        owner = self._family.owner_of(table)
        if cap >= UNLIMITED or not plan.silent(owner) or not plan.silent(table):
            return room
        assert structure.owner is not None
        parents, found = plan.stands[owner].rows, plan.named.get(str(structure.owner))
        if found is None:
            return room
        left = np.full(plan.places(owner), cap) if room is None else np.minimum(room, cap)
        left[: len(parents)] -= np.bincount(found[found >= 0], minlength=len(parents))
        return np.maximum(left, 0)

    def _expected(self, table: str, owner: str, proposed: int) -> int:
        """Return how many rows of an owned table there should be, if no number is asked for."""
        plan, real = self._plan, self._family[table].rows
        if plan.natural(table):
            return proposed
        owners = max(self._family[owner].rows, 1)
        return round(plan.table_rows[owner] * real / owners) if real else 0

    def _share(self, table: str, owner: str, cap: int) -> None:
        if count_rows(self._units, table, owner, cap):
            return
        plan, spec = self._plan, self._plan.spec
        sums, silent = [], []
        childless = table not in spec.rows
        for unit in self._units.over(table):
            if childless and unit.stands(owner) and plan.silent(owner):
                sums.append(np.zeros(len(MULTIPLIERS), np.int64))  # they exist, and so do theirs
                silent.append(True)
                continue
            above = unit.frame(owner)
            sums.append(parts_by_multiplier(unit.proposed(table), unit.room(table, above)))
            silent.append(above.silent)
        by_unit = np.array(sums, np.int64).reshape(len(sums), len(MULTIPLIERS))
        if any(silent):
            self._share_beside(table, owner, cap, by_unit, np.array(silent))
            return
        totals = by_unit.sum(axis=0)
        exact = table in spec.rows
        expected = spec.rows[table] if exact else self._expected(table, owner, int(totals[0]))
        if self._family[table].always and not exact:
            expected = int(totals[0])
        share = share_of(totals, expected, cap, exact=exact)
        if exact and share.target != expected:
            raise _too_many(table, owner, share.target)
        which = MULTIPLIERS.index(share.multiplier)
        before = np.concatenate([[0], np.cumsum(by_unit[:, which])]).astype(np.int64)
        if share.multiplier != 1 or share.total != share.target:
            plan.shares[table] = share
            plan.parts_before[table] = before
            before = taken_below(before, share.total, share.target)
        plan.first_rows[table] = before
        plan.table_rows[table] = int(before[-1])

    def _share_beside(
        self, table: str, owner: str, cap: int, by_unit: Ints, silent: npt.NDArray[np.bool_]
    ) -> None:
        """Share out rows where some owners exist already.

        New owners have as many rows as is usual. If a number is asked for, what it is more
        goes to existing owners; else these have theirs.
        """
        plan, spec = self._plan, self._plan.spec
        new, old = by_unit * ~silent[:, None], by_unit * silent[:, None]
        natural, exact = int(new[:, 0].sum()), table in spec.rows
        wanted = spec.rows[table] if exact else natural + int(old[:, 0].sum())
        mine, rest = min(natural, wanted), max(wanted - natural, 0)
        for key, parts, target in ((table, new, mine), (of_existing(table), old, rest)):
            share = share_of(parts.sum(axis=0), target, cap, exact=True)
            plan.shares[key] = share if share.target else Share(1, 1, 0, cap)
        found = sum(plan.shares[key].target for key in (table, of_existing(table)))
        if exact and found < wanted:  # existing owners have no more room: new ones may
            plan.shares[table] = share_of(new.sum(axis=0), mine + wanted - found, cap, exact=True)
            found += plan.shares[table].target - mine
        if exact and found != wanted:
            raise _too_many(table, owner, found)
        total = np.zeros(len(by_unit) + 1, np.int64)
        for key, parts in ((table, new), (of_existing(table), old)):
            share = plan.shares[key]
            which = MULTIPLIERS.index(share.multiplier)
            before = np.concatenate([[0], np.cumsum(parts[:, which])]).astype(np.int64)
            plan.parts_before[key] = before
            total += taken_below(before, share.total, share.target)
        plan.first_rows[table] = total
        plan.table_rows[table] = int(total[-1])


def _too_many(table: str, owner: str, most: int) -> InvalidArgumentError:
    rule = (
        f"rows: table {table!r} can have at most {most} rows here, because its"
        f" rows belong to rows of {owner!r}; ask for more of those"
    )
    fault = Violation(field="rows", table=table, rule=rule)
    return InvalidArgumentError(rule, reason="ROWS_INVALID", violations=(fault,))
