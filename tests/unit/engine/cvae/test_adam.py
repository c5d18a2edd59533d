"""The optimizer: torch's own arithmetic without its compiler."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from syntheflow_server.engine.cvae.adam import AdamW


def test_steps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(3)]
    ours, theirs = ([nn.Parameter(p.clone()) for p in start] for _ in range(2))
    mine = AdamW(ours[:1], ours[1:], 0.1)
    groups = [{"params": theirs[:1]}, {"params": theirs[1:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.98), weight_decay=0.1)
    for _ in range(5):
        gradients = [torch.randn_like(p) for p in start]
        for side in (ours, theirs):
            for parameter, gradient in zip(side, gradients, strict=True):
                parameter.grad = gradient.clone()
        mine.step(0.02)
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is None
        torch.testing.assert_close(one, other)


def test_training_does_not_load_the_compiler() -> None:
    script = """
import sys
import numpy as np
from syntheflow_server.engine.cvae import TableNetwork, train
from syntheflow_server.engine.encoding.base import Token

codes = np.zeros((64, 2), np.uint16)
network = TableNetwork.create([Token(2), Token(3)], [np.array([64, 0]), np.array([64, 0, 0])], 0)
train(network, codes, np.arange(48), np.arange(48, 64), threads=1)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
