"""Give a network the weights of another one for the tokens and codes that they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from syntheflow_server.engine.cvae.heads import Head
from syntheflow_server.engine.cvae.network import TableNetwork

Origin = tuple[int, npt.NDArray[np.int64]]
"""Of a new token: the old token (-1: none), and for each of its codes the old one (-1: none)."""

_BY_TOKEN = ("bias", "inner", "inner_bias", "outer")


def transfer(old: TableNetwork, new: TableNetwork, origins: Sequence[Origin]) -> bool:
    """Overwrite the weights of `new` by those of `old` where `origins` names what is the same.

    Returns False, without changing anything, where the networks are of different widths.
    Weights between tokens are taken over only where the tokens are the same in the same
    order; without them the others are of little use, so False is returned then, too.
    """
    widths = ("embedding", "width", "context_width", "direct_blocks", "any_given")
    if any(getattr(old.shape, name) != getattr(new.shape, name) for name in widths):
        return False
    if [token for token, _ in origins] != list(range(len(old.shape.sizes))):
        return False
    with torch.no_grad():
        for name, parameter in _between(new):
            parameter.copy_(old.get_parameter(name))
        for name in _BY_TOKEN:
            getattr(new, name).copy_(getattr(old, name))
        for token, (_, codes) in enumerate(origins):
            mine = np.flatnonzero(codes >= 0)
            theirs = torch.from_numpy(codes[mine])
            first, before = int(new.offsets[token]), int(old.offsets[token])
            new.embedding[first + torch.from_numpy(mine)] = old.embedding[before + theirs]
            own, other = _head(new, token), _head(old, token)
            for to, source in zip(own, other, strict=True):
                to[..., torch.from_numpy(mine)] = source[..., theirs]
    return True


def _between(network: TableNetwork) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters between tokens, whose shapes do not depend on numbers of codes."""
    single = {"embedding", *_BY_TOKEN}
    return [
        (name, parameter)
        for name, parameter in network.named_parameters()
        if name not in single and not name.startswith("heads.")
    ]


def _head(network: TableNetwork, token: int) -> tuple[Tensor, Tensor]:
    """Return views of the token's output weights [width, K] and biases [K]."""
    for group, head in zip(network.groups, network.heads, strict=True):
        if token in group.members:
            assert isinstance(head, Head)
            row = group.members.index(token)
            return head.weight[row], head.bias[row]
    raise KeyError(token)
