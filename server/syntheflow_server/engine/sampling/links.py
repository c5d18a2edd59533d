"""Give every reference a real row: drawn without replacement from the parents' degrees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.graph.affinity import axis_of, in_order, scattered
from syntheflow_server.engine.graph.structure import Affinity, AffinityKind, Link, LinkKind
from syntheflow_server.engine.keys.permute import permute
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.agreement import (
    NULL,
    Groups,
    balanced,
    draw_agreeing,
    leaning_of,
)
from syntheflow_server.engine.sampling.follow import handed_on
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.lost import lost_rows, may_be_lost
from syntheflow_server.engine.sampling.matching import match
from syntheflow_server.engine.sampling.plan import ParentIndex, SamplePlan
from syntheflow_server.engine.sampling.rng import generator, key_of
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.tree import level_parents
from syntheflow_server.engine.sampling.unique import settle_keys

Ints = npt.NDArray[np.int64]
ColumnOf = Callable[[Frame, str], pa.Array]
_MOST_BALANCED = 20_000
_NOBODY, _ANYBODY = -1, -2
"""Instead of a code: the row has no parent; the row has one, whichever is left."""
_FEW_PARENTS = 100
_MOST_FLIPPED = 0.05


class Resolver:
    """Resolves the links of frames against the plan's indexes."""

    def __init__(
        self,
        runtime: Runtime,
        plan: SamplePlan,
        column: ColumnOf,
        keep: Callable[[str, str], None] | None = None,
    ) -> None:
        """Prepare; `keep` stores a table's key column that is read before it is there."""
        self._keep = keep
        self._runtime, self._plan, self._column = runtime, plan, column
        self._family = runtime.model.family
        self._settled: set[int] = set()
        self._points: dict[str, npt.NDArray[np.float32]] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], Groups] = {}
        self._frames: list[Frame] = []  # keeps ids from being used again

    def settle(self, frame: Frame) -> None:
        """Resolve all links of the frame and repair keys that repeat."""
        if id(frame) in self._settled:
            return
        self._settled.add(id(frame))
        self._frames.append(frame)
        if frame.silent or frame.table in self._runtime.model.kept:
            return
        structure = self._runtime.model.family[frame.table]
        for link in structure.settled:
            self.parents(frame, link)
        if structure.repaired:
            settle_keys(self._runtime, self._plan, frame, self._column, self)

    def parents(self, frame: Frame, link: Link) -> Ints:
        """Return the parent rows (-1: none) of the frame's rows."""
        name = str(link.key)
        if name not in frame.parents:
            if link.kind is LinkKind.LEVELS:
                found = level_parents(self._plan, frame, link)
            else:
                found = self._agreeing(frame, link) if link.shared else self._coded(frame, link)
                source = self._source(frame, link)
                found = self._in_order(frame, link, found, source)
                found = found if source is None else found[source]
            if self._plan.spec.orphans and may_be_lost(self._family[frame.table], link):
                rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"orphans {name}")
                found = lost_rows(link, found, self._unknown(frame, link), rng)
            frame.parents[name] = found
        return frame.parents[name]

    def _in_order(self, frame: Frame, link: Link, found: Ints, source: Ints | None) -> Ints:
        """Return the parents given out anew among those of one kind: like rows to one parent.

        Siblings that have the parent of the one before, whose row is `source` [n], come
        together, so that what they leave is little.
        """
        index = self._plan.parents[str(link.key)]
        rows = np.flatnonzero(found >= 0)
        if link.fixed or not len(rows) or (source is None and not link.affinities):
            return found
        parents = found[rows]
        kinds = index.codes[parents]
        if link.shared:
            groups = self.groups(link, link.shared).theirs[parents]
            kinds = kinds * (int(groups.max(initial=0)) + 1) + groups
        runs = None
        if source is not None:
            _, begins, run = np.unique(source[rows], return_index=True, return_inverse=True)
            runs = begins[run]
        told = [self._keys_of(frame, affinity) for affinity in link.affinities]
        keys = [[key[rows] for key in keys] for keys in told]
        noise = [affinity.noise for affinity in link.affinities]
        place = scattered(parents, str(link.key))
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"order {link.key}")
        result = found.copy()
        result[rows] = in_order(parents, kinds, keys, noise, place, rng, runs)
        return result

    def _keys_of(self, frame: Frame, affinity: Affinity) -> tuple[Ints, ...]:
        """Return the numbers [n] by which an affinity puts rows in order."""
        if affinity.kind is AffinityKind.OWNER:
            return (axis_of(self._column(frame, affinity.name)),)
        if affinity.kind is AffinityKind.TOKEN:
            piece = self._runtime.piece(frame.table, PieceKind.COLUMN, affinity.name)
            return (frame.codes[:, piece.start].astype(np.int64),)
        other = self._family[frame.table].named(affinity.name)
        parents = self.parents(frame, other)
        codes = self._plan.parents[affinity.name].codes
        known = codes[np.maximum(parents, 0)] if len(codes) else np.zeros(frame.rows, np.int64)
        return np.where(parents >= 0, known, -1), scattered(parents, affinity.name)

    def _source(self, frame: Frame, link: Link) -> Ints | None:
        """Return the row whose parent each row has, None if siblings hand no parents on."""
        source = handed_on(self._runtime.layout(frame.table), str(link.key), frame.codes)
        if source is None or not link.shared:
            return source
        known = self.groups(link, link.shared)
        ours = known.ours([combined(self._column(frame, c)) for c in link.shared])
        return np.where(ours[source] == ours, source, np.arange(frame.rows))

    def groups(self, link: Link, columns: tuple[str, ...]) -> Groups:
        """Return the parents' groups by what they have in the child's `columns`."""
        name = str(link.key), columns
        if name not in self._groups:
            rows = np.arange(self._plan.places(link.key.parent_table))
            parts = [
                combined(self.key_values(link.key.parent_table, link.theirs(c), rows))
                for c in columns
            ]
            self._groups[name] = Groups.of(parts)
        return self._groups[name]

    def _agreeing(self, frame: Frame, link: Link) -> Ints:
        """Return parents that have what the rows have in the columns that they share."""
        index, wanted = self._plan.parents[str(link.key)], self._wanted(frame, link)
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"link {link.key}")
        known = self.groups(link, link.shared)
        ours = known.ours([combined(self._column(frame, c)) for c in link.shared])
        several = frame.rows < self._plan.table_rows[frame.table]
        pool = self._stubs(frame, link, index) if link.unique and several else None
        if link.fixed and frame.order is not None:
            # First those of the same number in order, then those of any other.
            number = self.fixed_keys(link)
            both = np.unique(np.append(number, frame.order), return_inverse=True)[1]
            theirs = np.where(
                known.theirs < 0, NULL, known.theirs * len(both) + both[: len(number)]
            )
            exact = np.where(ours < 0, ours, ours * len(both) + both[len(number) :])
            exact[~np.isin(exact, theirs)] = NULL
            exact_ones = exact, theirs
            first = draw_agreeing(link, wanted, exact_ones, index, rng, pool, must=False)
            rest = np.where(first >= 0, -1, wanted)
            other = draw_agreeing(link, rest, (ours, known.theirs), index, rng, pool)
            result = np.where(first >= 0, first, other)
            frame.order[result >= 0] = number[result[result >= 0]]
            return result
        return draw_agreeing(link, wanted, (ours, known.theirs), index, rng, pool)

    def key_values(self, table: str, column: str, rows: Ints) -> pa.Array:
        """Return a key column of `table` for row numbers; null where the row is -1."""
        from syntheflow_server.engine.sampling.values import made_key

        none = rows < 0
        stored = self._plan.keys.get(table, {})
        if column in stored:
            places = pa.array(np.where(none, 0, rows), mask=none)
            return stored[column].take(places)
        makers = [m for m in self._runtime.table(table).makers if column in m.columns]
        if not makers and self._keep is not None:
            self._keep(table, column)
            return self.key_values(table, column, rows)
        maker = makers[0]
        new = np.where(none, 0, rows) - self._plan.silent(table)
        values = combined(made_key(maker, table, np.maximum(new, 0), self._plan)[column])
        stand = self._plan.stands.get(table)
        if stand is not None and column in stand.rows.column_names:
            held = combined(stand.rows.column(column)).cast(values.type)
            place = np.where(rows < len(held), rows, len(held) + np.arange(len(rows)))
            values = pa.concat_arrays([held, values]).take(pa.array(np.where(none, 0, place)))
        return pc.if_else(pa.array(none), pa.scalar(None, values.type), values)

    def _coded(self, frame: Frame, link: Link) -> Ints:
        index = self._plan.parents[str(link.key)]
        wanted = self._wanted(frame, link)
        result = np.full(frame.rows, -1)
        seed = self._plan.spec.seed
        stubs = self._stubs(frame, link, index)
        rng = generator(seed, frame.table, frame.unit, f"link {link.key}")
        if index.stubs:
            whole = frame.rows == self._plan.table_rows[frame.table]
            exact = whole or len(index.ends) <= _FEW_PARENTS
            wanted = _as_many(wanted, len(stubs), exact=exact, rng=rng)
        rows = np.flatnonzero(wanted != _NOBODY)
        if not len(rows) or not index.stubs:
            return result
        if len(stubs) > len(rows):
            stubs = stubs[rng.permutation(len(stubs))[: len(rows)]]
        elif len(stubs) < len(rows):
            if link.unique:
                rows = rows[np.sort(rng.permutation(len(rows))[: len(stubs)])]
            else:
                more = rng.integers(0, index.stubs, len(rows) - len(stubs))
                stubs = np.concatenate([stubs, self._parents_at(index, more)])
        ours = self._fixed_codes(frame, link, rows)
        theirs = None if ours is None else self.fixed_keys(link)
        result[rows] = match(
            wanted[rows], stubs, index.codes, ours, theirs, rng, self._places(link)
        )
        if theirs is not None and frame.order is not None:
            # No parent had the number that these rows wanted: they take their parent's.
            frame.order[rows] = theirs[result[rows]]
        return result

    def _places(self, link: Link) -> npt.NDArray[np.float32]:
        """Return where the link's codes lie."""
        name = str(link.key)
        if name not in self._points:
            self._points[name] = self._runtime.model.codebooks[name].places
        return self._points[name]

    def _wanted(self, frame: Frame, link: Link) -> Ints:
        """Return the code of the parent that each row asks for, _NOBODY for none."""
        piece = self._runtime.piece(frame.table, PieceKind.LINK, str(link.key))
        assert piece.link is not None
        codes = frame.codes[:, piece.where].astype(np.int64)
        wanted = codes[:, 0] * piece.link.members + codes[:, 1]
        result = np.where(codes[:, 0] >= piece.link.groups, -1, wanted)
        lost = self._unknown(frame, link) > 0
        if lost.any() and len(known := self._plan.parents[str(link.key)].codes):
            # The parent of such rows did not exist: they may have any.
            seed = self._plan.spec.seed
            rng = generator(seed, frame.table, frame.unit, f"lost {link.key}")
            result[lost] = known[rng.integers(0, len(known), int(lost.sum()))]
        return self._balanced(frame, link, result) if link.nullable else result

    def _unknown(self, frame: Frame, link: Link) -> Ints:
        """Return 1 where the parent that a row asks for did not exist, else 0."""
        piece = self._runtime.layout(frame.table).find(PieceKind.LINK, str(link.key))
        if piece is None or piece.link is None:
            return np.zeros(frame.rows, np.int64)
        lost = frame.codes[:, piece.start] >= piece.link.groups + int(link.nullable)
        source = handed_on(self._runtime.layout(frame.table), str(link.key), frame.codes)
        return (lost if source is None else lost[source]).astype(np.int64)

    def _balanced(self, frame: Frame, link: Link, wanted: Ints) -> Ints:
        """Return the codes with the real share of rows without parent in small tables.

        A table of some dozen rows would miss it by chance. Large tables do without, and
        where something is asked of the rows their share is another.
        """
        plan = self._plan
        lineage = {frame.table, *self._runtime.model.family.above(frame.table)}
        asked = lineage & {*plan.seeds, *plan.spec.conditions}
        rows = plan.table_rows[frame.table]
        # Where keys tell of time, the share may be another in each unit.
        drifts = bool(self._family[self._family.root_of(frame.table)].telling)
        if asked or (frame.rows < rows and (drifts or rows > _MOST_BALANCED)):
            return wanted
        gone = np.zeros(frame.rows, bool)
        if link.shared:
            known = self.groups(link, link.shared)
            ours = known.ours([combined(self._column(frame, c)) for c in link.shared])
            gone = known.room(ours) == 0
        source = self._source(frame, link)
        weights = np.ones(frame.rows, np.int64)
        if source is not None:
            weights = np.bincount(source, minlength=frame.rows).astype(np.int64)
        layout = self._runtime.layout(frame.table)
        tokens = [i for p in layout.of_kind(PieceKind.COLUMN) for i in range(p.start, p.end)]
        leaning = leaning_of(frame.codes[:, tokens], wanted < 0)
        rng = generator(plan.spec.seed, frame.table, frame.unit, f"none {link.key}")
        ends = frame.first_row, frame.first_row + frame.rows
        before, after = (round(row * link.null_share) for row in ends)
        target = after - before
        codes = plan.parents[str(link.key)].codes
        return balanced(wanted, gone, target, weights, leaning, codes, rng)

    def _stubs(self, frame: Frame, link: Link, index: ParentIndex) -> Ints:
        """Return the frame's own slice of the permuted stubs, as parent rows."""
        table_rows = self._plan.table_rows[frame.table]
        first, last = frame.first_row, frame.first_row + frame.rows
        low, high = (place * index.stubs // max(table_rows, 1) for place in (first, last))
        key = key_of(self._plan.spec.seed, "stubs", link.key) >> 80
        return self._parents_at(index, permute(np.arange(low, high), index.stubs, key))

    @staticmethod
    def _parents_at(index: ParentIndex, places: Ints) -> Ints:
        return np.searchsorted(index.ends, places, side="right")

    def _fixed_codes(self, frame: Frame, link: Link, rows: Ints) -> Ints | None:
        """Return the order numbers that the parent must have too, None if there are none."""
        if not link.fixed or frame.order is None:
            return None
        return frame.order[rows]

    def fixed_keys(self, link: Link) -> Ints:
        """Return by parent row the number that children's order column must equal."""
        place = link.key.child_columns.index(link.fixed[0])
        theirs = link.key.parent_columns[place]
        rows = np.arange(self._plan.places(link.key.parent_table))
        values = self.key_values(link.key.parent_table, theirs, rows)
        return to_numbers(values, theirs)[0].astype(np.int64)


def _as_many(wanted: Ints, stubs: int, *, exact: bool, rng: np.random.Generator) -> Ints:
    """Return `wanted` with as many rows that have a parent as there are stubs.

    So the share of missing references and the parents' degrees are the real ones. A unit
    whose rows differ by more from the others keeps what they say, unless a few parents,
    whose degrees are plain to see, would miss it.
    """
    if not (wanted == _NOBODY).any():
        return wanted
    linked = wanted != _NOBODY
    excess = int(linked.sum()) - stubs
    if not exact:
        most = int(_MOST_FLIPPED * len(wanted)) + 1
        excess = min(max(excess, -most), most)
    chosen = np.flatnonzero(linked if excess > 0 else ~linked)
    chosen = chosen[rng.permutation(len(chosen))[: abs(excess)]]
    result = wanted.copy()
    result[chosen] = _NOBODY if excess > 0 else _ANYBODY
    return result
