"""The part of a call that a sampler works on, what holds for it, and its working memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.cvae.network import NetworkShape

Codes = npt.NDArray[np.int64]
Restrict = Callable[[int, slice, Codes, npt.NDArray[np.float32]], None]
"""`restrict(token, rows, codes, weights)`: multiplies or zeroes `weights` [b, K] in place.

`rows` is the slice of the call's rows that is being made, `codes` [b, T] holds their
tokens so far, `weights` the unnormalised probabilities of `token`.
"""


Told = Callable[[slice, Codes], Codes]
"""`told(rows, codes)`: a token's codes [b], negative where they are to be drawn; as `Restrict`."""

Given = npt.NDArray[Any] | Told


class Rules(Protocol):
    """Which codes do not go with the codes of earlier tokens."""

    def broken(self, token: int, codes: Codes, drawn: Codes) -> Codes:
        """Return the rows of codes [n, T] with which `drawn` [n] for `token` does not go."""

    def narrow(self, token: int, codes: Codes, weights: npt.NDArray[np.float32]) -> None:
        """Zero in weights [n, K] what does not go with codes [n, T], but never all of a row."""


def idle() -> None:
    """Do nothing between two tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The part `rows` of a call: codes [b, T] to be filled, and what they depend on.

    `uniforms` are [T, b]. `given` and `restrict` go by the token. `known` [b, T * embedding]
    are the embeddings of the tokens that were settled first, zero for the others.
    """

    rows: slice
    codes: Codes
    uniforms: Tensor
    context: Tensor | None
    given: Mapping[int, Given]
    restrict: Restrict | Mapping[int, Restrict] | None
    rules: Rules | None
    first: npt.NDArray[np.bool_] | None
    pause: Callable[[], None]
    known: Tensor | None = None

    def part(self, rows: slice) -> Batch:
        """Return these rows of a whole call."""
        return replace(
            self,
            rows=rows,
            codes=self.codes[rows],
            uniforms=self.uniforms[:, rows],
            context=None if self.context is None else self.context[rows],
            given={
                token: codes[rows] if isinstance(codes, np.ndarray) else codes
                for token, codes in self.given.items()
            },
            first=None if self.first is None else self.first[rows],
        )

    def told(self, token: int) -> Codes | None:
        """Return the codes [b] that are given for `token`, None if none are."""
        given = self.given.get(token)
        if given is None:
            return None
        if isinstance(given, np.ndarray):
            return given.astype(np.int64)
        return given(self.rows, self.codes)

    def hook(self, token: int) -> Restrict | None:
        """Return what may change the weights of `token`."""
        if isinstance(self.restrict, Mapping):
            return self.restrict.get(token)
        return self.restrict


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """Rows whose first `tokens` are drawn; row i begins as `embedded[of[i]]`.

    `embedded` [s, t * embedding] lacks the last token. `ahead[token][few[i]]` [width] is
    what a token to come sees of the first `known` numbers of row i's embeddings.
    """

    tokens: int
    of: Tensor
    embedded: Tensor
    known: int
    few: Tensor
    ahead: Mapping[int, Tensor]

    def part(self, rows: slice) -> Begun:
        """Return these rows."""
        return replace(self, of=self.of[rows], few=self.few[rows])


class Space:
    """Working memory of one call: fresh memory a step would cost more than the arithmetic."""

    def __init__(self, rows: int, shape: NetworkShape, kind: torch.dtype) -> None:
        self.embedded = torch.empty(rows, len(shape.sizes) * shape.embedding, dtype=kind)
        self.state = torch.empty(rows, shape.width, dtype=kind)
        self.inner = torch.empty_like(self.state)
        self.middle = torch.empty_like(self.state)
        self.weights = torch.empty(rows * max(shape.sizes))
        # A softmax is filled up to a multiple of 16.
        self.powers = torch.empty(rows * (max(shape.sizes) + 15), dtype=kind)
