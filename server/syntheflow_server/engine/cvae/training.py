"""Maximum likelihood with early stopping: keeps the best averaged weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from syntheflow_server.allocator import keep_freed_memory
from syntheflow_server.engine.cvae.adam import AdamW
from syntheflow_server.engine.cvae.network import TableNetwork
from syntheflow_server.engine.cvae.precision import device_of
from syntheflow_server.engine.cvae.recipe import Recipe
from syntheflow_server.engine.cvae.snapshots import (
    Keeper,
    Snapshot,
    chance,
    listed,
    restore,
    restore_chance,
    restore_state,
    state_of,
)

Rows = npt.NDArray[np.int64]
Inputs = Callable[[Rows], Any]

_CLIP = 1.0
_GIVEN_SHARE = 0.25
_EMA = 0.99
_REPORT_SECONDS = 0.3
_EVALUATION_CELLS = 1 << 16
_VALIDATION_ROWS = 20_000
_TIMED_STEPS = 5
_LOOKS = 4
_LOOK_COST = 0.4
_LOOK_SHARE = 0.05
_FEWEST_LOOKED_AT = 256
_COUNTERS = (
    "step", "steps", "looked", "best_loss", "validation", "worse", "stride", "shuffled"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where training stands; losses in nats a row, NaN before they are known."""

    fraction: float
    train_loss: float
    validation_loss: float
    rows_per_second: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training came to; the network holds the best averaged weights."""

    epochs: float
    steps: int
    validation_loss: float
    train_loss: float
    seconds: float
    stopped: str


def train(
    network: TableNetwork,
    codes: npt.NDArray[np.uint16],
    rows_train: Rows,
    rows_valid: Rows,
    *,
    context: nn.Module | None = None,
    inputs: Inputs | None = None,
    loss_mask: npt.NDArray[np.bool_] | None = None,
    columns: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
    deadline: float | None = None,
    threads: int = 0,
    report: Callable[[TrainingProgress], None] | None = None,
    recipe: Recipe | None = None,
    device: str = "cpu",
    keeper: Keeper | None = None,
) -> TrainingResult:
    """Fit `network` (and `context`) to rows `rows_train` of codes [n, T].

    `inputs(rows)` gives what `context` takes for those rows; `context(inputs)` returns
    the context [B, C], or a pair with extra nats [B] (a KL term) to be added to the
    loss. `loss_mask` [n, T] is True where a token counts. With `columns` [T], the number
    of each token's column (-1: never asked for), a share of the rows learns what follows
    from random columns:
    the network must have been made for `any_given`. `deadline` is a `time.monotonic`
    instant: the schedule shrinks to end there. `report` is called at
    least every 0.5 s and may raise to cancel. `device` is torch's name of one, "" a GPU
    where there is one; the weights come back to the CPU. With a `keeper` that holds a
    snapshot training goes on from there. Equal seed, machine, device and thread count
    give equal weights, interrupted or not.
    """
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    place = device_of(device)
    forked = [place] if place.type == "cuda" else []
    # As the default device it would cost the CPU a call into Python for each operation.
    default = nullcontext() if place.type == "cpu" else place
    with torch.random.fork_rng(devices=forked), default:
        torch.manual_seed(seed)
        run = _Run(network, codes, context, inputs, loss_mask, columns, place)
        plan = recipe or Recipe.of(len(rows_train))
        rng = np.random.default_rng(seed)
        course = _Course(run, rows_train, rows_valid, plan, rng, report or (lambda _: None))
        result = course.finish(deadline, keeper)
    for module in run.modules:
        module.to("cpu")
    return result


class _Run:
    """The modules under training, their data, and their averaged weights."""

    def __init__(
        self,
        network: TableNetwork,
        codes: npt.NDArray[np.uint16],
        context: nn.Module | None,
        inputs: Inputs | None,
        loss_mask: npt.NDArray[np.bool_] | None,
        columns: npt.NDArray[np.int64] | None,
        device: torch.device,
    ) -> None:
        self.network, self.context, self.inputs = network, context, inputs
        self.codes, self.loss_mask, self.columns = codes, loss_mask, columns
        self.modules = [network, *([context] if context is not None else [])]
        self.device = device
        for module in self.modules:
            module.to(device)
        self.parameters = [p for m in self.modules for p in m.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [p.data for p in self.parameters]
        self.average = [p.detach().clone() for p in self.parameters]
        self.best = [p.detach().clone() for p in self.parameters]

    def loss(
        self, rows: Rows, *, smooth: bool, chosen: npt.NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Return the mean nats a row, the first of them given the `chosen` tokens [c, T]."""
        codes = torch.as_tensor(self.codes[rows].astype(np.int64))
        given, extra = None, None
        if self.context is not None:
            assert self.inputs is not None
            given = self.context(self.inputs(rows))
            if isinstance(given, tuple):
                given, extra = given
        first = None if chosen is None else torch.as_tensor(chosen)
        nats = self.network.loss(codes, given, chosen=first, smooth=smooth)
        if self.loss_mask is not None:
            nats = nats * torch.as_tensor(self.loss_mask[rows])
        total = nats.sum() / len(rows)
        return total if extra is None else total + extra.mean()

    def choose(self, rows: int, rng: np.random.Generator) -> npt.NDArray[np.bool_] | None:
        """Return the tokens [c, T] of random columns, any number of them, for a share of `rows`."""
        if self.columns is None or self.columns.max(initial=-1) < 0:
            return None
        count = max(1, round(rows * _GIVEN_SHARE))
        share = rng.random((count, 1))
        chosen: npt.NDArray[np.bool_] = rng.random((count, int(self.columns.max()) + 1)) < share
        return chosen[:, self.columns] & (self.columns >= 0)

    def validate(self, rows: Rows, tick: Callable[[], None]) -> float:
        """Return the mean nats a row of the averaged weights; calls `tick` on the way."""
        self.swap()
        for module in self.modules:
            module.eval()
        total = 0.0
        with torch.no_grad():
            size = max(128, _EVALUATION_CELLS // max(1, self.codes.shape[1]))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                total += float(self.loss(part, smooth=False)) * len(part)
                tick()
        for module in self.modules:
            module.train()
        self.swap()
        return total / len(rows)

    def swap(self) -> None:
        """Exchange weights and averaged weights."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.data, average.data = average.data, parameter.data

    def keep(self) -> None:
        """Remember the averaged weights as the best so far."""
        for best, average in zip(self.best, self.average, strict=True):
            best.copy_(average)

    def load_best(self) -> None:
        """Put the best weights into the modules."""
        with torch.no_grad():
            for parameter, best in zip(self.parameters, self.best, strict=True):
                parameter.copy_(best)


def _optimizer(run: _Run, decay: float) -> AdamW:
    named = [pair for module in run.modules for pair in module.named_parameters()]
    learned = [(name, p) for name, p in named if p.requires_grad]
    # Biases hold the log marginals: shrinking them would flatten every distribution.
    matrices = [p for name, p in learned if "bias" not in name and p.dim() > 1]
    vectors = [p for name, p in learned if "bias" in name or p.dim() <= 1]
    return AdamW(matrices, vectors, decay)


class _Course:
    """One run through the rows: steps, evaluations, and when to stop."""

    def __init__(
        self,
        run: _Run,
        rows_train: Rows,
        rows_valid: Rows,
        recipe: Recipe,
        rng: np.random.Generator,
        report: Callable[[TrainingProgress], None],
    ) -> None:
        self.run, self.recipe, self.rng, self.report = run, recipe, rng, report
        self.rows_train = rows_train
        valid = rows_valid if len(rows_valid) else rows_train
        self.rows_valid = valid[:: -(-len(valid) // _VALIDATION_ROWS)]
        self.stride = 1
        self.epoch = recipe.steps_per_epoch(len(rows_train))
        self.planned = self.steps = recipe.steps(len(rows_train))
        self.optimizer = _optimizer(run, recipe.decay(len(rows_train)))
        self.shuffled = state_of(rng)
        self.order = rng.permutation(rows_train)
        self.step, self.looked, self.loss = 0, 0, torch.tensor(math.nan)
        self.warmed = math.nan
        self.began, self.reported = time.monotonic(), -math.inf
        self.best_loss, self.validation, self.worse = math.inf, math.nan, 0

    def finish(self, deadline: float | None, keeper: Keeper | None) -> TrainingResult:
        """Train to the end, load the best averaged weights, return what it came to."""
        if keeper is not None and (kept := keeper.last()) is not None:
            self._go_on_from(kept)
        most, stopped = self.recipe.evaluate_every(len(self.rows_train)), "finished"
        while self.step < self.steps:
            self._advance()
            self._tell()
            self._keep_to(deadline)
            every = min(most, max(_TIMED_STEPS, self.steps // _LOOKS))
            if self.step - self.looked >= every or self.step == self.steps:
                self._evaluate()
                self.looked = self.step
            if self.worse >= self.recipe.patience:
                stopped = "no progress"
                break
            if keeper is not None and keeper.due():
                keeper.keep(self._snapshot())
        if stopped == "finished" and self.steps < self.planned:
            stopped = "deadline"
        self.run.load_best()
        return TrainingResult(
            epochs=self.step / self.epoch,
            steps=self.step,
            validation_loss=self.best_loss,
            train_loss=float(self.loss),
            seconds=time.monotonic() - self.began,
            stopped=stopped,
        )

    def _keep_to(self, deadline: float | None) -> None:
        """Shrink the schedule so that it ends at the deadline, its last look included.

        A schedule cut short would leave the weights where the steps are still large.
        """
        now = time.monotonic()
        if self.step == 1:
            self.warmed = now  # the first step is slow: memory is taken, kernels are made
        if deadline is None:
            return
        left = deadline - now
        if self.step >= _TIMED_STEPS:
            seconds = (now - self.warmed) / (self.step - 1)
            look = seconds / self.recipe.batch * _LOOK_COST
            if not self.looked and seconds * (self.planned - self.step) > left:
                fewer = max(_FEWEST_LOOKED_AT, int(left * _LOOK_SHARE / look))
                self._look_at_one_in(-(-len(self.rows_valid) // fewer))
            left -= look * len(self.rows_valid)
            self.steps = min(self.planned, self.step + max(0, int(left / seconds)))
        elif left <= 0:
            self.steps = self.step

    def _look_at_one_in(self, stride: int) -> None:
        self.rows_valid = self.rows_valid[::stride]
        self.stride *= stride

    def _advance(self) -> None:
        """Make one step."""
        place, batch = self.step % self.epoch, self.recipe.batch
        if place == 0 and self.step:
            self.shuffled = state_of(self.rng)
            self.order = self.rng.permutation(self.rows_train)
        rate = self.recipe.rate_at(self.step, len(self.rows_train), self.steps)
        rows = self.order[place * batch : (place + 1) * batch]
        chosen = self.run.choose(len(rows), self.rng)
        loss = self.run.loss(rows, smooth=True, chosen=chosen)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.run.parameters, _CLIP)
        self.optimizer.step(rate)
        kept = min(_EMA, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.run.average, self.run.weights, 1 - kept)
        self.step += 1
        self.loss = loss.detach()

    def _evaluate(self) -> None:
        self.validation = self.run.validate(self.rows_valid, self._tell)
        self.worse = self.worse + 1 if self.validation >= self.best_loss else 0
        if self.validation < self.best_loss:
            self.best_loss = self.validation
            self.run.keep()

    def _snapshot(self) -> Snapshot:
        """Return all that the steps to come depend on."""
        facts = {name: getattr(self, name) for name in _COUNTERS} | {
            "loss": float(self.loss),
            "spent": time.monotonic() - self.began,
            "rng": state_of(self.rng),
        }
        tensors = chance(self.run.device)
        for name, held in self._held().items():
            tensors |= listed(name, held)
        return Snapshot(facts, tensors)

    def _held(self) -> dict[str, list[Tensor]]:
        run = self.run
        return {
            "weight": run.weights,
            "average": run.average,
            "best": run.best,
            "optimizer": self.optimizer.state,
        }

    def _go_on_from(self, kept: Snapshot) -> None:
        """Become what `_snapshot` was taken of."""
        for name, held in self._held().items():
            restore(kept, name, held)
        for name in _COUNTERS:
            setattr(self, name, kept.facts[name])
        stride, self.stride = self.stride, 1
        self._look_at_one_in(stride)
        # The order is as long as the table: it is shuffled again instead of being kept.
        restore_state(self.rng, self.shuffled)
        self.order = self.rng.permutation(self.rows_train)
        restore_state(self.rng, kept.facts["rng"])
        restore_chance(kept, self.run.device)
        self.loss = torch.tensor(kept.facts["loss"])
        self.began -= kept.facts["spent"]
        self.warmed = self.began

    def _tell(self) -> None:
        """Report, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self.reported < _REPORT_SECONDS:
            return
        self.reported, spent = now, now - self.began
        self.report(
            TrainingProgress(
                fraction=self.step / self.steps,
                train_loss=float(self.loss),
                validation_loss=self.validation,
                rows_per_second=self.step * self.recipe.batch / max(spent, 1e-9),
                eta_seconds=spent / max(self.step, 1) * (self.steps - self.step),
            )
        )
