"""From tokens and row numbers to the values of columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import from_numbers
from syntheflow_server.engine.graph.structure import Family, Link, LinkKind, counted_within
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.relations import Ref, Relation, agreed
from syntheflow_server.engine.relations.hinted import hinting
from syntheflow_server.engine.relations.moving import met
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.follow import handed_on
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.links import Resolver
from syntheflow_server.engine.sampling.lost import LOST, lost_values
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator, key_of
from syntheflow_server.engine.sampling.runtime import Runtime

Ints = npt.NDArray[np.int64]


class Values:
    """Makes columns of frames; every column of a row is a function of the unit alone."""

    def __init__(
        self,
        runtime: Runtime,
        plan: SamplePlan,
        beat: Beat,
        keep: Callable[[str, str], None] | None = None,
    ) -> None:
        """Prepare; `keep` stores a table's key column that is read before it is there."""
        self._runtime, self._plan, self._beat = runtime, plan, beat
        self._resolver = Resolver(runtime, plan, self.column, keep)

    def column(self, frame: Frame, name: str) -> pa.Array:
        """Return the values of a column, made once per frame."""
        if name not in frame.columns:
            self._beat()
            self._make(frame, name)
        return frame.columns[name]

    def settle(self, frame: Frame) -> None:
        """Resolve the links of a frame and repair keys that repeat."""
        self._resolver.settle(frame)

    def batch(self, frame: Frame) -> pa.RecordBatch:
        """Return all columns of the frame in the schema's order and types."""
        self._resolver.settle(frame)
        model = self._runtime.model
        schema = model.schema.table(frame.table).arrow
        arrays = []
        for name in schema.names:
            values = model.readings.written(frame.table, name, self.column(frame, name))
            arrays.append(values.cast(schema.field(name).type))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _settle_above(self, frame: Frame) -> None:
        """Settle an owner's rows if that may change its columns (see `Needs`)."""
        if settles(self._runtime.model.family, frame.table):
            self._resolver.settle(frame)

    def _make(self, frame: Frame, name: str) -> None:
        model = self._runtime.table(frame.table)
        structure = model.structure
        sequence = structure.sequence
        if structure.owner and name in structure.owner.child_columns:
            assert frame.above is not None
            place = structure.owner.child_columns.index(name)
            theirs = structure.owner.parent_columns[place]
            self._settle_above(frame.above)
            made = self.column(frame.above, theirs).take(pa.array(frame.owner))
        elif name in {*structure.surrogate, *structure.grid, *structure.per_owner}:
            made = self._key(frame, model, name)
        elif sequence and name == sequence.order:
            assert frame.order is not None
            numbers = sequence.told(frame.order)
            made = from_numbers(numbers, None, model.table.column(name).arrow, 0)
        elif name in structure.counters:
            made = self._counted(frame, structure.counters[name])
        elif link := link_of(model, name):
            made = self._linked(frame, link, name)
        elif relation := model.made_by.get(name):
            made = self._required(frame, model, name, self._related(frame, relation, name))
        else:
            made = self._decoded(frame, model, name)
            if hints := model.day_hints(name):
                hinted = {h.makes[0]: self._decoded(frame, model, h.makes[0]) for h in hints}
                made = agreed(made, hints, hinted)
        frame.columns[name] = combined(made)
        if frame.sheet is not None:
            frame.columns[name] = met(frame.columns[name], name, frame.sheet, model.relations)

    def _key(self, frame: Frame, model: TableModel, name: str) -> pa.Array:
        for maker in model.makers:
            if name in maker.columns:
                values = made_key(maker, frame.table, frame.row_numbers, self._plan)[name]
                return self._with_gaps(frame, name, values)
        assert frame.above is not None
        maker = next(m for m in model.owner_makers if name in m.columns)
        owners = frame.above.places
        made = made_key(maker, frame.table, owners, self._plan, of_owner=True)
        return made[name].take(pa.array(frame.owner))

    def _counted(self, frame: Frame, base: int) -> pa.Array:
        """Return the number of each row among those of its owner and order value."""
        self._resolver.settle(frame)
        groups = frame.owner
        if frame.order is not None:
            values, place = np.unique(frame.order, return_inverse=True)
            groups = groups * (len(values) + 1) + place
        return pa.array(counted_within(groups) + base)

    def _with_gaps(self, frame: Frame, name: str, values: pa.Array) -> pa.Array:
        """Return the identifiers with nulls where the row says that there is none."""
        piece = self._runtime.layout(frame.table).find(PieceKind.MISSING, name)
        if piece is None or piece.codec is None:
            return values
        missing = piece.codec.decode(
            frame.codes[:, piece.where], np.zeros((frame.rows, piece.codec.draws))
        )
        return pc.if_else(missing, pa.scalar(None, values.type), values)

    def _linked(self, frame: Frame, link: Link, name: str) -> pa.Array:
        place = link.key.child_columns.index(name)
        theirs = link.key.parent_columns[place]
        if link.kind is not LinkKind.COPIED:
            parents = self._resolver.parents(frame, link)
            if link.partial:
                parents = self._shown(frame, link, name, parents)
            held = self._resolver.key_values(link.key.parent_table, theirs, np.maximum(parents, -1))
            return self._with_lost(frame, link, name, held, parents == LOST)
        owner, rows = frame, np.arange(frame.rows)
        for _ in range(link.above):
            assert owner.above is not None
            rows, owner = owner.owner[rows], owner.above
        self._settle_above(owner)
        source = theirs
        if link.through is not None:
            source = link.through.child_columns[link.through.parent_columns.index(theirs)]
        return self.column(owner, source).take(pa.array(rows))

    def _with_lost(
        self, frame: Frame, link: Link, name: str, held: pa.Array, lost: npt.NDArray[np.bool_]
    ) -> pa.Array:
        """Return the key column with values that no parent has in the rows that are `lost`."""
        if not lost.any():
            return held
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"nobody {name}")
        table, theirs = link.key.parent_table, link.theirs(name)
        rows = np.arange(self._plan.places(table))
        count = int(lost.sum())
        made = lost_values(
            link, name, count, lambda: combined(self._resolver.key_values(table, theirs, rows)), rng
        )
        place = np.arange(frame.rows)
        place[lost] = frame.rows + np.arange(count)
        return pa.concat_arrays([combined(held), made.cast(held.type)]).take(pa.array(place))

    def _shown(self, frame: Frame, link: Link, name: str, parents: Ints) -> Ints:
        """Return the parents; a row without one may show a part of some parent's key."""
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"partly {link.key}")
        some = self._plan.places(link.key.parent_table)
        kinds = rng.choice(len(link.partial), frame.rows, p=[share for _, share in link.partial])
        lenders = rng.integers(0, max(some, 1), frame.rows)
        empty = np.array([name in columns for columns, _ in link.partial])[kinds]
        return np.where((parents < 0) & ~empty & (some > 0), lenders, parents)

    def _related(self, frame: Frame, relation: Relation, name: str) -> pa.Array:
        """Return a column that other columns of the row and of its owners decide."""
        given = {Ref(column.name): self.column(frame, column.name) for column in relation.hidden}
        for ref in relation.needs:
            if ref.link:
                self._resolver.settle(frame)
                link = self._runtime.table(frame.table).structure.named(ref.link)
                parents = self._resolver.parents(frame, link)
                table = link.key.parent_table
                given[ref] = self._resolver.key_values(table, ref.column, parents)
                continue
            owner, rows = frame, np.arange(frame.rows)
            for _ in range(ref.above):
                assert owner.above is not None
                rows, owner = owner.owner[rows], owner.above
            self._settle_above(owner)
            values = self.column(owner, ref.column)
            given[ref] = values.take(pa.array(rows)) if ref.above else values
        return relation.derive(name, given)

    def _required(self, frame: Frame, model: TableModel, name: str, values: pa.Array) -> pa.Array:
        """Return a derived column without gaps where it may have none.

        What it derives from may be missing in rows that never had to give a value (an
        owner without children); a neighbour's value stands in.
        """
        values = combined(values)
        names = model.table.column_names
        if not values.null_count or name not in names or model.table.column(name).nullable:
            return values
        known = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        if not len(known):
            return values
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"required {name}")
        place = np.arange(frame.rows)
        gaps = np.setdiff1d(place, known)
        place[gaps] = known[rng.integers(0, len(known), len(gaps))]
        return values.take(pa.array(place))

    def _decoded(self, frame: Frame, model: TableModel, name: str) -> pa.Array:
        piece = model.layout.find(PieceKind.COLUMN, name)
        assert piece is not None, name
        assert piece.codec is not None
        if name in frame.followed and name not in frame.guides:
            return frame.followed[name]
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"value {name}")
        uniforms = rng.random((frame.rows, piece.codec.draws))
        if name in frame.guides:
            again = generator(self._plan.spec.seed, frame.table, frame.unit, f"within {name}")
            spare = again.random((frame.rows, 2))
            return frame.guides[name].decode(frame.codes, uniforms, spare)
        codes = frame.codes[:, piece.where]
        made = piece.codec.apart(codes, uniforms, piece.codec.decode(codes, uniforms))
        rows = handed_on(self._runtime.layout(frame.table), name, frame.codes)
        return made if rows is None else made.take(pa.array(rows))


def know_begin(runtime: Runtime, plan: SamplePlan, above: Frame, table: str, beat: Beat) -> None:
    """Make the columns of the owners `above` that rows of `table` must know before they are drawn.

    These are the one that the first row is counted from, and those that decide hints.
    """
    begin = runtime.layout(above.table).find(PieceKind.FIRST, table)
    names = [begin.base] if begin is not None and begin.base else []
    names += hinting(runtime.model.family, table, runtime.table(table).relations).values()
    values = Values(runtime, plan, beat)
    for name in dict.fromkeys(names):
        values.column(above, name)


def made_key(
    maker: KeyMaker, table: str, rows: Ints, plan: SamplePlan, *, of_owner: bool = False
) -> dict[str, pa.Array]:
    """Return the maker's columns for numbers of the table's rows, or of its owner's.

    Keys that exist already are left out. A key that many rows refer to is made once.
    """
    back = None
    if len(rows) > 1 and rows[-1] - rows[0] != len(rows) - 1:
        rows, back = np.unique(rows, return_inverse=True)
    asked = 0 if of_owner else plan.table_rows.get(table, 0)
    places = plan.free(table, maker.columns, maker.places(rows, asked))
    made = maker.make(places, key_of(plan.spec.seed, table, *maker.columns) >> 80)
    return made if back is None else {name: v.take(pa.array(back)) for name, v in made.items()}


def settles(family: Family, table: str) -> bool:
    """Return whether resolving links and repairing keys may change a table's columns."""
    structure = family[table]
    return bool(structure.repaired) or any(link.fixed for link in structure.resolved)


def link_of(model: TableModel, name: str) -> Link | None:
    """Return the link that fills a column: the first that does not find it filled."""
    structure = model.structure
    if name in structure.modelled:
        return None
    for link in structure.links:
        told = link.kind in {LinkKind.IMPLIED, LinkKind.RETURNED} or name in link.shared
        if not told and name in link.key.child_columns:
            return link
    return None
