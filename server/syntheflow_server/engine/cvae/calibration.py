"""Make drawn rows hold each code as often as the data do.

Maximum likelihood leaves each token's conditional a little off, and drawing token after
token adds it up. One look at drawn rows tells by how much the shares of single codes
are off; the output biases take the difference, as far as it is more than the chance of
the draw (empirical Bayes, as in James and Stein, 1961).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.network import TableNetwork
from syntheflow_server.engine.cvae.sampling import TableSampler

_ROWS = 50_000
_DOUBT = 1.0


def calibrate(
    network: TableNetwork, counts: Sequence[npt.NDArray[np.int64]], rng: np.random.Generator
) -> None:
    """Move the biases of a network without context so that it draws the shares of `counts`.

    `counts` has one array [K] a token. Makes 50,000 rows.
    """
    size = (_ROWS, len(network.shape.sizes))
    drawn = TableSampler(network).sample(rng.random(size, dtype=np.float32))
    for group, head in zip(network.groups, network.heads, strict=True):
        assert isinstance(head, Head)
        for row, member in enumerate(group.members):
            real = counts[member] / max(1, counts[member].sum()) * _ROWS + _DOUBT
            made = np.bincount(drawn[:, member], minlength=len(real)) + _DOUBT
            move = np.log(real / made)
            chance, share = 1 / made, real / real.sum()
            meant = max(0.0, float(share @ (move**2 - chance)))
            move *= meant / (meant + chance)
            with torch.no_grad():
                head.bias[row, : len(real)] += torch.from_numpy(move).float()
