"""Codes with a place in an order, as smooth curves: what is near in the order is alike.

A softmax over 128 bins has 128 weights for each direction of its state. Were they free,
a table of some thousand rows would teach them its noise. So the weights of ordered codes
are sums of cosines of the code's place in 0..1, high pitches with little amplitude, and
only codes that many rows hold, such as a spike at zero, may stand out on their own. The
same holds for the embeddings by which later tokens see a code. Measured on held-out rows
this is worth .3 to .6 nats a row on tables of 5,000 to 20,000 rows, as much as averaging
four networks, and changes nothing at 30,000.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.encoding.base import Token

PITCHES = 48
_FADING = 1.2
_ROWS_TO_BE_FREE = 1000.0


def curves(places: Tensor) -> Tensor:
    """Return cosines [..., 48, K] of places [..., K] in 0..1; zeros where a place is NaN."""
    pitch = torch.arange(1, PITCHES + 1, dtype=torch.float32, device=places.device)
    angle = torch.pi * pitch[:, None] * places.nan_to_num()[..., None, :]
    placed = ~places.isnan()[..., None, :]
    return torch.cos(angle) * placed / pitch[:, None] ** _FADING


def freedom(token: Token, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return how far each code [K] may stand out from the curves, in 0..1.

    A stretch of a continuum never does; a value of its own the more, the more rows hold
    it; codes without a place have nothing else.
    """
    if token.places is None:
        return np.ones(token.size, np.float32)
    free = np.sqrt(counts / (counts + _ROWS_TO_BE_FREE))
    if token.touching is not None:
        touching = token.touching.astype(bool)
        free[touching | np.append(False, touching[:-1])] = 0
    free[np.isnan(token.places)] = 1
    return free.astype(np.float32)
