"""The graph network that tells a row about its relatives, and the latent its siblings share.

One round of messages along foreign-key edges (owner, owner's owner, its rows in other
tables, previous sibling, the one before) with a linear map for each relation over the
embeddings of the relative's tokens, summed and passed through a residual block: GraphSAGE
(Hamilton et al., 2017) with relation-specific weights (R-GCN, Schlichtkrull et al., 2018).
The latent is a conditional variational autoencoder over the set of children (deep sets,
Zaheer et al., 2017): its posterior sees the pooled children, its prior only the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from syntheflow_server.engine.encoding.base import Token

_EMBEDDING = 12
_HIDDEN = 128
WIDTH = 64
LATENT = 8
NUMBERS = 7
"""Plain figures about a row's place among its siblings; see `place_numbers`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows stand among their siblings, all [B] float.

    `position` and `count` as numbers, `left` the remaining span in units (0 if unknown).
    """

    position: Tensor
    count: Tensor
    left: Tensor

    def numbers(self) -> Tensor:
        """Return NUMBERS figures a row [B, NUMBERS], all of the order of 1."""
        remaining = self.count - self.position
        return torch.stack(
            [
                self.position / self.count,
                torch.log1p(self.count) / 3,
                torch.log1p(self.position) / 3,
                torch.log1p(remaining) / 3,
                (self.position == 0).float(),
                (remaining == 1).float(),
                torch.log1p(self.left.clamp(min=0)) / 8,
            ],
            dim=1,
        )


@dataclass(frozen=True, slots=True)
class Kin:
    """What a batch of rows hears of its relatives.

    `owner` [B, To], `grand` [B, Tg], `beside` [B, S] what the owner's rows in other tables
    come to, and, for tables with history, `previous` and `second`
    [B, T] are token rows (long); `before` [B, 2] says which of the last two exist; `mean`
    [B, D] is the running mean of earlier siblings' points. `pooled` [B, D] is the mean over
    all siblings and `weight` [B] one over their number: both for training only.
    """

    owner: Tensor
    grand: Tensor | None
    place: Place
    beside: Tensor | None = None
    previous: Tensor | None = None
    second: Tensor | None = None
    before: Tensor | None = None
    mean: Tensor | None = None
    pooled: Tensor | None = None
    weight: Tensor | None = None


class _Tokens(nn.Module):
    """Embeddings of a table's token rows."""

    offsets: Tensor

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__()
        sizes = [token.size for token in tokens]
        starts = torch.tensor([0, *sizes]).cumsum(0)
        self.register_buffer("offsets", starts[:-1], persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(sizes), _EMBEDDING) * 0.6)
        with torch.no_grad():
            for token, start in zip(tokens, starts.tolist(), strict=False):
                _smooth_start(self.weight[start : start + token.size], token.places)
        # A relative without tokens still counts as one silent figure.
        self.width = max(1, len(sizes) * _EMBEDDING)

    def forward(self, codes: Tensor) -> Tensor:
        """Return [B, T * embedding] for codes [B, T]."""
        if not len(self.offsets):
            return torch.zeros(len(codes), 1, dtype=self.weight.dtype)
        return functional.embedding(codes + self.offsets, self.weight).flatten(1)


class RelativesNetwork(nn.Module):
    """Maps Kin to the context vector [B, WIDTH] of the row decoder."""

    def __init__(
        self,
        owner: Sequence[Token],
        grand: Sequence[Token] | None,
        own: Sequence[Token] | None,
        points: int,
        *,
        latent: bool,
        beside: int = 0,
    ) -> None:
        super().__init__()
        self.beside = beside
        self.history, self.latent = own is not None, latent
        self.owner_tokens = _Tokens(owner)
        self.from_owner = nn.Linear(self.owner_tokens.width, _HIDDEN)
        self.grand_tokens = _Tokens(grand) if grand is not None else None
        if self.grand_tokens is not None:
            self.from_grand = nn.Linear(self.grand_tokens.width, _HIDDEN)
        self.from_place = nn.Linear(NUMBERS, _HIDDEN)
        if beside:
            self.from_beside = nn.Linear(beside, _HIDDEN)
        if own is not None:
            self.own_tokens = _Tokens(own)
            self.from_previous = nn.Linear(self.own_tokens.width, _HIDDEN)
            self.from_second = nn.Linear(self.own_tokens.width, _HIDDEN)
            self.from_mean = nn.Linear(points, _HIDDEN)
        if latent:
            self.prior = nn.Sequential(nn.Linear(_HIDDEN, 64), nn.SiLU(), nn.Linear(64, 2 * LATENT))
            self.posterior = nn.Sequential(
                nn.Linear(_HIDDEN + points, 64), nn.SiLU(), nn.Linear(64, 2 * LATENT)
            )
            self.from_latent = nn.Linear(LATENT, _HIDDEN)
        self.inner = nn.Linear(_HIDDEN, _HIDDEN)
        self.outer = nn.Linear(_HIDDEN, WIDTH)
        self.skip = nn.Linear(_HIDDEN, WIDTH)

    def forward(self, kin: Kin) -> tuple[Tensor, Tensor]:
        """Return the context [B, WIDTH] and the latent's nats [B], spread over siblings."""
        owner = self.owner_message(kin.owner, kin.grand, kin.beside)
        nats = torch.zeros(len(owner))
        state = owner
        if self.latent:
            assert kin.pooled is not None
            assert kin.weight is not None
            mean, spread = self.prior(owner).chunk(2, dim=1)
            near, width = self.posterior(torch.cat([owner, kin.pooled], dim=1)).chunk(2, dim=1)
            spread, width = spread.clamp(-6, 4), width.clamp(-6, 4)
            drawn = near + torch.randn_like(near) * (0.5 * width).exp() if self.training else near
            ratio = (width - spread).exp() + (near - mean) ** 2 / spread.exp()
            nats = 0.5 * (ratio - 1 - width + spread).sum(dim=1) * kin.weight
            state = state + self.from_latent(drawn)
        return self.context(state, kin), nats

    def owner_message(self, owner: Tensor, grand: Tensor | None, beside: Tensor | None) -> Tensor:
        """Return what owners [B, To], their owners [B, Tg] and other children [B, S] tell."""
        message: Tensor = self.from_owner(self.owner_tokens(owner))
        if self.grand_tokens is not None:
            message = message + self.from_grand(self.grand_tokens(grand))
        if self.beside:
            assert beside is not None
            message = message + self.from_beside(beside.to(message.dtype))
        return message

    def draw_latent(self, message: Tensor, noise: Tensor) -> Tensor:
        """Return owners' messages with a latent from the prior added; noise [B, LATENT]."""
        if not self.latent:
            return message
        mean, spread = self.prior(message).chunk(2, dim=1)
        drawn = mean + noise.to(mean.dtype) * (0.5 * spread.clamp(-6, 4)).exp()
        shared: Tensor = self.from_latent(drawn)
        return message + shared

    def context(self, state: Tensor, kin: Kin) -> Tensor:
        """Return the context from the owner's state [B, hidden] and the siblings before."""
        h = state + self.from_place(kin.place.numbers().to(state.dtype))
        if self.history:
            assert kin.before is not None
            assert kin.mean is not None
            before = kin.before.to(state.dtype)
            h = h + self.from_previous(self.own_tokens(kin.previous)) * before[:, :1]
            h = h + self.from_second(self.own_tokens(kin.second)) * before[:, 1:]
            h = h + self.from_mean(kin.mean.to(state.dtype))
        context: Tensor = self.outer(functional.silu(self.inner(functional.silu(h))))
        context += self.skip(functional.silu(h))
        return context


def _smooth_start(rows: Tensor, places: npt.NDArray[np.float32] | None) -> None:
    """Overwrite `rows` [K, e] by cosine features of the codes' places, where they have one.

    Codes near each other in the order start near each other: without it a network must
    learn the order of 128 bins from scratch.
    """
    if places is None:
        return
    width = rows.shape[1]
    pitch = torch.randn(width) * 3
    pitch[: width // 4] *= 4
    phase = torch.rand(width) * 2 * torch.pi
    angle = torch.from_numpy(places)[:, None] * pitch * torch.pi + phase
    start = 0.6 * torch.cos(angle) + 0.1 * torch.randn(rows.shape)
    placed = torch.from_numpy(~np.isnan(places))[:, None]
    rows.copy_(torch.where(placed, start, rows))
