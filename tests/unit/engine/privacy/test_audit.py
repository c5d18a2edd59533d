"""The audit: noise that is paid for withstands it, noise that is too small does not."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, fit
from syntheflow_server.engine.privacy.audit import epsilon_bound
from syntheflow_server.engine.privacy.ledger import Budget, Ledger

CANARIES = 2000


def bound_of_counts(sigma: float) -> float:
    """Each canary has a cell of its own: the strongest attack on a noisy count."""
    rng = np.random.default_rng(2)
    included = rng.random(CANARIES) < 0.5
    return epsilon_bound(included + rng.normal(0, sigma, CANARIES), included, 1e-6)


def test_guesses_by_chance_prove_nothing():
    rng = np.random.default_rng(1)
    assert epsilon_bound(rng.random(CANARIES), rng.random(CANARIES) < 0.5, 1e-6) == 0


def test_perfect_guesses_prove_much():
    included = np.random.default_rng(1).random(CANARIES) < 0.5
    assert epsilon_bound(included.astype(float), included, 0.0) > 5


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_the_ledgers_noise_withstands_the_attack_that_half_of_it_does_not(epsilon):
    ledger = Ledger(Budget.of(epsilon, 1e-6, 1000), entropy=7)
    sigma = 1 / math.sqrt(ledger.precision)
    proven = bound_of_counts(sigma)
    assert 0.2 * epsilon < proven <= epsilon
    assert bound_of_counts(sigma / 3) > epsilon


def world(seed: int, canaries: int = 300, rows: int = 1200):
    """Rows whose five columns agree, and canaries whose columns do not."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 12, rows)
    agreeing = np.stack([(kind + i) % 12 for i in range(5)], axis=1)
    odd = rng.integers(0, 12, (canaries, 5))
    included = rng.random(canaries) < 0.5
    data = np.concatenate([agreeing, odd[included]]).astype(str)
    data = data[rng.permutation(len(data))]
    names = [f"c{i}" for i in range(5)]
    columns = tuple(
        Column(name=n, type="string", semantic_type=SemanticType.CATEGORY) for n in names
    )
    schema = Schema(tables=(Table(name="t", columns=columns),))
    tables = {"t": MemoryTable(pa.table(dict(zip(names, data.T.tolist(), strict=True))))}
    return schema, tables, odd.astype(str), included


def bound_of_fit(epsilon: float | None) -> float:
    schema, tables, odd, included = world(3)
    settings = FitSettings(epsilon=epsilon, delta=1e-6, holdout_share=0.0, time_limit_seconds=2.0)
    model = fit(schema, tables, settings, lambda _: None).tables["t"]
    columns = {
        name: pa.array(odd[:, i].tolist()) for i, name in enumerate(schema.tables[0].column_names)
    }
    codes = np.concatenate([p.codec.encode(columns[p.name]) for p in model.layout.pieces], axis=1)
    with torch.no_grad():
        nats = model.network.loss(torch.from_numpy(codes.astype(np.int64))).sum(dim=1)
    return epsilon_bound(-nats.double().numpy(), included, 1e-6)


def test_a_private_fit_gives_no_canary_away_and_an_open_one_does():
    assert bound_of_fit(2.0) <= 2.0
    assert bound_of_fit(None) > bound_of_fit(2.0) + 0.2
