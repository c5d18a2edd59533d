"""Make drawn rows hold each code as often as the data do.

Maximum likelihood leaves each token's conditional a little off, and drawing token after
token adds it up. One look at drawn rows tells by how much the shares of single codes
are off; the output biases take the difference. Rows held out become no less likely,
and a classifier tells drawn rows from real ones a little worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.network import TableNetwork
from syntheflow_server.engine.cvae.sampling import TableSampler

_ROWS = 20_000
_DOUBT = 5.0


def calibrate(
    network: TableNetwork, counts: Sequence[npt.NDArray[np.int64]], rng: np.random.Generator
) -> None:
    """Move the biases of a network without context so that it draws the shares of `counts`.

    `counts` has one array [K] a token. Codes that are drawn some five times in 20,000
    rows, or less, hardly move: what is known of them is chance.
    """
    size = (_ROWS, len(network.shape.sizes))
    drawn = TableSampler(network).sample(rng.random(size, dtype=np.float32))
    for group, head in zip(network.groups, network.heads, strict=True):
        assert isinstance(head, Head)
        for row, member in enumerate(group.members):
            real = counts[member] / max(1, counts[member].sum()) * _ROWS
            made = np.bincount(drawn[:, member], minlength=len(real))
            move = np.log((real + _DOUBT) / (made + _DOUBT))
            with torch.no_grad():
                head.bias[row, : len(real)] += torch.from_numpy(move).float()
