"""Calibration: drawn rows hold each code as often as the data, dependence is left alone."""

from __future__ import annotations

import numpy as np
import torch

from syntheflow_server.engine.cvae import TableNetwork, TableSampler
from syntheflow_server.engine.cvae.calibration import calibrate
from syntheflow_server.engine.encoding import Token

SIZES = (2, 5)
COUNTS = [np.array([700, 300]), np.array([400, 300, 200, 90, 10])]


def off_by_some() -> TableNetwork:
    net = TableNetwork.create([Token(size) for size in SIZES], COUNTS, 0)
    with torch.no_grad():
        for head in net.heads:
            head.weight.normal_(std=0.8, generator=torch.Generator().manual_seed(1))
    return net


def shares(net: TableNetwork) -> list[np.ndarray]:
    codes = TableSampler(net).sample(np.random.default_rng(9).random((60_000, 2), dtype=np.float32))
    return [np.bincount(codes[:, i], minlength=k) / len(codes) for i, k in enumerate(SIZES)]


def distance(net: TableNetwork) -> float:
    return max(
        np.abs(made - real / real.sum()).sum()
        for made, real in zip(shares(net), COUNTS, strict=True)
    )


def test_drawn_rows_hold_each_code_as_often_as_the_data() -> None:
    net = off_by_some()
    before = distance(net)
    calibrate(net, COUNTS, np.random.default_rng(0))
    assert before > 0.05
    assert distance(net) < before / 3


def test_equal_generators_give_equal_biases() -> None:
    nets = [off_by_some(), off_by_some()]
    for net in nets:
        calibrate(net, COUNTS, np.random.default_rng(3))
    assert all(
        torch.equal(a.bias, b.bias) for a, b in zip(nets[0].heads, nets[1].heads, strict=True)
    )
