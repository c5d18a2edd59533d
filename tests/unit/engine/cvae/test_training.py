"""Training: it learns, stops, keeps time, reports and repeats itself."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import nn

from syntheflow_server.domain.errors import CancelledError
from syntheflow_server.engine.cvae import TableNetwork, TrainingProgress, train, training
from syntheflow_server.engine.encoding import Token

SIZES = (3, 4, 5)


def rows(count: int = 1500, seed: int = 0) -> np.ndarray:
    """Return codes whose last token follows from the first two."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 3, count), rng.integers(0, 4, count)
    third = np.where(rng.random(count) < 0.9, (first + second) % 5, rng.integers(0, 5, count))
    return np.stack([first, second, third], axis=1).astype(np.uint16)


def network(codes: np.ndarray, seed: int = 0, context_width: int = 0) -> TableNetwork:
    counts = [np.bincount(codes[:, i], minlength=size) for i, size in enumerate(SIZES)]
    tokens = [Token(size) for size in SIZES]
    return TableNetwork.create(tokens, counts, seed, context_width=context_width)


def split(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(codes) // 10, len(codes)), np.arange(len(codes) // 10)


def test_training_finds_what_the_rows_follow() -> None:
    codes = rows()
    net = network(codes)
    result = train(net, codes, *split(codes), seed=1)
    # Two uniform tokens, then a token that is certain in 92 % of rows.
    entropy = np.log(3) + np.log(4) + 0.92 * -np.log(0.92) + 0.08 * -np.log(0.02)
    assert result.validation_loss < entropy + 0.25
    assert result.epochs > 1


def test_equal_seeds_give_equal_weights() -> None:
    codes = rows(400)
    nets = []
    for _ in range(2):
        nets.append(network(codes))
        train(nets[-1], codes, *split(codes), seed=3, threads=1)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_stops_before_it_learns_the_rows_by_heart() -> None:
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 300) for size in SIZES], axis=1).astype(np.uint16)
    net = network(codes)
    result = train(net, codes, *split(codes), seed=0)
    fresh = rng.integers(0, SIZES, (2000, 3))
    with torch.no_grad():
        loss = float(net.loss(torch.from_numpy(fresh)).sum(dim=1).mean())
    assert result.stopped == "no progress"
    assert loss < sum(np.log(SIZES)) + 0.12


def test_the_deadline_ends_training_with_usable_weights() -> None:
    # So many rows that the time is over before the losses can level out.
    codes = rows(200_000)
    net = network(codes)
    began = time.monotonic()
    result = train(net, codes, *split(codes), deadline=began + 0.15)
    assert result.stopped == "deadline"
    assert 0 < result.steps < 2000
    assert time.monotonic() - began < 2
    assert np.isfinite(result.validation_loss)


def test_a_reporter_that_raises_cancels_training() -> None:
    def report(progress: TrainingProgress) -> None:
        assert 0 < progress.fraction <= 1
        raise CancelledError("stop", reason="CANCELLED")

    codes = rows(300)
    with pytest.raises(CancelledError):
        train(network(codes), codes, *split(codes), report=report)


def test_progress_is_reported_often() -> None:
    seen: list[tuple[float, TrainingProgress]] = []
    codes = rows(6000)
    train(network(codes), codes, *split(codes), report=lambda p: seen.append((time.monotonic(), p)))
    gaps = np.diff([when for when, _ in seen])
    assert len(seen) >= 1
    assert gaps.max(initial=0) < 0.9
    assert seen[-1][1].rows_per_second > 0


class Sign(nn.Module):
    """A context that knows the first token, and costs `extra` nats a row."""

    def __init__(self, extra: float) -> None:
        super().__init__()
        self.extra = extra
        self.linear = nn.Linear(3, 6)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear(inputs), torch.full((len(inputs),), self.extra)


def test_a_context_is_learned_with_the_network_and_its_own_loss_counts() -> None:
    codes = rows(1000)
    known = np.eye(3, dtype=np.float32)[codes[:, 0]]
    losses = []
    for extra in (0.0, 2.0):
        torch.manual_seed(0)
        context, net = Sign(extra), network(codes, context_width=6)
        start = context.linear.weight.detach().clone()
        losses.append(
            train(
                net,
                codes,
                *split(codes),
                context=context,
                inputs=lambda rows: torch.from_numpy(known[rows]),
            ).validation_loss
        )
        assert not torch.equal(start, context.linear.weight)
    # The first token is known from the context: about ln 3 cheaper than without.
    assert losses[0] < np.log(4) + 0.9
    assert abs(losses[1] - losses[0] - 2) < 0.05


def test_masked_tokens_do_not_count() -> None:
    codes = rows(500)
    mask = np.zeros(codes.shape, np.bool_)
    mask[:, 1] = True
    net = network(codes)
    result = train(net, codes, *split(codes), loss_mask=mask)
    assert result.validation_loss == pytest.approx(np.log(4), abs=0.1)


@pytest.mark.parametrize("count", [2, 5, 50])
def test_tables_of_few_rows_train(count: int) -> None:
    codes = rows(count)
    result = train(network(codes), codes, np.arange(1, count), np.arange(1))
    assert np.isfinite(result.validation_loss)


def test_everything_a_loss_needs_lies_on_the_device_of_the_training() -> None:
    # No tensor of the meta device mixes with one of the processor: it stands for a GPU here.
    codes, meta = rows(50), torch.device("meta")
    net, context = network(codes, context_width=6), Sign(0.5)
    mask = np.ones(codes.shape, np.bool_)

    def inputs(rows: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.zeros((len(rows), 3), np.float32))

    with meta:
        run = training._Run(net, codes, context, inputs, mask, None, meta)
        loss = run.loss(np.arange(50), smooth=False)
        loss.backward()
    assert loss.device == meta
    assert all(p.device == meta for p in run.parameters)


def test_a_device_may_be_named_and_weights_come_back() -> None:
    codes = rows(300)
    named, default = network(codes), network(codes)
    train(named, codes, *split(codes), device="cpu")
    train(default, codes, *split(codes))
    for one, other in zip(named.parameters(), default.parameters(), strict=True):
        assert one.device.type == "cpu"
        assert torch.equal(one, other)
