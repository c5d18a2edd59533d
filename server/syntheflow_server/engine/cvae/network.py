"""The autoregressive decoder: a row is made token by token, each seeing all before it.

Token t's state is `h_t = b_t + [emb_1 .. emb_{t-1}] W_t (+ context)`, one residual
block of its own `h_t += C_t silu(A_t silu(h_t))`, and a softmax over its codes whose
bias starts at the log marginals. The prefix products of a block of tokens are one
matrix product; beyond `DIRECT_BLOCKS` blocks back a token sees earlier ones through a
running summary only, so that the cost grows with the number of tokens, not its square.

Given some tokens of a row (its *chosen* ones), the others are drawn in the same order,
each seeing the tokens before it and all chosen ones: those that come later through
weights of their own. Chosen tokens see the chosen ones before them. A network that is
trained on random choices so knows the conditional distribution given any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from syntheflow_server.engine.cvae.curves import PITCHES
from syntheflow_server.engine.cvae.heads import Head, HeadGroup, head_groups
from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.encoding.base import Token

BLOCK = 16
DIRECT_BLOCKS = 4
SUMMARY = 128
_WIDE = 50


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What fixes a network's parameters: codes a token, widths, size of the context.

    With `any_given` there are weights for later tokens too, which chosen ones need.
    """

    sizes: tuple[int, ...]
    embedding: int = 16
    width: int = 48
    context_width: int = 0
    direct_blocks: int = DIRECT_BLOCKS
    any_given: bool = False

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

    def ahead(self, end: int) -> int:
        """Return up to which token a block that ends at `end` sees later ones directly."""
        return min(len(self.sizes), end + self.direct_blocks * BLOCK)


def network_shape(
    tokens: Sequence[Token], context_width: int = 0, *, any_given: bool = False
) -> NetworkShape:
    """Return the shape that suits these tokens: narrower above 50 tokens."""
    sizes = tuple(token.size for token in tokens)
    shape = NetworkShape(sizes, context_width=context_width, any_given=any_given)
    return replace(shape, embedding=8, width=24) if len(sizes) > _WIDE else shape


class Prefix(nn.Module):
    """Linear maps from the embeddings of other tokens to the states of one block's tokens.

    `weight` and `far` are for tokens before each token, `late` and `far_late` for chosen
    ones after it; the far ones see what is too far away to be seen directly.
    """

    mask: Tensor
    late_mask: Tensor

    def __init__(self, shape: NetworkShape, seen: int, start: int, end: int) -> None:
        super().__init__()
        rows, columns = end - 1 - seen, end - start
        self.weight = nn.Parameter(
            torch.empty(rows * shape.embedding, columns * shape.width).normal_(
                std=(0.5 / max(1, end - seen)) ** 0.5
            )
        )
        own = torch.arange(start, end)[None, :]
        self.register_buffer(
            "mask", _spread(torch.arange(seen, end - 1)[:, None] < own, shape), persistent=False
        )
        self.far = nn.Parameter(torch.zeros(SUMMARY if seen else 0, columns * shape.width))
        ahead = shape.ahead(end)
        later = torch.arange(start + 1, ahead if shape.any_given else start + 1)[:, None] > own
        self.register_buffer("late_mask", _spread(later, shape), persistent=False)
        self.late = nn.Parameter(torch.zeros(self.late_mask.shape))
        beyond = shape.any_given and ahead < len(shape.sizes)
        self.far_late = nn.Parameter(torch.zeros(SUMMARY if beyond else 0, columns * shape.width))

    def earlier(self) -> Tensor:
        """Return the weights of earlier tokens, zero where a token would see itself or more."""
        return self.weight * self.mask

    def later(self) -> Tensor:
        """Return the weights of later tokens, zero where a token would see itself or less."""
        return self.late * self.late_mask


def _spread(sees: Tensor, shape: NetworkShape) -> Tensor:
    """Return who sees whom [a, b] as a mask over embeddings and states."""
    wide = sees.repeat_interleave(shape.embedding, 0)
    return wide.repeat_interleave(shape.width, 1).float()


class TableNetwork(nn.Module):
    """Distribution of rows of tokens, optionally given a context vector a row."""

    offsets: Tensor
    slots: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        count, width = len(shape.sizes), shape.width
        offsets = np.cumsum([0, *shape.sizes[:-1]]) if count else np.zeros(0)
        self.register_buffer("offsets", torch.from_numpy(offsets).long(), persistent=False)
        self.embedding = nn.Parameter(torch.randn(sum(shape.sizes), shape.embedding) * 0.6)
        self.curve = nn.Parameter(torch.randn(count, PITCHES, shape.embedding) * 0.6)
        self.slope = nn.Parameter(torch.randn(count, width, PITCHES) * 0.05)
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
        self.register_buffer("slots", _slots(self.groups, shape.sizes), persistent=False)

    @classmethod
    def create(
        cls,
        tokens: Sequence[Token],
        counts: Sequence[npt.NDArray[np.int64]],
        seed: int,
        *,
        context_width: int = 0,
        any_given: bool = False,
        shape: NetworkShape | None = None,
    ) -> Self:
        """Return a network that starts at the marginals `counts` (one array a token)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = cls(shape or network_shape(tokens, context_width, any_given=any_given))
            network._start(tokens, counts)
        return network

    def _start(self, tokens: Sequence[Token], counts: Sequence[npt.NDArray[np.int64]]) -> None:
        """Set what the data tell: log marginals, and which codes follow curves."""
        with torch.no_grad():
            for index, token in enumerate(tokens):
                if token.places is not None:
                    first = int(self.offsets[index])
                    placed = first + torch.from_numpy(np.flatnonzero(~np.isnan(token.places)))
                    self.embedding[placed] = 0
            for group, head in zip(self.groups, self._heads(), strict=True):
                for row, member in enumerate(group.members):
                    head.start(row, tokens[member], counts[member])

    def table(self) -> Tensor:
        """Return the embeddings [codes of all tokens, embedding]: curves and what stands out."""
        parts = [
            torch.bmm(head.curves().transpose(1, 2), self.curve[head.members]).flatten(0, 1)
            for head in self._heads()
        ]
        free = torch.cat([head.freedom.flatten() for head in self._heads()])[self.slots]
        smooth = torch.cat(parts)[self.slots]
        return torch.addcmul(smooth, self.embedding, free[:, None])

    def embed(self, codes: Tensor) -> Tensor:
        """Return the embeddings [B, T * embedding] of codes [B, T] long."""
        return functional.embedding(codes + self.offsets, self.table()).flatten(1)

    def states(self, codes: Tensor, context: Tensor | None, chosen: Tensor | None) -> Tensor:
        """Return each token's state [T, B, width] before its softmax.

        `chosen` [c, T] bool, c <= B, marks the chosen tokens of the first c rows; the
        other rows have none.
        """
        kind = compute_type()
        shape, batch = self.shape, len(codes)
        embedded = self.embed(codes).to(kind)
        weights = [prefix.earlier().to(kind) for prefix in self._prefixes()]
        h = self._reach(embedded, weights)
        if chosen is not None:
            given = self._given(embedded[: len(chosen)], weights, h[: len(chosen)], chosen)
            h = torch.cat([given, h[len(chosen) :]])
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

    def _reach(self, embedded: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Return what all tokens see of those before them [B, T * width]."""
        kind, size = embedded.dtype, self.shape.embedding
        summary = self._summaries(embedded) if self.has_summary else {}
        parts: list[Tensor] = []
        blocks = zip(self.shape.blocks, self._prefixes(), weights, strict=True)
        for (seen, _, _), prefix, weight in blocks:
            first = seen * size
            part = embedded[:, first : first + len(weight)] @ weight
            if seen:
                part = part + summary[seen // BLOCK] @ prefix.far.to(kind)
            parts.append(part)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def _given(
        self, embedded: Tensor, weights: Sequence[Tensor], all_before: Tensor, chosen: Tensor
    ) -> Tensor:
        """Return what the tokens of rows with chosen ones see [c, T * width].

        `all_before` is what they see of all earlier tokens, chosen or not.
        """
        shape, kind = self.shape, embedded.dtype
        known = embedded * chosen.repeat_interleave(shape.embedding, 1)
        before = self._reach(known, weights)
        parts: list[Tensor] = []
        for (_, start, end), prefix in zip(shape.blocks, self._prefixes(), strict=True):
            weight = prefix.later().to(kind)
            first = (start + 1) * shape.embedding
            part = known[:, first : first + len(weight)] @ weight
            if len(prefix.far_late):
                part = part + self.beyond(known, end) @ prefix.far_late.to(kind)
            parts.append(part)
        free = all_before + torch.cat(parts, dim=1)
        return torch.where(chosen.repeat_interleave(shape.width, 1), before, free)

    def beyond(self, known: Tensor, end: int) -> Tensor:
        """Return the summary [c, 128] of the chosen tokens that a block ending at `end` cannot see.

        `known` [c, T * embedding] are embeddings with zeros for tokens that are not chosen.
        """
        first = self.shape.ahead(end) * self.shape.embedding
        total = known[:, first:] @ self.summary[first:].to(known.dtype)
        return functional.silu(total.float()).to(known.dtype)

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

    def loss(
        self,
        codes: Tensor,
        context: Tensor | None = None,
        *,
        chosen: Tensor | None = None,
        smooth: bool = False,
    ) -> Tensor:
        """Return nats [B, T] of codes [B, T] long given context [B, C].

        In the first c rows the tokens `chosen` [c, T] bool come before all others.
        """
        if not self.shape.sizes:
            return torch.zeros(codes.shape)
        states = self.states(codes, context, chosen)
        columns = codes.T.contiguous()
        pieces = [head.loss(states, self.slope, columns, smooth=smooth) for head in self._heads()]
        order = torch.tensor([m for group in self.groups for m in group.members])
        return torch.cat(pieces)[order.argsort()].T

    def _heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]

    def _prefixes(self) -> list[Prefix]:
        return [prefix for prefix in self.prefixes if isinstance(prefix, Prefix)]


def _slots(groups: Sequence[HeadGroup], sizes: Sequence[int]) -> Tensor:
    """Return where each code of all tokens stands among the groups' padded codes."""
    start, slots = 0, [torch.empty(0, dtype=torch.long)] * len(sizes)
    for group in groups:
        for row, member in enumerate(group.members):
            slots[member] = start + row * group.width + torch.arange(sizes[member])
        start += len(group.members) * group.width
    return torch.cat(slots) if slots else torch.empty(0, dtype=torch.long)
