"""Draws rows from a trained network: token by token, by inversion of the distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.network import (
    BLOCK,
    SUMMARY,
    NetworkShape,
    Prefix,
    TableNetwork,
)
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
        self._embedding = network.table().detach().to(kind).contiguous()
        self._bias = network.bias.detach().to(kind)
        self._context = network.context.detach().to(kind)
        self._summary = network.summary.detach().to(kind)
        self._inner = network.inner.detach().to(kind).contiguous()
        self._inner_bias = network.inner_bias.detach().to(kind)
        self._outer = network.outer.detach().to(kind).contiguous()
        self._prefix: list[Tensor] = []
        self._far: list[Tensor] = []
        self._late: list[tuple[Tensor, Tensor]] = []
        width, size = shape.width, shape.embedding
        for (seen, start, end), prefix in zip(shape.blocks, network.prefixes, strict=True):
            assert isinstance(prefix, Prefix)
            weight = prefix.earlier().detach().to(kind)
            for token in range(start, end):
                columns = slice((token - start) * width, (token - start + 1) * width)
                self._prefix.append(weight[: (token - seen) * size, columns].contiguous())
            self._far.append(prefix.far.detach().to(kind))
            late, far_late = prefix.later().detach(), prefix.far_late.detach()
            self._late.append((late.to(kind), far_late.to(kind)))
        self._heads: list[tuple[Tensor, Tensor]] = [None] * len(shape.sizes)  # type: ignore[list-item]
        for group, head in zip(network.groups, network.heads, strict=True):
            assert isinstance(head, Head)
            weights = head.weights(network.slope).detach().to(kind)
            for row, member in enumerate(group.members):
                count = shape.sizes[member]
                weight = weights[row, :, :count].contiguous()
                self._heads[member] = (weight, head.bias[row, :count].detach().float().clone())

    def sample(
        self,
        uniforms: npt.NDArray[np.float32],
        context: Tensor | None = None,
        given: Mapping[int, npt.NDArray[Any]] | None = None,
        restrict: Restrict | None = None,
        *,
        first: npt.NDArray[np.bool_] | None = None,
        temperature: float = 1.0,
    ) -> npt.NDArray[np.uint16]:
        """Return codes [n, T] for uniforms [n, T] in [0, 1).

        `context` is [n, C]; `given` fixes tokens to codes [n], where they are not
        negative; `restrict` may change the weights of a token before it is drawn (it must
        leave one above zero). Tokens that are marked in `first` [n, T] are settled before
        all others, from what is given and from each other alone; the others see them
        all. Without it the tokens come in order and see those before them. Logits are
        divided by `temperature`.
        """
        rows = len(uniforms)
        result = np.empty((rows, len(self.shape.sizes)), np.int64)
        if not self.shape.sizes:
            return result.astype(np.uint16)
        if first is not None and not self.shape.any_given:
            raise ValueError("this network was not trained to draw columns given others")
        with torch.inference_mode():
            space = _Space(min(rows, _BATCH), self.shape, self._kind)
            for start in range(0, rows, _BATCH):
                part = slice(start, min(start + _BATCH, rows))
                self._sample_batch(
                    _Batch(
                        part,
                        result[part],
                        torch.from_numpy(uniforms[part].astype(np.float32, copy=False)),
                        None if context is None else context[part].to(self._kind),
                        {token: codes[part] for token, codes in (given or {}).items()},
                        restrict,
                        None if first is None else first[part],
                        1 / temperature,
                    ),
                    space,
                )
        return result.astype(np.uint16)

    def _sample_batch(self, batch: _Batch, space: _Space) -> None:
        rows = len(batch.codes)
        embedded = space.embedded[:rows]
        if batch.first is None:
            self._settle(batch, embedded, None, space)
            return
        known = torch.zeros_like(embedded)
        batch.codes[:] = 0
        self._settle(batch, known, batch.first, space)
        # What was settled is given from here on.
        settled = np.where(batch.first, batch.codes, -1)
        given = {t: settled[:, t] for t in np.flatnonzero(batch.first.any(axis=0)).tolist()}
        rest = replace(batch, given={**batch.given, **given}, known=known)
        self._settle(rest, embedded, None, space)

    def _settle(
        self,
        batch: _Batch,
        embedded: Tensor,
        only: npt.NDArray[np.bool_] | None,
        space: _Space,
    ) -> None:
        """Fill in token by token the batch's codes and `embedded` [n, T * embedding].

        Where `only` [n, T] is false, codes and embeddings are zero.
        """
        shape, size = self.shape, self.shape.embedding
        running = torch.zeros(len(embedded) if shape.blocks[-1][0] else 0, SUMMARY)
        for block, (seen, start, end) in enumerate(shape.blocks):
            if seen:
                part = slice(seen * size - BLOCK * size, seen * size)
                running += (embedded[:, part] @ self._summary[part]).float()
            base = self._block_base(block, running, batch)
            for token in range(start, end):
                mine = None if only is None else only[:, token]
                if mine is not None and not mine.any():
                    continue
                columns = slice((token - start) * shape.width, (token - start + 1) * shape.width)
                before = embedded[:, seen * size : token * size]
                own = self._own(token, base[:, columns], before, batch, space)
                chosen = self._embedding[own + self._offsets[token]]
                if mine is not None:
                    made = torch.from_numpy(mine)
                    own, chosen = own * made, chosen * made[:, None]
                batch.codes[:, token] = own.numpy()
                embedded[:, token * size : (token + 1) * size] = chosen

    def _own(
        self, token: int, base: Tensor, before: Tensor, batch: _Batch, space: _Space
    ) -> Tensor:
        """Return the codes [n] of `token`: what is given, and else drawn."""
        given = batch.given.get(token)
        if given is None:
            return self._draw(token, base, before, batch, space)
        codes = given.astype(np.int64)
        if (codes < 0).any():
            drawn = self._draw(token, base, before, batch, space).numpy()
            codes = np.where(codes < 0, drawn, codes)
        return torch.from_numpy(codes)

    def _block_base(self, block: int, running: Tensor, batch: _Batch) -> Tensor:
        """Return what the block's states [n or 1, tokens * width] hold besides what they see."""
        seen, start, end = self.shape.blocks[block]
        base = self._bias[start:end].reshape(1, -1)
        if seen:
            base = torch.addmm(base, functional.silu(running).to(self._kind), self._far[block])
        if batch.context is not None:
            columns = slice(start * self.shape.width, end * self.shape.width)
            base = torch.addmm(base, batch.context, self._context[:, columns])
        if batch.known is not None:
            late, far_late = self._late[block]
            begin = (start + 1) * self.shape.embedding
            base = torch.addmm(base, batch.known[:, begin : begin + len(late)], late)
            if len(far_late):
                base = torch.addmm(base, self._beyond(batch.known, end), far_late)
        return base

    def _beyond(self, known: Tensor, end: int) -> Tensor:
        """Return what a block that ends at `end` hears of chosen tokens far behind it."""
        begin = self.shape.ahead(end) * self.shape.embedding
        total = (known[:, begin:] @ self._summary[begin:]).float()
        return functional.silu(total).to(self._kind)

    def _draw(
        self, token: int, base: Tensor, before: Tensor, batch: _Batch, space: _Space
    ) -> Tensor:
        """Return the codes [n] of `token`, given what was seen before it."""
        rows = len(batch.codes)
        h, inner = space.state[:rows], space.inner[:rows]
        if before.shape[1]:
            torch.addmm(base, before, self._prefix[token], out=h)
        else:
            h.copy_(base)
        _silu(h, out=inner)
        middle = torch.addmm(
            self._inner_bias[token], inner, self._inner[token], out=space.middle[:rows]
        )
        h.addmm_(_silu(middle, out=inner), self._outer[token])
        weight, bias = self._heads[token]
        count = weight.shape[1]
        product = space.product[: rows * count].view(rows, count)
        weights = space.weights[: rows * count].view(rows, count)
        torch.mm(_silu(h, out=inner), weight, out=product)
        # Adding float32 to bfloat16 in one step is twenty times slower than in two.
        weights.copy_(product).add_(bias)
        if batch.sharpness != 1:
            weights.mul_(batch.sharpness)
        weights.clamp_(max=_LARGEST).exp_()
        if batch.restrict is not None:
            batch.restrict(token, batch.rows, batch.codes, weights.numpy())
        cumulated = space.cumulated[: rows * count].view(rows, count)
        torch.cumsum(weights, dim=1, out=cumulated)
        target = (batch.uniforms[:, token] * cumulated[:, -1])[:, None]
        drawn = torch.searchsorted(cumulated, target, right=True)[:, 0]
        return drawn.clamp_(max=count - 1)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The part `rows` of a call: codes [b, T] to be filled, and what they depend on.

    `known` [b, T * embedding] are the embeddings of the tokens that were settled first,
    zero for the others.
    """

    rows: slice
    codes: npt.NDArray[np.int64]
    uniforms: Tensor
    context: Tensor | None
    given: Mapping[int, npt.NDArray[Any]]
    restrict: Restrict | None
    first: npt.NDArray[np.bool_] | None
    sharpness: float
    known: Tensor | None = None


class _Space:
    """Working memory of one call: fresh memory a step would cost more than the arithmetic."""

    def __init__(self, rows: int, shape: NetworkShape, kind: torch.dtype) -> None:
        widest = max(shape.sizes)
        self.embedded = torch.empty(rows, len(shape.sizes) * shape.embedding, dtype=kind)
        self.state = torch.empty(rows, shape.width, dtype=kind)
        self.inner = torch.empty_like(self.state)
        self.middle = torch.empty_like(self.state)
        self.product = torch.empty(rows * widest, dtype=kind)
        self.weights = torch.empty(rows * widest)
        self.cumulated = torch.empty(rows * widest)


def _silu(value: Tensor, *, out: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.silu.out(value, out=out)
    return result
