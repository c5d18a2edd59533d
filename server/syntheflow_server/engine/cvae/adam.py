"""AdamW without the compiler that `torch.optim` loads: two seconds and 150 MB a process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.98)
_TINY = 1e-8


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, 2019), one fused kernel a group.

    `decayed` shrink by `rate * decay` a step, `plain` do not.
    """

    def __init__(
        self, decayed: Sequence[nn.Parameter], plain: Sequence[nn.Parameter], decay: float
    ) -> None:
        self._groups = [_Group(list(decayed), decay), _Group(list(plain), 0.0)]

    @property
    def state(self) -> list[Tensor]:
        """All that the next step depends on besides parameters and gradients, in fixed order."""
        return [
            tensor
            for group in self._groups
            for part in (group.means, group.squares, group.steps)
            for tensor in part
        ]

    def step(self, rate: float) -> None:
        """Move all parameters that have a gradient, and forget the gradients."""
        with torch.no_grad():
            for group in self._groups:
                group.step(rate)


class _Group:
    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]
        self.steps = [torch.zeros(()) for _ in parameters]

    def step(self, rate: float) -> None:
        held = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if not held:
            return

        def of(values: Sequence[Tensor]) -> list[Tensor]:
            return [values[i] for i in held]

        steps = of(self.steps)
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            of(self.parameters),
            [p.grad for i in held if (p := self.parameters[i]).grad is not None],
            of(self.means),
            of(self.squares),
            [],
            steps,
            lr=rate,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            weight_decay=self.decay,
            eps=_TINY,
            amsgrad=False,
            maximize=False,
        )
        for parameter in self.parameters:
            parameter.grad = None
