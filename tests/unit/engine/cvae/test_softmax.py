"""The inversion of a softmax: exact in distribution, narrow and wide, shared and drawn again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.cvae.softmax import Softmax, redraw

ROWS = 200_000


def softmax(count: int, sharpness: float = 1.0) -> tuple[Softmax, torch.Tensor, np.ndarray]:
    """Return a softmax, three states' powers, and the probabilities that they stand for."""
    rng = torch.Generator().manual_seed(count)
    weight, bias = torch.randn(8, count, generator=rng), torch.randn(count, generator=rng) * 2
    state = torch.randn(3, 8, generator=rng)
    made = Softmax.of(weight, bias, compute_type(), sharpness)
    out = torch.empty(3, made.weight.shape[1], dtype=compute_type())
    wanted = torch.softmax((state @ weight + bias) * sharpness, dim=1)
    return made, made.powers(state.to(compute_type()), out), wanted.numpy()


@pytest.mark.parametrize("count", [1, 2, 48, 49, 64, 128, 200])
@pytest.mark.parametrize("sharpness", [1.0, 0.5])
def test_codes_come_as_often_as_their_probabilities_say(count: int, sharpness: float) -> None:
    made, powers, wanted = softmax(count, sharpness)
    uniforms = (torch.arange(ROWS) + 0.5) / ROWS
    for state in range(3):
        of = torch.full((ROWS,), state)
        drawn = made.draw(powers, uniforms, of).numpy()
        assert (np.diff(drawn) >= 0).all(), "a larger uniform gives no smaller code"
        share = np.bincount(drawn, minlength=count) / ROWS
        assert share.shape == (count,)
        assert np.abs(share - wanted[state]).max() < 0.01
        assert np.abs(share - wanted[state]).sum() < 0.05


@pytest.mark.parametrize("count", [5, 100])
def test_a_state_of_one_s_own_gives_what_a_shared_one_gives(count: int) -> None:
    made, powers, _ = softmax(count)
    of = torch.arange(3000) % 3
    uniforms = torch.rand(3000, generator=torch.Generator().manual_seed(1))
    alone = made.draw(powers.index_select(0, of), uniforms)
    assert torch.equal(alone, made.draw(powers, uniforms, of))


@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("rows", [6, 6000])
def test_the_ends_of_the_uniforms_give_codes(count: int, rows: int) -> None:
    made, powers, _ = softmax(count)
    last = float(np.nextafter(np.float32(1), np.float32(0)))
    ends = torch.tensor([0.0, last]).repeat(rows // 2)
    drawn = made.draw(powers, ends, torch.arange(rows) % 3)
    assert (drawn >= 0).all()
    assert (drawn < count).all()


def test_what_is_drawn_again_does_not_follow_from_what_was_drawn() -> None:
    uniforms = torch.from_numpy(np.random.default_rng(0).random(400_000, dtype=np.float32))
    refused = uniforms[(uniforms > 0.31) & (uniforms < 0.33)]
    weights = torch.tensor([[0.5, 0.0, 1.5, 2.0]]).expand(len(refused), -1)
    share = np.bincount(redraw(weights, refused).numpy(), minlength=4) / len(refused)
    assert np.abs(share - [0.125, 0, 0.375, 0.5]).max() < 0.02
