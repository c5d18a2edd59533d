"""Attack fits with canaries: the epsilon that is proven must stay below the one that is claimed.

    python benchmarks/privacy_audit.py [--epsilon 1 3 8] [--canaries 1000] [--data FILE]

Rows that fit nowhere (each column drawn on its own) are put into a table or left out by a
coin. The attacker sees the finished model and guesses the coins from how likely it finds each
canary, compared with a model of the table without canaries. One run a line; the last line is a
fit without privacy, which shows whether the attack has any power.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, FittedModel, fit
from syntheflow_server.engine.privacy.audit import epsilon_bound
from syntheflow_server.schema import infer

_DELTA = 1e-6
_TABLE = "audited"


def invented(rows: int, rng: np.random.Generator) -> pa.Table:
    """Return a table of eight columns that depend on each other."""
    kind = rng.integers(0, 20, rows)
    columns: dict[str, npt.NDArray[np.generic]] = {
        f"name{i}": np.array([f"v{v}" for v in (kind * (i + 1) + rng.integers(0, 3, rows)) % 20])
        for i in range(6)
    }
    columns["size"] = np.round(kind * 10 + rng.normal(0, 3, rows), 1)
    columns["count"] = rng.poisson(kind + 1)
    return pa.table(columns)


def canaries(table: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """Return rows whose columns are drawn one by one from the different values in `table`."""
    drawn = {}
    for name in table.column_names:
        known = table[name].combine_chunks().unique()
        drawn[name] = known.take(pa.array(rng.integers(0, len(known), count)))
    return pa.table(drawn, schema=table.schema)


def likelihoods(model: FittedModel, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of each row's codes under the model."""
    learned = model.tables[_TABLE]
    assert learned.network is not None
    codes = [
        piece.codec.encode(rows[piece.name])
        for piece in learned.layout.pieces
        if piece.codec is not None
    ]
    with torch.no_grad():
        nats = learned.network.loss(torch.from_numpy(np.concatenate(codes, 1).astype(np.int64)))
    figures: npt.NDArray[np.float64] = -nats.sum(dim=1).double().numpy()
    return figures


def learned(schema: Schema, table: pa.Table, settings: FitSettings) -> FittedModel:
    """Return a model of `table`."""
    return fit(schema, {_TABLE: MemoryTable(table)}, settings, lambda _: None)


def main() -> None:
    """Run the attacks and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 3.0, 8.0])
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--data", type=Path, help="a Parquet file to audit instead")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    table = pq.read_table(asked.data) if asked.data else invented(asked.rows, rng)
    table = table.take(pa.array(rng.permutation(len(table))[: asked.rows]))
    odd = canaries(table, asked.canaries, rng)
    included = rng.random(asked.canaries) < 0.5
    mixed = pa.concat_tables([table, odd.filter(pa.array(included))])
    mixed = mixed.take(pa.array(rng.permutation(len(mixed))))
    schema = infer({_TABLE: MemoryTable(mixed)}, {_TABLE: mixed.schema}, None)
    settings = FitSettings(delta=_DELTA, holdout_share=0.0, seed=asked.seed)
    known = likelihoods(learned(schema, table, settings), odd)
    print(f"{len(table)} rows, {asked.canaries} canaries, delta {_DELTA}")
    for epsilon in [*asked.epsilon, None]:
        model = learned(schema, mixed, replace(settings, epsilon=epsilon))
        proven = epsilon_bound(likelihoods(model, odd) - known, included, _DELTA)
        claimed = model.cards[0].privacy[-1].epsilon if epsilon else float("inf")
        verdict = "holds" if proven <= claimed else "BROKEN"
        verdict = verdict if epsilon else "nothing claimed"
        print(f"claimed epsilon {claimed:6.3f}   proven {proven:6.3f}   {verdict}", flush=True)


if __name__ == "__main__":
    main()
