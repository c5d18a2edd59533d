"""Maximum likelihood with early stopping: keeps the best averaged weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from syntheflow_server.engine.cvae.network import TableNetwork
from syntheflow_server.engine.cvae.precision import keep_freed_memory

Rows = npt.NDArray[np.int64]
Inputs = Callable[[Rows], Any]

_RATE = 8e-3
_BETAS = (0.9, 0.98)
_DECAY = 0.01
_CLIP = 1.0
_EMA = 0.99
_WARM_UP = 0.1
_PATIENCE = 3
_REPORT_SECONDS = 0.3
_EVALUATION_ROWS = 4096


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings that depend on the number of training rows."""

    batch: int
    epochs: float
    rate: float

    @classmethod
    def of(cls, rows: int) -> Recipe:
        """Return the recipe for so many rows."""
        batch = 256 if rows >= 4096 else 128 if rows >= 1024 else 64
        steps = max(rows * 6, min(rows * 30, 40_000)) / batch
        if rows > 100_000:
            steps = max(300_000, rows * 2) / batch
        return cls(batch=min(batch, rows), epochs=steps * batch / rows, rate=_RATE)


def train(
    network: TableNetwork,
    codes: npt.NDArray[np.uint16],
    rows_train: Rows,
    rows_valid: Rows,
    *,
    context: nn.Module | None = None,
    inputs: Inputs | None = None,
    loss_mask: npt.NDArray[np.bool_] | None = None,
    seed: int = 0,
    deadline: float | None = None,
    threads: int = 0,
    report: Callable[[TrainingProgress], None] | None = None,
    recipe: Recipe | None = None,
) -> TrainingResult:
    """Fit `network` (and `context`) to rows `rows_train` of codes [n, T].

    `inputs(rows)` gives what `context` takes for those rows; `context(inputs)` returns
    the context [B, C], or a pair with extra nats [B] (a KL term) to be added to the
    loss. `loss_mask` [n, T] is True where a token counts. `deadline` is a
    `time.monotonic` instant. `report` is called at least every 0.5 s and may raise to
    cancel. Equal seed, machine and thread count give equal weights.
    """
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    run = _Run(network, codes, context, inputs, loss_mask)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _fit(
            run,
            rows_train,
            rows_valid,
            recipe or Recipe.of(len(rows_train)),
            np.random.default_rng(seed),
            deadline,
            report or (lambda _: None),
        )


class _Run:
    """The modules under training, their data, and their averaged weights."""

    def __init__(
        self,
        network: TableNetwork,
        codes: npt.NDArray[np.uint16],
        context: nn.Module | None,
        inputs: Inputs | None,
        loss_mask: npt.NDArray[np.bool_] | None,
    ) -> None:
        self.network, self.context, self.inputs = network, context, inputs
        self.codes, self.loss_mask = codes, loss_mask
        self.modules = [network, *([context] if context is not None else [])]
        self.parameters = [p for m in self.modules for p in m.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [p.data for p in self.parameters]
        self.average = [p.detach().clone() for p in self.parameters]
        self.best = [p.detach().clone() for p in self.parameters]

    def loss(self, rows: Rows, *, smooth: bool) -> Tensor:
        """Return the mean nats a row."""
        codes = torch.from_numpy(self.codes[rows].astype(np.int64))
        given, extra = None, None
        if self.context is not None:
            assert self.inputs is not None
            given = self.context(self.inputs(rows))
            if isinstance(given, tuple):
                given, extra = given
        nats = self.network.loss(codes, given, smooth=smooth)
        if self.loss_mask is not None:
            nats = nats * torch.from_numpy(self.loss_mask[rows])
        total = nats.sum() / len(rows)
        return total if extra is None else total + extra.mean()

    def validate(self, rows: Rows) -> float:
        """Return the mean nats a row of the averaged weights."""
        self.swap()
        for module in self.modules:
            module.eval()
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(rows), _EVALUATION_ROWS):
                part = rows[start : start + _EVALUATION_ROWS]
                total += float(self.loss(part, smooth=False)) * len(part)
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


def _optimizer(run: _Run, rate: float) -> torch.optim.Optimizer:
    named = [pair for module in run.modules for pair in module.named_parameters()]
    learned = [(name, p) for name, p in named if p.requires_grad]
    # Biases hold the log marginals: shrinking them would flatten every distribution.
    matrices = [p for name, p in learned if "bias" not in name and p.dim() > 1]
    vectors = [p for name, p in learned if "bias" in name or p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": _DECAY}]
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=rate, betas=_BETAS, fused=True)


def _rate_at(step: int, steps: int) -> float:
    warm = max(1, round(steps * _WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _fit(
    run: _Run,
    rows_train: Rows,
    rows_valid: Rows,
    recipe: Recipe,
    rng: np.random.Generator,
    deadline: float | None,
    report: Callable[[TrainingProgress], None],
) -> TrainingResult:
    began = time.monotonic()
    optimizer = _optimizer(run, recipe.rate)
    per_epoch = max(1, len(rows_train) // recipe.batch)
    steps = max(1, round(per_epoch * recipe.epochs))
    every = max(1, per_epoch // 2)
    best, worse, last_loss, validation = math.inf, 0, math.nan, math.nan
    stopped, step, reported = "finished", 0, -math.inf
    order = rng.permutation(rows_train)
    while step < steps:
        place = step % per_epoch
        if place == 0 and step:
            order = rng.permutation(rows_train)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _rate_at(step, steps)
        loss = run.loss(order[place * recipe.batch : (place + 1) * recipe.batch], smooth=True)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.parameters, _CLIP)
        optimizer.step()
        share = min(_EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(run.average, run.weights, 1 - share)
        step += 1
        now = time.monotonic()
        late = deadline is not None and now >= deadline
        if step % every == 0 or step == steps or late:
            validation = run.validate(rows_valid if len(rows_valid) else rows_train)
            worse = worse + 1 if validation >= best else 0
            if validation < best:
                best = validation
                run.keep()
        if now - reported > _REPORT_SECONDS:
            reported, last_loss = now, float(loss.detach())
            spent = now - began
            report(
                TrainingProgress(
                    fraction=step / steps,
                    train_loss=last_loss,
                    validation_loss=validation,
                    rows_per_second=step * recipe.batch / max(spent, 1e-9),
                    eta_seconds=spent / step * (steps - step),
                )
            )
        if late or worse >= _PATIENCE:
            stopped = "deadline" if late else "no progress"
            break
    run.load_best()
    return TrainingResult(
        epochs=step / per_epoch,
        steps=step,
        validation_loss=best,
        train_loss=last_loss,
        seconds=time.monotonic() - began,
        stopped=stopped,
    )
