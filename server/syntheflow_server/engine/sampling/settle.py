"""Draw rows of which something is asked: by conditions, or by cells that are given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.cvae.batch import Restrict
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.structure import Sequence
from syntheflow_server.engine.layout import Piece, PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.relations.base import Relation
from syntheflow_server.engine.relations.cells import (
    Cells,
    NoRowError,
    is_ordered,
    limits,
    numbers_of,
)
from syntheflow_server.engine.relations.invert import in_order, push
from syntheflow_server.engine.relations.sheet import Sheet
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.choosing import Wish, choose, leads
from syntheflow_server.engine.sampling.demands import Demand, demands_of, share_classes
from syntheflow_server.engine.sampling.draw import tokens_of_keys, uniforms_of
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.guides import Guide, knows
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.spec import condition_error
from syntheflow_server.engine.sampling.steering import Steering
from syntheflow_server.engine.sampling.values import Values

Ints = npt.NDArray[np.int64]
_PILOT_ROWS = 4096
_TRIAL_ROWS = 64
_PILOT_UNIT = -1
_FAR = 1 << 62


def is_asked(plan: SamplePlan, table: str) -> bool:
    """Return whether conditions or given rows say anything of the table's rows."""
    return bool(plan.spec.conditions.get(table)) or table in plan.seeds


def check_demands(runtime: Runtime, plan: SamplePlan, table: str, beat: Beat) -> None:
    """Raise InvalidArgumentError if no row of the table meets the request's conditions."""
    model = runtime.table(table)
    demands = demands_of(model, plan.spec)
    for demand in demands:
        kind = PieceKind.COUNT if demand.rows_of else PieceKind.COLUMN
        piece = model.layout.find(kind, demand.column)
        if piece is not None and not knows(piece, demand.values).all():
            rule = "the model knows no such value; rows with values of your own can be given"
            rule = "the model knows no such number" if demand.rows_of else rule
            raise condition_error(table, demand.column, rule, rows_of=demand.rows_of)
        if piece is not None and not piece.tokens and not len(demand.values):
            _check_constant(table, piece, demand)
        sequence = model.structure.sequence
        if sequence and demand.column == sequence.order and not demand.rows_of:
            _check_order(runtime, table, sequence, demand)
    rows = min(_TRIAL_ROWS, plan.table_rows.get(table, _TRIAL_ROWS))
    if not demands or not rows:
        return
    frame = Frame(table, 0, 0, rows, np.zeros((rows, model.layout.size), np.uint16))
    settling = _Settling(runtime, plan, frame, beat, strict=True)
    try:
        settling.ask(demands)
        if model.structure.owner or model.structure.kept:
            settling.steering({})
        else:
            settling.run()
    except NoRowError as error:
        names = [demand.column for demand in demands]
        column = error.name if error.name in names else names[0]
        together = f" together with those on {', '.join(names)}" if len(names) > 1 else ""
        rule = f"no row that the model can make meets the condition{together}"
        counts = any(demand.rows_of and demand.column == column for demand in demands)
        raise condition_error(table, column, rule, rows_of=counts) from None


def _check_order(runtime: Runtime, table: str, sequence: Sequence, demand: Demand) -> None:
    """Raise InvalidArgumentError unless siblings can lie within the range."""
    owner = runtime.model.family.owner_of(table)
    first = runtime.piece(owner, PieceKind.FIRST, table)
    assert first.codec is not None
    if first.base:
        return  # it counts from a date of each owner's own
    low, high = _order_ends(demand, sequence)
    least, most = -_FAR, sequence.high
    if not first.base:  # else it is a distance from a column of the owner
        ends = np.array([int(end) for end in Guide.domain(first.codec)], np.int64)
        least, last = sequence.counted(ends).tolist()
        most = max(most, last)
    if low > most or high < least:
        rule = "the model knows no value in this range"
        raise condition_error(table, demand.column, rule, rows_of=demand.rows_of)


def _check_constant(table: str, piece: Piece, demand: Demand) -> None:
    """Raise InvalidArgumentError unless the one value of the piece is within the range."""
    assert piece.codec is not None
    value = combined(piece.codec.decode(np.zeros((1, 0), np.uint16), np.zeros((1, 0))))
    numbers, missing = numbers_of(value)
    if missing[0] or not demand.low <= numbers[0] <= demand.high:
        rule = "the model knows no value in this range"
        raise condition_error(table, demand.column, rule, rows_of=demand.rows_of)


def settle_root(runtime: Runtime, plan: SamplePlan, frame: Frame, beat: Beat) -> None:
    """Draw the tokens of a root table's rows as conditions and given cells want them.

    Given cells win over conditions, and over relations that they contradict.
    """
    settling = _Settling(runtime, plan, frame, beat, strict=False)
    if frame.table in plan.seeds:
        seeds = plan.seeds[frame.table].slice(frame.first_row, frame.rows)
        settling.give(seeds, fill_missing=plan.spec.fill_missing)
    settling.ask(demands_of(runtime.table(frame.table), plan.spec))
    settling.run()


def settle_known(
    runtime: Runtime, plan: SamplePlan, frame: Frame, rows: pa.Table | None, child: str, beat: Beat
) -> None:
    """Draw what is not known of a root table's `rows`; each has rows of the table `child`."""
    settling = _known(runtime, plan, frame, rows, child, beat)
    settling.run()
    frame.sheet = None  # what is known is put in as it is


def steer_known(
    runtime: Runtime, plan: SamplePlan, frame: Frame, rows: pa.Table | None, child: str, beat: Beat
) -> Steering:
    """Return what `rows` of an owned table settle; each has rows of the table `child`."""
    return _known(runtime, plan, frame, rows, child, beat).steering({})


def steer_owned(runtime: Runtime, plan: SamplePlan, frame: Frame, beat: Beat) -> Steering:
    """Return what the request's conditions ask of the rows of an owned table."""
    settling = _Settling(runtime, plan, frame, beat, strict=False)
    model = runtime.table(frame.table)
    demands = demands_of(model, plan.spec)
    settling.ask(demands)
    steering = settling.steering({})
    sequence = model.structure.sequence
    for demand in demands:
        if sequence and demand.column == sequence.order and not demand.rows_of:
            steering.order = _order_ends(demand, sequence)
    return steering


def _order_ends(demand: Demand, sequence: Sequence) -> tuple[int, int]:
    """Return the first and last number, as they are counted, of a demand on the order column."""
    ends = demand.low, demand.high
    if demand.fixed:
        ends = (numbers_of(demand.values)[0][0],) * 2
    none = limits(demand.values.type)
    counted = sequence.counted(np.array([0 if end in none else end for end in ends], np.int64))
    low = -_FAR if ends[0] == none[0] else int(counted[0])
    return low, _FAR if ends[1] == none[1] else int(counted[1])


def _known(
    runtime: Runtime, plan: SamplePlan, frame: Frame, rows: pa.Table | None, child: str, beat: Beat
) -> _Settling:
    settling = _Settling(runtime, plan, frame, beat, strict=False)
    if rows is not None:
        settling.give(rows, fill_missing=plan.spec.fill_missing)
    if child:
        settling.expect(child)
    stand = plan.stands.get(frame.table)
    if not child and stand is not None and not stand.silent:
        settling.ask(demands_of(runtime.table(frame.table), plan.spec))
    return settling


class _Settling:
    """One frame on its way from demands to tokens."""

    def __init__(
        self, runtime: Runtime, plan: SamplePlan, frame: Frame, beat: Beat, *, strict: bool
    ) -> None:
        self._runtime, self._plan, self._frame, self._beat = runtime, plan, frame, beat
        self._model = runtime.table(frame.table)
        self._strict = strict
        self._relations = in_order(
            relation for relation in self._model.relations if not _elsewhere(relation)
        )
        self._counts: dict[str, Cells] = {}
        self._references = self._model.structure.references
        self._sheet = Sheet(
            _kinds(self._model),
            frame.rows,
            lambda name: _domain(runtime, frame.table, name, beat),
            lambda name: _pilot(runtime, frame.table, name, beat),
            self._random,
            strict=strict,
        )

    def _random(self, name: str) -> npt.NDArray[np.float64]:
        frame = self._frame
        rng = generator(self._plan.spec.seed, frame.table, frame.unit, f"chosen {name}")
        return rng.random(frame.rows)

    def give(self, seeds: pa.Table, *, fill_missing: bool) -> None:
        """Take the cells of `seeds` [n] as known; with `fill_missing` not those that are null."""
        for name in seeds.column_names:
            cells, values = self._sheet[name], seeds.column(name).combine_chunks()
            known = np.ones(self._frame.rows, np.bool_)
            if fill_missing:
                known = values.is_valid().to_numpy(zero_copy_only=False)
                if pa.types.is_floating(values.type):
                    known = known & ~numbers_of(values)[1]
                cells.required = ~known
            cells.know(known, values)

    def ask(self, demands: tuple[Demand, ...]) -> None:
        """Take the conditions as demands on all cells that are not known."""
        rows = self._frame.rows
        everywhere = np.ones(rows, np.bool_)
        for demand in demands:
            if not demand.rows_of and demand.column in self._references:
                continue  # the plan says which parents are left
            cells = self._cells(demand)
            if demand.shares:
                self._share(demand)
            elif demand.fixed:
                cells.know(everywhere, demand.values.take(pa.array(np.zeros(rows, np.int64))))
            elif len(demand.values):
                cells.choose(np.zeros(rows, np.int64), [demand.values], strict=self._strict)
            else:
                cells.bound(~cells.known, np.full(rows, demand.low), np.full(rows, demand.high))

    def expect(self, child: str) -> None:
        """Take it that each row has rows of the owned table `child`."""
        cells = self._count_cells(child)
        most = limits(cells.values.type)[1]
        everywhere = np.ones(self._frame.rows, np.bool_)
        cells.bound(everywhere, np.ones(len(everywhere), np.int64), np.full(len(everywhere), most))

    def _cells(self, demand: Demand) -> Cells:
        return self._count_cells(demand.column) if demand.rows_of else self._sheet[demand.column]

    def _count_cells(self, child: str) -> Cells:
        if child not in self._counts:
            self._counts[child] = Cells.blank(child, pa.int64(), self._frame.rows)
        return self._counts[child]

    def _share(self, demand: Demand) -> None:
        frame, cells = self._frame, self._cells(demand)
        seed = self._plan.spec.seed
        which = share_classes(
            demand.shares, frame.rows, seed, frame.table, frame.unit, demand.column
        )
        rest = which == len(demand.values)
        values = demand.values.take(pa.array(np.where(rest, 0, which)))
        cells.shun(np.where(rest, 0, -1), [demand.values])
        cells.know(~rest, values)

    def run(self) -> None:
        """Fill in the frame's tokens, guides and sheet."""
        frame, sheet = self._frame, self._sheet
        while wanted := push(self._relations, sheet):
            self._draw(final=False)
            found = Frame(
                frame.table, frame.unit, frame.first_row, frame.rows, frame.codes,
                sheet=sheet, guides=frame.guides,
            )  # fmt: skip
            values = Values(self._runtime, self._plan, self._beat)
            for name, rows in wanted:
                sheet[name].know(rows, values.column(found, name))
                sheet[name].tilt = None
        self._draw(final=True)
        frame.sheet = sheet

    def _draw(self, *, final: bool) -> None:
        """Draw all tokens under the demands as they stand, with care if they are `final`."""
        frame, model = self._frame, self._model
        asked = self._plan.table_rows.get(frame.table, 0)
        seed = self._plan.spec.seed
        keys = tokens_of_keys(model, frame, seed, asked, self._plan) or {}
        settled = {token: codes.astype(np.int64) for token, codes in keys.items()}
        steering = self.steering(settled)
        frame.guides, frame.counts = steering.guides, steering.counts
        if frame.table in self._runtime.samplers and frame.rows:
            hook = steering.restrict(None, self._beat.restrict)
            self._fill(steering.given, steering.first, hook, final=final)

    def steering(self, settled: Mapping[int, Ints]) -> Steering:
        """Return what is asked of the frame's tokens as the cells stand."""
        return Steering.of(
            self._model.layout,
            self._sheet.cells,
            self._counts,
            self._frame.rows,
            settled,
            self._plan.chosen,
            strict=self._strict,
        )

    def _fill(
        self,
        given: Mapping[int, npt.NDArray[np.int64]],
        first: npt.NDArray[np.bool_],
        restrict: Restrict,
        *,
        final: bool,
    ) -> None:
        """Draw the frame's codes; `first` [n, T] come before the others."""
        frame, seed = self._frame, self._plan.spec.seed
        sampler, heat = self._runtime.samplers[frame.table], self._plan.spec.temperature
        chosen = None if leads(first) else first
        rules = self._model.rules.after(restrict, chosen)
        if chosen is None or not final:
            frame.codes = sampler.sample(
                uniforms_of(self._runtime, frame, seed),
                given=given,
                restrict=rules,
                first=chosen,
                temperature=heat,
                pause=self._beat,
            )
            return

        def uniforms(number: int) -> npt.NDArray[np.float32]:
            rng = generator(seed, frame.table, frame.unit, f"candidate {number}")
            return rng.random((frame.rows, first.shape[1] + 1), dtype=np.float32)

        frame.codes = choose(sampler, Wish(given, first, rules, heat), uniforms, self._beat)


def _elsewhere(relation: Relation) -> bool:
    """Return whether a relation reads rows that others refer to: nothing is carried there."""
    return any(ref.link for ref in relation.needs)


def _kinds(model: TableModel) -> Mapping[str, pa.DataType]:
    kinds = {column.name: column.arrow for column in model.table.columns}
    for relation in model.relations:
        kinds |= {column.name: column.arrow for column in relation.hidden}
    return kinds


def _pilot(runtime: Runtime, table: str, name: str, beat: Beat) -> pa.Array:
    """Return the column [4096] of rows that nothing is asked of; made once per process."""
    if table not in runtime.pilots:
        model = runtime.table(table)
        blank = np.zeros((_PILOT_ROWS, model.layout.size), np.uint16)
        frame = Frame(table, _PILOT_UNIT, 0, _PILOT_ROWS, blank)
        if table in runtime.samplers:
            frame.codes = runtime.samplers[table].sample(
                uniforms_of(runtime, frame, 0),
                given=tokens_of_keys(model, frame, 0, 0),
                restrict=beat.restrict,
            )
        runtime.pilots[table] = frame
    frame = runtime.pilots[table]
    return Values(runtime, SamplePlan.alone(table, frame.rows), beat).column(frame, name)


def _domain(runtime: Runtime, table: str, name: str, beat: Beat) -> tuple[float, float]:
    """Return the smallest and largest number that the column can take."""
    if (table, name) not in runtime.domains:
        piece = runtime.layout(table).find(PieceKind.COLUMN, name)
        if piece is not None and piece.codec is not None and piece.tokens:
            found = Guide.domain(piece.codec)
        else:
            values = _pilot(runtime, table, name, beat)
            found = (-np.inf, np.inf)
            if is_ordered(values.type):
                numbers, missing = numbers_of(values)
                if not missing.all():
                    present = numbers[~missing]
                    found = (float(present.min()), float(present.max()))
        runtime.domains[table, name] = found
    return runtime.domains[table, name]
