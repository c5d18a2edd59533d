"""Draws rows from a trained network: token by token, by inversion of the distribution.

Rows that begin alike share their states: as long as there are fewer different beginnings
than half the rows, a state is computed once for each (few-valued tokens come first).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from syntheflow_server.engine.cvae.batch import (
    Batch,
    Begun,
    Codes,
    Given,
    Restrict,
    Rules,
    Space,
    idle,
)
from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.light import MOST_ROWS, Light
from syntheflow_server.engine.cvae.network import (
    BLOCK,
    SUMMARY,
    Prefix,
    TableNetwork,
)
from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.cvae.softmax import Softmax, invert, redraw

_BATCH = 4096
_FEWEST = 32
_FEW = 4
_MANY = 2048


class TableSampler:
    """A network prepared for drawing rows on one thread.

    A pure function of its arguments for a given number of rows: rows are made in
    batches of 4,096 in order.
    """

    def __init__(self, network: TableNetwork) -> None:
        self.shape = network.shape
        self._kind = compute_type()
        self._light: Light | None = None
        if network.shape.sizes:
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
        self._softmaxes: tuple[float, list[Softmax]] = (0.0, [])
        for group, head in zip(network.groups, network.heads, strict=True):
            assert isinstance(head, Head)
            weights = head.weights(network.slope).detach().float()
            for row, member in enumerate(group.members):
                count = shape.sizes[member]
                bias = head.bias[row, :count].detach().float().clone()
                self._heads[member] = (weights[row, :, :count].clone(), bias)
        if Light.suits(network):
            self._light = Light(network, self._heads)

    def sample(
        self,
        uniforms: npt.NDArray[np.float32],
        context: Tensor | None = None,
        given: Mapping[int, Given] | None = None,
        restrict: Restrict | Mapping[int, Restrict] | None = None,
        *,
        first: npt.NDArray[np.bool_] | None = None,
        temperature: float = 1.0,
        rules: Rules | None = None,
        pause: Callable[[], None] = idle,
    ) -> npt.NDArray[np.uint16]:
        """Return codes [n, T] for uniforms [n, T] in [0, 1).

        `context` is [n, C]; `given` fixes tokens to codes [n], where they are not
        negative, or to what a function makes of the tokens before; `restrict`, which may be
        told by token, may change the weights of a token before it is drawn (it must
        leave one above zero). Tokens that are marked in `first` [n, T] are settled before
        all others, from what is given and from each other alone; the others see them
        all. Without it the tokens come in order and see those before them. Logits are
        divided by `temperature`. `rules` hold for what is drawn without a restriction of its
        own; they are for calls without `first` and without a `restrict` for all tokens,
        where they are much cheaper than a restriction.
        `pause` is called between tokens.
        """
        rows = len(uniforms)
        # Column by column: all that looks at codes looks at a token of many rows.
        result = np.empty((len(self.shape.sizes), rows), np.int64).T
        if not self.shape.sizes:
            return result.astype(np.uint16)
        if first is not None and not self.shape.any_given:
            raise ValueError("this network was not trained to draw columns given others")
        if rules is not None and not (first is None and not callable(restrict)):
            raise ValueError("rules do not go with restrictions")
        whole = Batch(
            slice(0, rows),
            result,
            torch.from_numpy(np.ascontiguousarray(uniforms.T, np.float32)),
            None if context is None else context.to(self._kind),
            given or {},
            restrict,
            rules,
            first,
            pause,
        )
        with torch.inference_mode():
            self._sharpen(1 / temperature)
            space = Space(max(min(rows, _BATCH), _FEWEST), self.shape, self._kind)
            begun = None
            if rows >= _MANY and context is None and first is None and restrict is None:
                begun = self._begin(whole, space)
            for start in range(0, rows, _BATCH):
                part = slice(start, min(start + _BATCH, rows))
                self._sample_batch(whole.part(part), space, begun and begun.part(part))
        return result.astype(np.uint16)

    def _sharpen(self, sharpness: float) -> None:
        if self._softmaxes[0] != sharpness:
            made = [Softmax.of(*head, self._kind, sharpness) for head in self._heads]
            self._softmaxes = (sharpness, made)

    def _begin(self, batch: Batch, space: Space) -> Begun | None:
        """Draw the first tokens of all rows, a state for each different beginning."""
        shape, size = self.shape, self.shape.embedding
        rows = len(batch.codes)
        of, states = np.zeros(rows, np.int64), 1
        last = next((start for seen, start, _ in shape.blocks if seen), len(shape.sizes))
        embedded = torch.zeros(_filled(1), last * size, dtype=self._kind)
        few = (0, of, embedded)
        for token in range(last):
            seen = embedded[:, : token * size]
            own = self._shared(token, seen, torch.from_numpy(of), batch, space)
            batch.codes[:, token] = own
            key = of * shape.sizes[token] + own
            found = _distinct(key)
            if len(found) * 2 > rows or token + 1 == last:
                ahead = self._ahead(few[2], range(token + 1, last), few[0])
                shared, line = few[0] * size, torch.from_numpy(few[1])
                return Begun(token + 1, torch.from_numpy(of), seen, shared, line, ahead)
            parents, codes = np.divmod(found, shape.sizes[token])
            if len(found) > states:
                states, before = len(found), embedded
                numbers = np.empty(int(found[-1]) + 1, np.int64)
                numbers[found] = np.arange(states)
                of = numbers.take(key)
                embedded = torch.empty(_filled(states), last * size, dtype=self._kind)
                embedded[states:] = 0
                above = torch.from_numpy(parents)
                earlier = before[:, : token * size].index_select(0, above)
                embedded[:states, : token * size] = earlier
            made = self._embed(token, torch.from_numpy(codes))
            embedded[:states, token * size : (token + 1) * size] = made
            if states * _FEW <= rows:
                few = (token + 1, of, embedded)
        return None

    def _ahead(self, embedded: Tensor, tokens: range, begun: int) -> dict[int, Tensor]:
        """Return what each of `tokens` sees [s, width] of the first `begun` tokens."""
        seen = begun * self.shape.embedding
        return {
            token: torch.addmm(self._bias[token], embedded[:, :seen], self._prefix[token][:seen])
            for token in tokens
            if begun
        }

    def _shared(
        self, token: int, embedded: Tensor, of: Tensor, batch: Batch, space: Space
    ) -> Codes:
        """Return the codes [n] of `token` where row i begins as `embedded[of[i]]`."""

        def draw() -> Codes:
            if self.shape.sizes[token] == 1:
                return np.zeros(len(of), np.int64)
            softmax, base = self._softmaxes[1][token], self._bias[token][None]
            powers = torch.empty(len(embedded), softmax.weight.shape[1], dtype=self._kind)
            for start in range(0, len(embedded), len(space.state)):
                part = slice(start, start + len(space.state))
                state = self._state(token, base, embedded[part], space)
                softmax.powers(state, powers[part])
            return self._drawn(token, powers, of, batch, space)

        return self._own(token, batch, draw)

    def _embed(self, token: int, codes: Tensor) -> Tensor:
        return self._embedding.index_select(0, codes + self._offsets[token])

    def _sample_batch(self, batch: Batch, space: Space, begun: Begun | None) -> None:
        rows, size = len(batch.codes), self.shape.embedding
        if self._light and rows <= MOST_ROWS and batch.first is None and begun is None:
            self._light.fill(batch, self._softmaxes[0])
            return
        embedded = space.embedded[:rows]
        if batch.first is None:
            if begun is not None:
                shared = begun.embedded.shape[1]
                embedded[:, :shared] = begun.embedded.index_select(0, begun.of)
                for token in range(shared // size, begun.tokens):
                    codes = torch.from_numpy(batch.codes[:, token])
                    embedded[:, token * size : (token + 1) * size] = self._embed(token, codes)
            self._settle(batch, embedded, None, space, begun)
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
        batch: Batch,
        embedded: Tensor,
        only: npt.NDArray[np.bool_] | None,
        space: Space,
        begun: Begun | None = None,
    ) -> None:
        """Fill in token by token the batch's codes and `embedded` [n, T * embedding].

        Where `only` [n, T] is false, codes and embeddings are zero. What has
        `begun` is there already.
        """
        shape, size = self.shape, self.shape.embedding
        begin = 0 if begun is None else begun.tokens
        running = torch.zeros(len(embedded) if shape.blocks[-1][0] else 0, SUMMARY)
        for block, (seen, start, end) in enumerate(shape.blocks):
            if end <= begin:
                continue
            if seen:
                part = slice(seen * size - BLOCK * size, seen * size)
                running += (embedded[:, part] @ self._summary[part]).float()
            base = self._block_base(block, running, batch)
            for token in range(max(start, begin), end):
                mine = None if only is None else only[:, token]
                if mine is not None and not mine.any():
                    continue
                columns = slice((token - start) * shape.width, (token - start + 1) * shape.width)
                mean, known = base[:, columns], seen * size
                if begun is not None and token in begun.ahead:
                    mean, known = begun.ahead[token].index_select(0, begun.few), begun.known
                before = embedded[:, known : token * size]
                own = torch.from_numpy(self._alone(token, mean, before, batch, space))
                chosen = self._embed(token, own)
                if mine is not None:
                    made = torch.from_numpy(mine)
                    own, chosen = own * made, chosen * made[:, None]
                batch.codes[:, token] = own.numpy()
                embedded[:, token * size : (token + 1) * size] = chosen

    def _alone(self, token: int, base: Tensor, before: Tensor, batch: Batch, space: Space) -> Codes:
        """Return the codes [n] of `token` where each row has a state of its own."""

        def draw() -> Codes:
            if self.shape.sizes[token] == 1 and batch.hook(token) is None:
                return np.zeros(len(before), np.int64)
            state = self._state(token, base, before, space)
            softmax = self._softmaxes[1][token]
            shape = (len(state), softmax.weight.shape[1])
            powers = softmax.powers(state, space.powers[: shape[0] * shape[1]].view(shape))
            return self._drawn(token, powers, None, batch, space)

        return self._own(token, batch, draw)

    def _own(self, token: int, batch: Batch, draw: Callable[[], Codes]) -> Codes:
        """Return the codes [n] of `token`: what is given, and else drawn."""
        batch.pause()
        codes = batch.told(token)
        if codes is None:
            return draw()
        return np.where(codes < 0, draw(), codes) if (codes < 0).any() else codes

    def _drawn(
        self, token: int, powers: Tensor, of: Tensor | None, batch: Batch, space: Space
    ) -> Codes:
        """Return codes [n] drawn with the powers [s, C] of the rows' states, under all rules."""
        softmax, uniforms = self._softmaxes[1][token], batch.uniforms[token]
        if (hook := batch.hook(token)) is not None:
            shape = (len(powers), softmax.count)
            out = space.weights[: shape[0] * shape[1]].view(shape)
            weights = softmax.weights(powers, out)
            hook(token, batch.rows, batch.codes, weights.numpy())
            return _plain(invert(weights, uniforms))
        drawn = softmax.draw(powers, uniforms, of)
        if batch.rules is None:
            return _plain(drawn)
        broken = batch.rules.broken(token, batch.codes, drawn.numpy())
        if len(broken):
            rows = torch.from_numpy(broken)
            lines = rows if of is None else of.index_select(0, rows)
            weights = softmax.weights(powers.index_select(0, lines))
            batch.rules.narrow(token, batch.codes[broken], weights.numpy())
            drawn[rows] = redraw(weights, uniforms.index_select(0, rows))
        return _plain(drawn)

    def _block_base(self, block: int, running: Tensor, batch: Batch) -> Tensor:
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

    def _state(self, token: int, base: Tensor, before: Tensor, space: Space) -> Tensor:
        """Return the states [n, width] of `token`, given the tokens `before` it.

        `base` [n or 1, width] is what it sees besides these.
        """
        rows = len(before)
        h, inner = space.state[:rows], space.inner[:rows]
        if before.shape[1]:
            weight = self._prefix[token]
            torch.addmm(base, before, weight[len(weight) - before.shape[1] :], out=h)
        else:
            h.copy_(base)
        _silu(h, out=inner)
        middle = torch.addmm(
            self._inner_bias[token], inner, self._inner[token], out=space.middle[:rows]
        )
        h.addmm_(_silu(middle, out=inner), self._outer[token])
        return _silu(h, out=inner)


def _filled(states: int) -> int:
    """Return the next 1 or 1.5 times a power of two: a new size of a matrix costs its compiling."""
    power = 1 << (max(states, _FEWEST) - 1).bit_length()
    return power * 3 // 4 if states <= power * 3 // 4 else power


def _distinct(values: Codes) -> Codes:
    """Return the different values, ascending; at least one is there."""
    ordered = np.sort(values)
    found: Codes = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return found


def _plain(values: Tensor) -> Codes:
    result: Codes = values.numpy()
    return result


def _silu(value: Tensor, *, out: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.silu.out(value, out=out)
    return result
