"""Codes from states: the inversion of a softmax in as few passes over memory as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

_LARGEST = 60.0
_NARROW = 48
_GROUP = 16
_FEW_ROWS = 1024
_BITS = 24
_ODD = 0x9E3779B1


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """The distribution of one token's `count` codes, given a state.

    A code's weight is `prior` [C] times exp(state @ `weight` [width, C]), its *power*; the
    product is never rounded together with the bias. Above 48 codes C is filled up with
    codes of no weight to groups of 16, and powers @ `groups` [C, 1 + C / 16] are a zero
    and each group's weight: for many rows a group is found first, then a code in it.
    """

    count: int
    weight: Tensor
    prior: Tensor
    groups: Tensor | None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, kind: torch.dtype, sharpness: float) -> Self:
        """Return the softmax of float32 weights and bias, logits times `sharpness`."""
        count = len(bias)
        spare = -count % _GROUP if count > _NARROW else 0
        prior = functional.pad(((bias - bias.max()) * sharpness).exp(), (0, spare))
        groups = None
        if count > _NARROW:
            group = torch.arange(len(prior)) // _GROUP
            one = functional.one_hot(group + 1).float()
            groups = (one * prior[:, None]).to(kind)
        wide = functional.pad(weight * sharpness, (0, spare))
        return cls(count, wide.to(kind).contiguous(), prior, groups)

    def powers(self, state: Tensor, out: Tensor) -> Tensor:
        """Return the powers [n, C] of states [n, width]."""
        return torch.mm(state, self.weight, out=out).clamp_(max=_LARGEST).exp_()

    def weights(self, powers: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the unnormalised probabilities [n, count] float32."""
        out = torch.empty(len(powers), self.count) if out is None else out
        return out.copy_(powers[:, : self.count]).mul_(self.prior[: self.count])

    def draw(self, powers: Tensor, uniforms: Tensor, of: Tensor | None = None) -> Tensor:
        """Return codes [n] for uniforms [n]; row i has the powers at `of[i]` (None: at i)."""
        if self.groups is None or len(uniforms) < _FEW_ROWS:
            return _invert(_rows(self.weights(powers).cumsum_(1), of), uniforms)
        reached = _rows((powers @ self.groups).float().cumsum_(1), of)
        target = (uniforms * reached[:, -1])[:, None]
        # The first is 0 and never above the target, so the place found is 1 at least.
        place = torch.searchsorted(reached, target, right=True).clamp_(max=reached.shape[1] - 1)
        high, group = reached.gather(1, place), place.sub_(1)
        low = reached.gather(1, group)
        group = group[:, 0]
        many = len(self.prior) // _GROUP
        lines = torch.arange(len(group)) if of is None else of
        within = powers.view(-1, _GROUP).index_select(0, lines * many + group).float()
        within.mul_(self.prior.view(many, _GROUP).index_select(0, group)).cumsum_(1)
        rest = ((target - low) / (high - low))[:, 0]
        return _invert(within, rest).add_(group, alpha=_GROUP).clamp_(max=self.count - 1)


def redraw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Return codes [n] for weights [n, K] of rows that were drawn with these uniforms already.

    The last bits of the uniforms decide, spread over [0, 1): what was drawn depends on the first.
    """
    places = ((uniforms * 2**_BITS).long() * _ODD) & 0xFFFFFFFF
    return _invert(weights.cumsum(1), (places >> (32 - _BITS)).float() / 2**_BITS)


def invert(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Return codes [n] for weights [n, K] and uniforms [n]; the weights are used up."""
    return _invert(weights.cumsum_(1), uniforms)


def _rows(values: Tensor, of: Tensor | None) -> Tensor:
    return values if of is None else values.index_select(0, of)


def _invert(reached: Tensor, uniforms: Tensor) -> Tensor:
    """Return for each row of cumulated weights [n, K] the first that is above its target."""
    target = (uniforms * reached[:, -1])[:, None]
    found = torch.searchsorted(reached, target, right=True)[:, 0]
    return found.clamp_(max=reached.shape[1] - 1)
