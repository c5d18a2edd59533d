"""From codes to a network: noisy distributions, rows made of them, a network trained on those."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.cvae import TableNetwork, TrainingProgress, train
from syntheflow_server.engine.layout import Layout
from syntheflow_server.engine.privacy.chain import fit_chain, make_rows, shares_of
from syntheflow_server.engine.privacy.ledger import Account
from syntheflow_server.engine.privacy.marginals import measure
from syntheflow_server.engine.settings import FitSettings

_CHAIN_ROWS = 20_000
_MADE_ROWS = 60_000
_VALIDATION_SHARE = 0.06
_CHAIN_PART = 0.6


@dataclass(frozen=True, slots=True)
class Learned:
    """A network (None without tokens), its epochs over the rows made for it, and its seconds.

    `seconds` begins when the data have been seen: reading takes the longer the more rows.
    """

    network: TableNetwork | None
    epochs: float
    seconds: float


def learn(
    codes: npt.NDArray[np.uint16],
    layout: Layout,
    rows: float,
    shares: tuple[float, float],
    ledger: Account,
    settings: FitSettings,
    deadline: float | None,
    tick: Callable[[float], None],
) -> Learned:
    """Return a network for the real `codes` [n, T], of which only noisy counts are used.

    `shares` are the precisions for single tokens and for choosing pairs; pairs get what
    the ledger has left. What follows the counts sees no data, so that it may stop early,
    run as long as it likes, and be repeated with the same seed.
    """
    tokens = layout.tokens
    pairs = max(ledger.left - sum(shares), 0.0) * (1 - 1e-9)
    marginals = measure(codes, [t.size for t in tokens], rows, (*shares, pairs), ledger)
    began = time.monotonic()
    links = fit_chain(
        tokens, marginals, _CHAIN_ROWS, settings.seed, lambda done: tick(_CHAIN_PART * done)
    )
    made = make_rows(links, _MADE_ROWS, settings.seed + 1)
    counts = [
        np.rint(shares_of(t, marginals).numpy() * _MADE_ROWS).astype(np.int64)
        for t in range(len(tokens))
    ]
    network = TableNetwork.create(tokens, counts, settings.seed, any_given=True)
    valid = round(_VALIDATION_SHARE * len(made))
    order = np.arange(len(made))

    def training(state: TrainingProgress) -> None:
        tick(_CHAIN_PART + (1 - _CHAIN_PART) * min(state.fraction, 1.0))

    result = train(
        network,
        made,
        order[valid:],
        order[:valid],
        columns=layout.columns,
        seed=settings.seed,
        deadline=deadline,
        threads=settings.threads,
        report=training,
        device=settings.device,
    )
    network.eval()
    return Learned(network, result.epochs, time.monotonic() - began)
