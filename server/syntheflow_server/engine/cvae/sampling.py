"""Draws rows from a trained network: token by token, by inversion of the distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.network import BLOCK, SUMMARY, Prefix, TableNetwork
from syntheflow_server.engine.cvae.precision import compute_type

Restrict = Callable[[int, slice, npt.NDArray[np.int64], npt.NDArray[np.float32]], None]
"""`restrict(token, rows, codes, weights)`: multiplies or zeroes `weights` [b, K] in place.

`rows` is the slice of the call's rows that is being made, `codes` [b, T] holds their
tokens so far, `weights` the unnormalised probabilities of `token`.
"""

_BATCH = 4096
_LARGEST = 60.0


class TableSampler:
    """A network prepared for drawing rows on one thread.

    A pure function of its arguments for a given number of rows: rows are made in
    batches of 4,096 in order.
    """

    def __init__(self, network: TableNetwork) -> None:
        self.shape = network.shape
        self._kind = compute_type()
        with torch.no_grad():
            self._prepare(network)

    def _prepare(self, network: TableNetwork) -> None:
        kind, shape = self._kind, self.shape
        self._offsets = network.offsets.tolist()
        self._embedding = network.embedding.detach().to(kind).contiguous()
        self._bias = network.bias.detach().to(kind)
        self._context = network.context.detach().to(kind)
        self._summary = network.summary.detach().to(kind)
        self._inner = network.inner.detach().to(kind).contiguous()
        self._inner_bias = network.inner_bias.detach().to(kind)
        self._outer = network.outer.detach().to(kind).contiguous()
        self._prefix: list[Tensor] = []
        self._far: list[Tensor] = []
        width, size = shape.width, shape.embedding
        for (seen, start, end), prefix in zip(shape.blocks, network.prefixes, strict=True):
            assert isinstance(prefix, Prefix)
            weight = prefix.masked().detach().to(kind)
            for token in range(start, end):
                columns = slice((token - start) * width, (token - start + 1) * width)
                self._prefix.append(weight[: (token - seen) * size, columns].contiguous())
            self._far.append(prefix.far.detach().to(kind))
        self._heads: list[tuple[Tensor, Tensor]] = [None] * len(shape.sizes)  # type: ignore[list-item]
        for group, head in zip(network.groups, network.heads, strict=True):
            assert isinstance(head, Head)
            for row, member in enumerate(group.members):
                count = shape.sizes[member]
                weight = head.weight[row, :, :count].detach().to(kind).contiguous()
                self._heads[member] = (weight, head.bias[row, :count].detach().float().clone())

    def sample(
        self,
        uniforms: npt.NDArray[np.float32],
        context: Tensor | None = None,
        given: Mapping[int, npt.NDArray[Any]] | None = None,
        restrict: Restrict | None = None,
    ) -> npt.NDArray[np.uint16]:
        """Return codes [n, T] for uniforms [n, T] in [0, 1).

        `context` is [n, C]; `given` fixes tokens to codes [n]; `restrict` may change the
        weights of a token before it is drawn (it must leave one above zero).
        """
        rows = len(uniforms)
        result = np.empty((rows, len(self.shape.sizes)), np.int64)
        with torch.inference_mode():
            for start in range(0, rows, _BATCH):
                part = slice(start, min(start + _BATCH, rows))
                fixed = {t: codes[part] for t, codes in (given or {}).items()}
                self._sample_batch(
                    result[part],
                    torch.from_numpy(uniforms[part].astype(np.float32, copy=False)),
                    None if context is None else context[part].to(self._kind),
                    fixed,
                    None if restrict is None else (restrict, part),
                )
        return result.astype(np.uint16)

    def _sample_batch(
        self,
        codes: npt.NDArray[np.int64],
        uniforms: Tensor,
        context: Tensor | None,
        given: Mapping[int, npt.NDArray[Any]],
        restrict: tuple[Restrict, slice] | None,
    ) -> None:
        shape, size = self.shape, self.shape.embedding
        rows = len(codes)
        seen_all = torch.empty(rows, len(shape.sizes) * size, dtype=self._kind)
        running = torch.zeros(rows, SUMMARY)
        for block, (seen, start, end) in enumerate(shape.blocks):
            if seen:
                part = slice(seen * size - BLOCK * size, seen * size)
                running += (seen_all[:, part] @ self._summary[part]).float()
            base = self._block_base(block, running, context, rows)
            for token in range(start, end):
                if token in given:
                    own = torch.from_numpy(given[token].astype(np.int64))
                else:
                    h = base[:, (token - start) * shape.width :][:, : shape.width]
                    if token > seen:
                        before = seen_all[:, seen * size : token * size]
                        h = torch.addmm(h, before, self._prefix[token])
                    weights = self._weights(token, h)
                    if restrict is not None:
                        restrict[0](token, restrict[1], codes, weights.numpy())
                    own = _invert(weights, uniforms[:, token])
                codes[:, token] = own.numpy()
                embedded = self._embedding[own + self._offsets[token]]
                seen_all[:, token * size : (token + 1) * size] = embedded

    def _block_base(self, block: int, running: Tensor, context: Tensor | None, rows: int) -> Tensor:
        """Return what the block's states [n, tokens * width] hold besides what they see."""
        seen, start, end = self.shape.blocks[block]
        base = self._bias[start:end].reshape(1, -1)
        if seen:
            base = torch.addmm(base, functional.silu(running).to(self._kind), self._far[block])
        if context is not None:
            columns = slice(start * self.shape.width, end * self.shape.width)
            base = torch.addmm(base, context, self._context[:, columns])
        return base.expand(rows, -1)

    def _weights(self, token: int, h: Tensor) -> Tensor:
        """Return the unnormalised probabilities [n, K] of `token` for its states."""
        inner = torch.addmm(self._inner_bias[token], functional.silu(h), self._inner[token])
        functional.silu(inner, inplace=True)
        state = functional.silu(torch.addmm(h, inner, self._outer[token]), inplace=True)
        weight, bias = self._heads[token]
        return torch.add(state @ weight, bias).clamp_(max=_LARGEST).exp_()


def _invert(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Return for each row the code at share `uniforms` of its cumulated weights."""
    cumulated = weights.cumsum(dim=1)
    target = (uniforms * cumulated[:, -1])[:, None]
    drawn = torch.searchsorted(cumulated, target, right=True)[:, 0]
    return drawn.clamp_(max=weights.shape[1] - 1)
