"""The copying alarm: whether a network knows the rows it learned from better than others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.int64]

_MOST_ROWS = 4000
_PART = 1000
_ALARM = 0.55
_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Copying:
    """How well the loss of a row tells whether the network learned from it.

    `advantage` is the chance that a learned row is likelier to the network than one that
    was not learned (0.5: cannot be told; the AUC of the loss attack of Yeom et al., 2018);
    `deviation` is its standard error where nothing can be told.
    """

    advantage: float
    deviation: float

    @property
    def alarming(self) -> bool:
        """True if it lies above .55 beyond doubt: rows are being learned by heart."""
        return self.advantage - _DEVIATIONS * self.deviation > _ALARM

    @classmethod
    def of(cls, learned: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> Copying:
        """Return what the nats of `learned` rows and of `others` tell, at least one of each."""
        ordered = np.sort(learned)
        below = np.searchsorted(ordered, others, side="left")
        up_to = np.searchsorted(ordered, others, side="right")
        first, second = len(learned), len(others)
        advantage = float((below + up_to).sum()) / (2 * first * second)
        return cls(advantage, float(((first + second + 1) / (12 * first * second)) ** 0.5))


def look_for_copying(loss: Callable[[Rows], Tensor], learned: Rows, others: Rows) -> Copying:
    """Return how much better the network knows rows `learned` than `others`.

    `loss(rows)` returns nats [B, T] or [B]. At most 4,000 rows of each kind are looked at.
    """
    return Copying.of(_nats(loss, learned), _nats(loss, others))


def _nats(loss: Callable[[Rows], Tensor], rows: Rows) -> npt.NDArray[np.float64]:
    rows = rows[:: -(-len(rows) // _MOST_ROWS)]
    with torch.no_grad():
        parts = [loss(rows[i : i + _PART]) for i in range(0, len(rows), _PART)]
        nats: npt.NDArray[np.float64] = torch.cat(parts).flatten(1).sum(dim=1).double().numpy()
    return nats
