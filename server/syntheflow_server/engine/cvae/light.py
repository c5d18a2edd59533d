"""Draws few rows: the same arithmetic as for many, with as little said to the machine as can be.

Siblings are made one after another, and few owners have many: most calls have some dozen
rows. There a step costs what it takes to ask for it. Products in float32 with biases as one
more column, and silu as `h + h * tanh(h)` of half the value, take a third of the calls, and
of the time, that the way for many rows takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.cvae.batch import Batch, Codes
from syntheflow_server.engine.cvae.network import Prefix, TableNetwork
from syntheflow_server.engine.cvae.softmax import redraw

Matrix = npt.NDArray[np.float32]

MOST_ROWS = 384
"""Above it bfloat16 products win what single steps cost, and their code for each new size."""

_LARGEST = 60.0
_HALF = np.float32(0.5)


class Light:
    """A network prepared for calls of at most `MOST_ROWS` rows.

    `heads` are the weights [width, K] and biases [K] of the tokens' logits.
    """

    def __init__(self, network: TableNetwork, heads: Sequence[tuple[Tensor, Tensor]]) -> None:
        shape = network.shape
        self._sizes, self._embedding = shape.sizes, shape.embedding
        self._begin = 1 + shape.context_width
        self._offsets = network.offsets.tolist()
        self._embedded = _matrix(network.table())
        self._before = _before(network)
        inner, bias = _matrix(network.inner), _matrix(network.inner_bias)
        self._inner = np.concatenate([inner, bias[:, None]], axis=1) * _HALF
        self._outer = _matrix(network.outer) * _HALF
        self._heads = [
            _matrix(torch.cat([weight, (bias - bias.max())[None]])) for weight, bias in heads
        ]

    @staticmethod
    def suits(network: TableNetwork) -> bool:
        """Return whether every token sees all those before it directly."""
        return not any(seen for seen, _, _ in network.shape.blocks)

    def fill(self, batch: Batch, sharpness: float) -> None:
        """Draw the batch's codes, logits times `sharpness`."""
        rows, width = len(batch.codes), self._outer.shape[1]
        seen = np.empty((rows, self._begin + len(self._sizes) * self._embedding), np.float32)
        seen[:, 0] = 1
        if batch.context is not None:
            seen[:, 1 : self._begin] = batch.context.float().numpy()
        # One column more than the states: the bias's.
        state = np.ones((rows, width + 1), np.float32)
        space = np.empty((3, rows, width), np.float32)
        end = self._begin
        for token in range(len(self._sizes)):
            batch.pause()
            known = batch.told(token)
            if known is None or (known < 0).any():
                drawn = self._drawn(token, seen[:, :end], state, space, batch, sharpness)
                known = drawn if known is None else np.where(known < 0, drawn, known)
            batch.codes[:, token] = known
            places = known + self._offsets[token]
            seen[:, end : end + self._embedding] = self._embedded.take(places, axis=0)
            end += self._embedding

    def _drawn(
        self,
        token: int,
        seen: Matrix,
        state: Matrix,
        space: Matrix,
        batch: Batch,
        sharpness: float,
    ) -> Codes:
        """Return codes [n] of `token` for rows that begin as `seen` [n, k]."""
        hook = batch.hook(token)
        if self._sizes[token] == 1 and hook is None:
            return np.zeros(len(seen), np.int64)
        h, middle, steep = space
        np.matmul(seen, self._before[token], out=h)
        _silu(h, steep, state[:, :-1])
        np.matmul(state, self._inner[token], out=middle)
        _silu(middle, steep, middle)
        h += np.matmul(middle, self._outer[token], out=steep)
        _silu(h, steep, state[:, :-1])
        weights: Matrix = state @ self._heads[token]
        if sharpness != 1:
            weights *= sharpness
        np.minimum(weights, _LARGEST, out=weights)
        np.exp(weights, out=weights)
        uniforms = batch.uniforms[token]
        if hook is not None:
            hook(token, batch.rows, batch.codes, weights)
            return _inverted(weights, uniforms.numpy())
        drawn = _inverted(weights, uniforms.numpy())
        if batch.rules is None:
            return drawn
        broken = batch.rules.broken(token, batch.codes, drawn)
        if len(broken):
            left = weights[broken]
            batch.rules.narrow(token, batch.codes[broken], left)
            places = torch.from_numpy(broken)
            drawn[broken] = redraw(torch.from_numpy(left), uniforms[places]).numpy()
        return drawn


def _before(network: TableNetwork) -> list[Matrix]:
    """Return each token's weights for (1, context, tokens before it), halved for `_silu`."""
    shape, width = network.shape, network.shape.width
    context, bias = _matrix(network.context), _matrix(network.bias)
    found: list[Matrix] = []
    for (_, start, end), prefix in zip(shape.blocks, network.prefixes, strict=True):
        assert isinstance(prefix, Prefix)
        weight = _matrix(prefix.earlier())
        for token in range(start, end):
            columns = slice((token - start) * width, (token - start + 1) * width)
            given = context[:, token * width : (token + 1) * width]
            own = weight[: token * shape.embedding, columns]
            found.append(np.concatenate([bias[token][None], given, own]) * _HALF)
    return found


def _silu(half: Matrix, space: Matrix, out: Matrix) -> None:
    """Write silu(2 * half) to `out`."""
    np.tanh(half, out=space)
    np.add(space, 1, out=space)
    np.multiply(space, half, out=out)


def _inverted(weights: Matrix, uniforms: Matrix) -> Codes:
    """Return for each row of weights [n, K] the code at its uniform."""
    reached = np.cumsum(weights, axis=1)
    target = uniforms * reached[:, -1]
    found: Codes = (reached <= target[:, None]).sum(axis=1)
    np.minimum(found, weights.shape[1] - 1, out=found)
    return found


def _matrix(values: Tensor) -> Matrix:
    result: Matrix = values.detach().float().cpu().numpy()
    return np.ascontiguousarray(result)
