"""Attack fits with canaries: the epsilon that is proven must stay below the one that is claimed.

    python benchmarks/privacy_audit.py [--epsilon 1 3 8] [--canaries 1000] [--data FILE | --related]

Rows that fit nowhere (each column drawn on its own) are put into a table or left out by a
coin. The attacker sees the finished model and guesses the coins from how likely it finds each
canary, compared with a model of the table without canaries. With `--related` a canary is a
person all of whose events hold a pair of values that nobody else's do, and the attacker counts
such pairs in what the model makes. One run a line; the last line is a
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

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, FittedModel, Sampler, SampleSpec, fit
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


def persons(events: npt.NDArray[np.int64]) -> tuple[Schema, dict[str, MemoryTable]]:
    """Return persons and their events; `events` [n, 3, 2] are two values of three events each."""
    count, each = len(events), events.shape[1]
    values = {f"kind{i}": [f"k{v}" for v in events[:, :, i].ravel()] for i in range(2)}
    owner = np.repeat(np.arange(count), each)
    tables = {
        "person": pa.table({"id": np.arange(count), "even": np.arange(count) % 2 == 0}),
        "event": pa.table({"id": np.arange(count * each), "person": owner} | values),
    }
    sources = {name: MemoryTable(table) for name, table in tables.items()}
    found = infer(sources, {name: table.schema for name, table in tables.items()}, None)
    named = [table.model_copy(update={"primary_key": ("id",)}) for table in found.tables]
    key = ForeignKey(
        child_table="event",
        child_columns=("person",),
        parent_table="person",
        parent_columns=("id",),
    )
    return found.model_copy(update={"tables": tuple(named), "foreign_keys": (key,)}), sources


def pairs_made(model: FittedModel, sizes: int) -> npt.NDArray[np.float64]:
    """Return how often each pair of values [sizes, sizes] stands in events that are made."""
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(scale=4.0), lambda: None)
    seen = np.zeros((sizes, sizes))
    for unit in range(plan.unit_count):
        for piece in sampler.sample(plan, unit, frozenset({"event"})):
            one, two = (
                np.array([int(text[1:]) for text in piece.batch.column(f"kind{i}").to_pylist()])
                for i in range(2)
            )
            np.add.at(seen, (one, two), 1.0)
    return seen


def audit_related(asked: argparse.Namespace, rng: np.random.Generator) -> None:
    """Attack fits of two tables, a person and three events of hers being one canary."""
    sizes = int(np.ceil((asked.canaries * 2) ** 0.5)) + 3
    place = rng.integers(0, sizes, (asked.rows, 3))
    events = np.stack([place, (place + rng.integers(0, 2, place.shape)) % sizes], axis=2)
    odd = np.array([(a, b) for a in range(sizes) for b in range(sizes) if (b - a) % sizes > 1])
    odd = odd[rng.permutation(len(odd))[: asked.canaries]]
    included = rng.random(len(odd)) < 0.5
    mixed = np.concatenate([events, np.repeat(odd[included, None, :], 3, axis=1)])
    settings = FitSettings(delta=_DELTA, holdout_share=0.0, seed=asked.seed, entity_rows=3)
    for epsilon in [*asked.epsilon, None]:
        schema, tables = persons(mixed)
        model = fit(schema, tables, replace(settings, epsilon=epsilon), lambda _: None)
        score = pairs_made(model, sizes)[odd[:, 0], odd[:, 1]]
        proven = epsilon_bound(score + 1e-3 * rng.random(len(odd)), included, _DELTA)
        claimed = model.cards[0].privacy[-1].epsilon if epsilon else float("inf")
        tell(claimed, proven)


def tell(claimed: float, proven: float) -> None:
    """Print one line for an attacked fit; an infinite claim is none."""
    verdict = "holds" if proven <= claimed else "BROKEN"
    verdict = verdict if np.isfinite(claimed) else "nothing claimed"
    print(f"claimed epsilon {claimed:6.3f}   proven {proven:6.3f}   {verdict}", flush=True)


def main() -> None:
    """Run the attacks and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 3.0, 8.0])
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--data", type=Path, help="a Parquet file to audit instead")
    parser.add_argument("--related", action="store_true", help="persons and their events instead")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    if asked.related:
        audit_related(asked, rng)
        return
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
        tell(claimed, proven)


if __name__ == "__main__":
    main()
