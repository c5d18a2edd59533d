"""What a training keeps of itself, so that one that was killed can go on where it was.

A snapshot is taken between two steps and holds all that the following steps depend on:
weights, averaged and best ones, the optimizer's moments, the states of the random
generators, and the counters. It holds no row and no value, and less than the finished
model could give away: weights and their moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """JSON facts and tensors by name."""

    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class Keeper(Protocol):
    """Keeps the last snapshot of one training."""

    def last(self) -> Snapshot | None:
        """Return what was kept before this training began; None to begin at the beginning."""
        ...

    def due(self) -> bool:
        """Return True if the last snapshot is old enough to be replaced."""
        ...

    def keep(self, snapshot: Snapshot) -> None:
        """Keep `snapshot` in place of the one before."""
        ...


def listed(prefix: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return copies of the tensors on the CPU by numbered name."""
    return {f"{prefix}.{i}": t.detach().to("cpu", copy=True) for i, t in enumerate(tensors)}


def restore(snapshot: Snapshot, prefix: str, tensors: Sequence[Tensor]) -> None:
    """Overwrite the tensors by those that `listed` named."""
    with torch.no_grad():
        for i, tensor in enumerate(tensors):
            tensor.copy_(snapshot.tensors[f"{prefix}.{i}"])


def chance(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators, that of the GPU in use among them."""
    states = {"chance.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["chance.cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_chance(snapshot: Snapshot, device: torch.device) -> None:
    """Put torch's generators into the states of the snapshot."""
    torch.set_rng_state(snapshot.tensors["chance.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(snapshot.tensors["chance.cuda"], device)


def state_of(rng: np.random.Generator) -> dict[str, Any]:
    """Return the generator's state as a JSON object."""
    return dict(rng.bit_generator.state)


def restore_state(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put the generator into a state that `state_of` gave."""
    rng.bit_generator.state = dict(state)
