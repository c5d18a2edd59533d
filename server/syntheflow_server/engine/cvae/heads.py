"""The output layers: one softmax a token, computed together for tokens of similar size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from syntheflow_server.engine.cvae.curves import curves, freedom
from syntheflow_server.engine.encoding.base import Token

_WIDTHS = (4, 16, 48, 96, 136, 208, 264)
_OFF = -1e4
_NEIGHBOUR = 0.2


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Tokens `members` (ascending) whose logits are padded to `width`."""

    members: tuple[int, ...]
    width: int


def head_groups(sizes: Sequence[int]) -> tuple[HeadGroup, ...]:
    """Return the groups for tokens of these sizes."""
    by_width: dict[int, list[int]] = {}
    for index, size in enumerate(sizes):
        width = next((w for w in _WIDTHS if size <= w), 1 << (size - 1).bit_length())
        by_width.setdefault(width, []).append(index)
    return tuple(
        HeadGroup(tuple(members), max(sizes[i] for i in members))
        for _, members in sorted(by_width.items())
    )


class Head(nn.Module):
    """The codes of one group of m tokens, K at most: their logits and their embeddings.

    `weight` [m, width, K] and `bias` [m, K] give logits; `places` and `freedom` [m, K]
    say which codes follow curves and how far each may stand out (see `curves`).
    """

    members: Tensor
    places: Tensor
    freedom: Tensor
    below: Tensor
    above: Tensor

    def __init__(self, group: HeadGroup, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        count = len(group.members)
        self.weight = nn.Parameter(torch.zeros(count, width, group.width))
        bias = torch.full((count, group.width), _OFF)
        for row, member in enumerate(group.members):
            bias[row, : sizes[member]] = 0
        self.bias = nn.Parameter(bias)
        self.register_buffer("members", torch.tensor(group.members), persistent=False)
        shape = (count, group.width)
        self.register_buffer("places", torch.full(shape, torch.nan))
        self.register_buffer("freedom", torch.ones(shape))
        self._curves: Tensor | None = None
        self.register_buffer("below", torch.zeros(shape), persistent=False)
        self.register_buffer("above", torch.zeros(shape), persistent=False)

    def start(self, row: int, token: Token, counts: npt.NDArray[np.int64]) -> None:
        """Set token `row`'s bias to its log marginals and share probability with neighbours."""
        shares = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
        with torch.no_grad():
            self.bias[row, : token.size] = torch.from_numpy(np.log(shares)).float()
            self.freedom[row, : token.size] = torch.from_numpy(freedom(token, counts))
            if token.places is None:
                self.weight[row].normal_(std=0.05)
            else:
                self.places[row, : token.size] = torch.from_numpy(token.places)
            self._curves = None
        if token.touching is not None:
            above = torch.from_numpy(token.touching.astype(np.float32) * _NEIGHBOUR)
            self.above[row, : token.size] = above
            self.below[row, 1 : token.size] = above[:-1]

    def curves(self) -> Tensor:
        """Return the curves [m, 48, K] of the codes' places."""
        if self._curves is None or self._curves.device != self.places.device:
            self._curves = curves(self.places)
        return self._curves

    def weights(self, slopes: Tensor) -> Tensor:
        """Return the logits' weights [m, width, K]; slopes [T, width, 48] go by the curves."""
        return torch.baddbmm(
            self.weight * self.freedom[:, None], slopes[self.members], self.curves()
        )

    def forward(self, state: Tensor, slopes: Tensor) -> Tensor:
        """Return float32 logits [m, B, K] of state [T, B, width]."""
        product = torch.bmm(state[self.members], self.weights(slopes).to(state.dtype))
        return product.float() + self.bias[:, None, :]

    def loss(self, state: Tensor, slopes: Tensor, codes: Tensor, *, smooth: bool) -> Tensor:
        """Return nats [m, B] of codes [T, B] long.

        With `smooth` a code that touches its neighbours counts for itself with .6 and
        for each neighbour with .2.
        """
        logits = self(state, slopes)
        own = codes[self.members]
        if not smooth or not bool(self.above.any()):
            flat = functional.cross_entropy(logits.flatten(0, 1), own.flatten(), reduction="none")
            return flat.view_as(own)
        shares = functional.log_softmax(logits, dim=2)
        above, below = self.above.gather(1, own), self.below.gather(1, own)
        last = logits.shape[2] - 1
        picks = torch.stack([own, (own + 1).clamp(max=last), (own - 1).clamp(min=0)], dim=2)
        weights = torch.stack([1 - above - below, above, below], dim=2)
        return -(shares.gather(2, picks) * weights).sum(dim=2)
