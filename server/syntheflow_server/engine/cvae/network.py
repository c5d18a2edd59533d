"""The autoregressive decoder: a row is made token by token, each seeing all before it.

Token t's state is `h_t = b_t + [emb_1 .. emb_{t-1}] W_t (+ context)`, one residual
block of its own `h_t += C_t silu(A_t silu(h_t))`, and a softmax over its codes whose
bias starts at the log marginals. The prefix products of a block of tokens are one
matrix product; beyond `DIRECT_BLOCKS` blocks back a token sees earlier ones through a
running summary only, so that the cost grows with the number of tokens, not its square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from syntheflow_server.engine.cvae.heads import Head, head_groups
from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.encoding.base import Token

BLOCK = 16
DIRECT_BLOCKS = 4
SUMMARY = 128
_WIDE = 50


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What fixes a network's parameters: codes a token, widths, size of the context."""

    sizes: tuple[int, ...]
    embedding: int = 16
    width: int = 48
    context_width: int = 0
    direct_blocks: int = DIRECT_BLOCKS

    def to_json(self) -> dict[str, Any]:
        """Return the shape as a JSON object."""
        return asdict(self) | {"sizes": list(self.sizes)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the shape that `to_json` wrote."""
        return cls(**(dict(facts) | {"sizes": tuple(facts["sizes"])}))

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """(first directly seen token, first token, end) of each block of tokens."""
        return tuple(
            (max(0, start - self.direct_blocks * BLOCK), start, min(start + BLOCK, len(self.sizes)))
            for start in range(0, len(self.sizes), BLOCK)
        )


def network_shape(tokens: Sequence[Token], context_width: int = 0) -> NetworkShape:
    """Return the shape that suits these tokens: narrower above 50 tokens."""
    sizes = tuple(token.size for token in tokens)
    if len(sizes) > _WIDE:
        return NetworkShape(sizes, embedding=8, width=24, context_width=context_width)
    return NetworkShape(sizes, context_width=context_width)


class Prefix(nn.Module):
    """Linear map from the embeddings before each token of one block to the tokens' states."""

    mask: Tensor

    def __init__(self, shape: NetworkShape, seen: int, start: int, end: int) -> None:
        super().__init__()
        rows, columns = end - 1 - seen, end - start
        self.weight = nn.Parameter(
            torch.empty(rows * shape.embedding, columns * shape.width).normal_(
                std=(0.5 / max(1, end - seen)) ** 0.5
            )
        )
        earlier = torch.arange(seen, end - 1)[:, None] < torch.arange(start, end)[None, :]
        self.register_buffer(
            "mask",
            earlier.repeat_interleave(shape.embedding, 0).repeat_interleave(shape.width, 1).float(),
            persistent=False,
        )
        # What lies too far back to be seen directly.
        self.far = nn.Parameter(torch.zeros(SUMMARY if seen else 0, columns * shape.width))

    def masked(self) -> Tensor:
        """Return the weight with zeros where a token would see itself or a later one."""
        return self.weight * self.mask


class TableNetwork(nn.Module):
    """Distribution of rows of tokens, optionally given a context vector a row."""

    offsets: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        count, width = len(shape.sizes), shape.width
        offsets = np.cumsum([0, *shape.sizes[:-1]]) if count else np.zeros(0)
        self.register_buffer("offsets", torch.from_numpy(offsets).long(), persistent=False)
        self.embedding = nn.Parameter(torch.randn(sum(shape.sizes), shape.embedding) * 0.6)
        self.bias = nn.Parameter(torch.zeros(count, width))
        self.prefixes = nn.ModuleList(Prefix(shape, *block) for block in shape.blocks)
        self.has_summary = any(seen > 0 for seen, _, _ in shape.blocks)
        far = count * shape.embedding if self.has_summary else 0
        self.summary = nn.Parameter(torch.randn(far, SUMMARY) * (0.5 / max(1, count)) ** 0.5)
        scale = width**-0.5
        self.inner = nn.Parameter(torch.randn(count, width, width) * scale)
        self.inner_bias = nn.Parameter(torch.zeros(count, width))
        self.outer = nn.Parameter(torch.randn(count, width, width) * scale * 0.5)
        self.context = nn.Parameter(
            torch.randn(shape.context_width, count * width) * max(1, shape.context_width) ** -0.5
        )
        self.groups = head_groups(shape.sizes)
        self.heads = nn.ModuleList(Head(group, shape.sizes, width) for group in self.groups)

    @classmethod
    def create(
        cls,
        tokens: Sequence[Token],
        counts: Sequence[npt.NDArray[np.int64]],
        seed: int,
        *,
        context_width: int = 0,
        shape: NetworkShape | None = None,
    ) -> Self:
        """Return a network that starts at the marginals `counts` (one array a token)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = cls(shape or network_shape(tokens, context_width))
            network._start(tokens, counts)
        return network

    def _start(self, tokens: Sequence[Token], counts: Sequence[npt.NDArray[np.int64]]) -> None:
        """Set what the data tell: log marginals, and smooth features for ordered codes."""
        with torch.no_grad():
            for index, token in enumerate(tokens):
                first = int(self.offsets[index])
                smooth_start(self.embedding[first : first + token.size], token.places)
            for group, head in zip(self.groups, self.heads, strict=True):
                assert isinstance(head, Head)
                head.weight.normal_(std=0.05)
                for row, member in enumerate(group.members):
                    token = tokens[member]
                    if token.places is not None:
                        start = torch.randn(token.size, self.shape.width) * 0.6
                        smooth_start(start, token.places)
                        head.weight[row, :, : token.size] = start.T * 0.3
                    head.start(row, token, counts[member])

    def embed(self, codes: Tensor) -> Tensor:
        """Return the embeddings [B, T * embedding] of codes [B, T] long."""
        return functional.embedding(codes + self.offsets, self.embedding).flatten(1)

    def states(self, codes: Tensor, context: Tensor | None) -> Tensor:
        """Return each token's state [T, B, width] before its softmax."""
        kind = compute_type()
        shape, batch = self.shape, len(codes)
        seen_all = self.embed(codes).to(kind)
        summary = self._summaries(seen_all) if self.has_summary else None
        parts: list[Tensor] = []
        for (seen, _, _), prefix in zip(shape.blocks, self.prefixes, strict=True):
            assert isinstance(prefix, Prefix)
            rows = len(prefix.weight)
            first = seen * shape.embedding
            part = seen_all[:, first : first + rows] @ prefix.masked().to(kind)
            if seen and summary is not None:
                part = part + summary[seen // BLOCK] @ prefix.far.to(kind)
            parts.append(part)
        h = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        if context is not None:
            h = h + context.to(kind) @ self.context.to(kind)
        h = h + self.bias.flatten().to(kind)
        # One layout for all that follows: mixed ones make the element-wise steps ten times slower.
        h = h.view(batch, -1, shape.width).transpose(0, 1).contiguous()
        inner = torch.baddbmm(
            self.inner_bias[:, None].to(kind), functional.silu(h), self.inner.to(kind)
        )
        h = torch.baddbmm(h, functional.silu(inner), self.outer.to(kind))
        return functional.silu(h)

    def _summaries(self, embedded: Tensor) -> dict[int, Tensor]:
        """Return by block the summary [B, 128] of all tokens of earlier blocks."""
        step = BLOCK * self.shape.embedding
        weight = self.summary.to(embedded.dtype)
        running = torch.zeros(len(embedded), SUMMARY)
        result: dict[int, Tensor] = {}
        for block in range(len(self.shape.blocks) - self.shape.direct_blocks):
            if block:
                result[block] = functional.silu(running).to(embedded.dtype)
            part = slice(block * step, (block + 1) * step)
            running = running + (embedded[:, part] @ weight[part]).float()
        return result

    def loss(self, codes: Tensor, context: Tensor | None = None, *, smooth: bool = False) -> Tensor:
        """Return nats [B, T] of codes [B, T] long given context [B, C]."""
        if not self.shape.sizes:
            return torch.zeros(codes.shape)
        states = self.states(codes, context)
        columns = codes.T.contiguous()
        pieces = [head.loss(states, columns, smooth=smooth) for head in self._heads()]
        order = torch.tensor([m for group in self.groups for m in group.members])
        return torch.cat(pieces)[order.argsort()].T

    def _heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]


def smooth_start(rows: Tensor, places: npt.NDArray[np.float32] | None) -> None:
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
