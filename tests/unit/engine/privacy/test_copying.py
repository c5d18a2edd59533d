"""The copying alarm: silent for a network that generalises, loud for one that copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from syntheflow_server.engine.cvae import TableNetwork, train
from syntheflow_server.engine.cvae.recipe import Recipe
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.privacy.copying import Copying, look_for_copying

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 12, (300, 8))
KIND = RNG.integers(0, 6, (3000, 1))
AGREEING = np.where(RNG.random((3000, 4)) < 0.7, KIND, RNG.integers(0, 6, (3000, 4)))


def learned(codes: np.ndarray, *, early: bool) -> Copying:
    """Learn half of the rows, keeping the weights that suit others (or themselves) best."""
    half = np.arange(len(codes) // 2)
    others = half + len(half)
    size = int(codes.max()) + 1
    counts = [np.bincount(column, minlength=size) for column in codes[half].T]
    network = TableNetwork.create([Token(size)] * codes.shape[1], counts, 1)
    recipe = Recipe(batch=16, epochs=20.0, rate=8e-3, forgetting=1000.0)
    train(
        network,
        codes.astype(np.uint16),
        half,
        others if early else half,
        recipe=recipe,
        threads=1,
    )
    return look_for_copying(
        lambda rows: network.loss(torch.from_numpy(codes[rows].astype(np.int64))), half, others
    )


def test_a_network_that_learns_by_heart_sounds_the_alarm():
    found = learned(NOISE, early=False)
    assert found.advantage > 0.8
    assert found.alarming


def test_stopping_early_on_other_rows_keeps_it_silent():
    assert not learned(AGREEING, early=True).alarming


def test_equal_losses_tell_nothing():
    assert Copying.of(np.ones(10), np.ones(30)).advantage == 0.5


@pytest.mark.parametrize(("rows", "alarming"), [(10, False), (1000, True)])
def test_few_rows_are_no_proof(rows, alarming):
    nats = np.random.default_rng(1).normal(size=(2, rows))
    assert Copying.of(nats[0] - 0.5, nats[1]).alarming is alarming
