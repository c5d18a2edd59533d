"""Draw the tokens of a unit's rows: roots first, then their children, sibling by sibling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from syntheflow_server.engine.cvae.batch import Given, Restrict
from syntheflow_server.engine.cvae.light import MOST_ROWS
from syntheflow_server.engine.graph.context import LATENT, Kin, Place
from syntheflow_server.engine.graph.summary import summary
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.relations import Ref, told_by
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.ends import keeper_of, with_silent_row
from syntheflow_server.engine.sampling.follow import Follower, hinted_tokens
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.order import OrderKeeper
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator, key_of
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.spec import SampleSpec
from syntheflow_server.engine.sampling.steering import Steering
from syntheflow_server.engine.support import Keeper

Ints = npt.NDArray[np.int64]
_BATCH = 16_384
_SAMPLER_BATCH = 4096


def draw_root(
    runtime: Runtime,
    table: str,
    plan: SamplePlan,
    unit: int,
    place: tuple[int, int, int],
    beat: Beat,
) -> Frame:
    """Return the frame of a root table's block `unit`.

    `place` is its first row, its size and how many rows the request has of the table.
    """
    first_row, rows, asked = place
    spec = plan.spec
    blank = np.zeros((rows, runtime.layout(table).size), np.uint16)
    frame = Frame(table, unit, first_row, rows, blank)
    if table in runtime.samplers and rows:
        model = runtime.table(table)
        frame.codes = runtime.samplers[table].sample(
            uniforms_of(runtime, frame, spec.seed),
            given=tokens_of_keys(model, frame, spec.seed, asked, plan),
            temperature=spec.temperature,
            rules=model.rules,
            pause=beat,
        )
    return frame


def draw_children(
    runtime: Runtime,
    table: str,
    spec: SampleSpec,
    above: Frame,
    first_row: int,
    counts: Ints,
    beat: Beat,
    steering: Steering | None = None,
    elders: Sequence[Frame] = (),
) -> Frame:
    """Return the frame of the rows that the rows of `above` own; `counts` [owners].

    With `steering` what it asks of the rows holds. `elders` are the frames of the other
    tables that `above` owns and that are made before.
    """
    owner = np.repeat(np.arange(above.rows), counts)
    blank = np.zeros((len(owner), runtime.layout(table).size), np.uint16)
    frame = Frame(table, above.unit, first_row, len(owner), blank, above, owner)
    model = runtime.table(table)
    sequence = model.structure.sequence
    keeper = None
    if sequence and sequence.order and above.rows:
        ends = steering.order if steering is not None else None
        keeper = keeper_of(runtime, frame, spec.seed, counts, beat, ends)
        frame.order = keeper.values[:-1]
    elif sequence and sequence.order:
        frame.order = np.zeros(0, np.int64)
    if frame.rows and table in runtime.samplers:
        with torch.inference_mode():
            _Siblings(runtime, frame, spec, counts, keeper, beat, steering, elders).draw()
    if steering is not None:
        frame.guides, frame.counts = steering.guides, steering.counts
        if steering.order is not None and frame.order is not None:
            frame.order = np.clip(frame.order, *steering.order)
    return frame


def uniforms_of(runtime: Runtime, frame: Frame, seed: int) -> npt.NDArray[np.float32]:
    """Return the uniforms [n, T] that the frame's tokens are drawn with."""
    rng = generator(seed, frame.table, frame.unit, "tokens")
    size = (frame.rows, runtime.layout(frame.table).size)
    return rng.random(size, dtype=np.float32)


def tokens_of_keys(
    model: TableModel, frame: Frame, seed: int, asked: int, plan: SamplePlan | None = None
) -> dict[int, npt.NDArray[np.uint16]] | None:
    """Return the tokens of grid keys and of all that telling keys decide, by the row number.

    Rows beyond the real ones take the tokens of the real ones anew, from the first on.
    """
    grid, telling = set(model.structure.grid), set(model.structure.telling)
    values: dict[Ref, pa.Array] = {}
    for maker in model.makers:
        rows = maker.places(frame.row_numbers, asked)
        if plan is not None:
            rows = plan.free(frame.table, maker.columns, rows)
        if telling & set(maker.columns):
            rows = rows % max(model.structure.rows, 1)
        elif not grid & set(maker.columns):
            continue
        made = maker.make(rows, key_of(seed, frame.table, *maker.columns) >> 80)
        values |= {Ref(name): column for name, column in made.items()}
    for relation, name in told_by(model.relations, [Ref(name) for name in telling]):
        values[Ref(name)] = relation.derive(name, values)
    given: dict[int, npt.NDArray[np.uint16]] = {}
    for ref, column in values.items():
        piece = model.layout.find(PieceKind.COLUMN, ref.column)
        if piece is not None and piece.codec is not None:
            codes = piece.codec.encode(column)
            given |= {piece.start + i: codes[:, i] for i in range(codes.shape[1])}
    return given or None


class _Siblings:
    """Draws all children of one frame, one place after another where siblings matter.

    All arrays have one silent row more than the frame: large batches are filled up with it
    to few sizes, because the matrix library compiles bfloat16 code anew for every new size.
    Small ones are made in float32 (see `cvae/light.py`), by the network as it was trained.
    """

    def __init__(
        self,
        runtime: Runtime,
        frame: Frame,
        spec: SampleSpec,
        counts: Ints,
        keeper: OrderKeeper | None,
        beat: Beat,
        steering: Steering | None = None,
        elders: Sequence[Frame] = (),
    ) -> None:
        self.frame, self.keeper, self.beat = frame, keeper, beat
        self.steering = steering
        model = runtime.table(frame.table)
        self.net = runtime.relatives[frame.table]
        assert model.relatives is not None
        self.light = model.relatives
        self.sampler = runtime.samplers[frame.table]
        self.history, self.rules = model.history, model.rules
        self.uniforms = np.pad(uniforms_of(runtime, frame, spec.seed), ((0, 1), (0, 0)))
        self.temperature = spec.temperature
        self.state = self._owner_state(runtime, spec.seed, elders)
        self.codes = np.zeros((frame.rows + 1, model.layout.size), np.uint16)
        self.owner, self.position, self.count = with_silent_row(frame.owner, counts)
        rng = generator(spec.seed, frame.table, frame.unit, "follow")
        self.follower = Follower(model.layout, self.codes, self.position, rng)
        self.told: Mapping[int, Given] = {} if keeper is None else dict(keeper.given)
        self.told = {**self.told, **self._hinted(runtime)}
        self.hooks = self._hooks()

    def _hinted(self, runtime: Runtime) -> dict[int, Given]:
        """Return what tells the tokens of columns that the owners decide."""
        above, model = self.frame.above, runtime.table(self.frame.table)
        assert above is not None
        found = hinted_tokens(runtime.model.family, model, above, self.owner)

        def told(token: int, part: slice, codes: Ints) -> Ints:
            del codes
            return found[token][self.follower.rows[part]].astype(np.int64)

        return {token: partial(told, token) for token in found}

    def _owner_state(self, runtime: Runtime, seed: int, elders: Sequence[Frame]) -> Tensor:
        """Return each owner's message with the latent that its children share."""
        above = self.frame.above
        assert above is not None
        grand = above.owner_codes()
        noise = generator(seed, self.frame.table, self.frame.unit, "latent")
        draws = torch.from_numpy(noise.standard_normal((above.rows, LATENT), dtype=np.float32))
        told = [
            summary(runtime.table(elder.table).history, elder.codes, elder.owner, above.rows)
            for elder in elders
        ]
        message = self.net.owner_message(
            _long(above.codes),
            None if grand is None else _long(grand),
            torch.from_numpy(np.concatenate(told, axis=1)) if told else None,
        )
        return self.net.draw_latent(message, draws)

    def draw(self) -> None:
        """Fill the frame's codes."""
        if self.net.history:
            self._draw_by_place()
        else:
            for start in range(0, self.frame.rows, _BATCH):
                rows = self._filled(np.arange(start, min(start + _BATCH, self.frame.rows)))
                self._draw_rows(rows, Kin(self.state, None, self._place(rows)))
        self.frame.codes = self.codes[:-1]
        self.frame.followed = self.follower.columns()

    def _draw_by_place(self) -> None:
        position = self.position[:-1]
        by_place = np.argsort(position, kind="stable")
        ends = np.cumsum(np.bincount(position))
        sums = np.zeros((len(self.state), self.history.width), np.float32)
        start = 0
        for place, end in enumerate(ends.tolist()):
            drawn = by_place[start:end]
            start = end
            rows = self._filled(drawn)
            self._draw_rows(rows, self._kin(rows, place, sums))
            sums[self.owner[drawn]] += self.history.points(self.codes[drawn])

    def _filled(self, rows: Ints) -> Ints:
        """Return `rows` followed by the silent row, to a size that comes again."""
        rest = len(rows) % _SAMPLER_BATCH
        if rest <= MOST_ROWS:
            return rows
        power = 1 << (rest - 1).bit_length()
        size = power * 3 // 4 if rest <= power * 3 // 4 else power
        return np.concatenate([rows, np.full(size - rest, self.frame.rows)])

    def _kin(self, rows: Ints, place: int, sums: npt.NDArray[np.float32]) -> Kin:
        before = torch.zeros(len(rows), 2)
        before[:, 0], before[:, 1] = float(place > 0), float(place > 1)
        return Kin(
            owner=self.state,
            grand=None,
            place=self._place(rows),
            previous=_long(self.codes[np.maximum(rows - 1, 0)]),
            second=_long(self.codes[np.maximum(rows - 2, 0)]),
            before=before,
            mean=torch.from_numpy(sums[self.owner[rows]] / max(place, 1)),
        )

    def _place(self, rows: Ints) -> Place:
        left = np.zeros(len(rows))
        if self.keeper is not None and self.net.history:
            keeper = self.keeper
            base = keeper.sequence.base
            span = base(keeper.last[rows]) - base(keeper.previous(rows))
            left = span / keeper.sequence.unit
        return Place(
            torch.from_numpy(self.position[rows].astype(np.float32)),
            torch.from_numpy(self.count[rows].astype(np.float32)),
            torch.from_numpy(left.astype(np.float32)),
        )

    def _draw_rows(self, rows: Ints, kin: Kin) -> None:
        state = self.state[torch.from_numpy(self.owner[rows])]
        few = len(rows) <= MOST_ROWS
        context = self.light.context(state.float(), kin) if few else self.net.context(state, kin)
        if self.keeper is not None:
            self.keeper.rows = rows
        self.follower.rows = rows
        self.beat()
        given, first = self.told, None
        restrict: Restrict | Mapping[int, Restrict] = self.hooks
        rules: Keeper | None = self.rules
        if self.steering is not None:
            at = np.minimum(rows, self.frame.rows - 1)  # the silent row is nobody's
            given, first = self.steering.part(at)
            first = first if first.any() else None
            hook = self.steering.restrict(at, self._hook())
            restrict, rules = self.rules.after(hook, first), None
        self.codes[rows] = self.sampler.sample(
            self.uniforms[rows],
            context=context,
            given=given,
            first=first,
            restrict=restrict,
            temperature=self.temperature,
            rules=rules,
            pause=self.beat,
        )
        self.follower.learn(rows)

    def _hooks(self) -> dict[int, Restrict]:
        """Return what has a say in single tokens; all others have no restriction but rules."""
        ruled = self.rules.after(self.follower)
        found: dict[int, Restrict] = dict.fromkeys(self.follower.tokens, ruled)
        if self.keeper is not None:
            found |= dict.fromkeys(self.keeper.tokens, self.keeper)
        return found

    def _hook(self) -> Restrict | None:
        """Return what has a say in each token, None if nothing has."""
        keeper, follower = self.keeper, self.follower
        if follower.idle:
            return keeper
        if keeper is None:
            return follower

        def both(token: int, part: slice, codes: Ints, weights: npt.NDArray[np.float32]) -> None:
            keeper(token, part, codes, weights)
            follower(token, part, codes, weights)

        return both


def _long(codes: npt.NDArray[np.uint16]) -> Tensor:
    return torch.from_numpy(codes.astype(np.int64))
