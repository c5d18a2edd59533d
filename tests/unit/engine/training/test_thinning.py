"""Large tables: few rows teach, and what is exact is exact for all rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit, holdout_rows
from syntheflow_server.engine.encoding.sieve import Sieve
from syntheflow_server.engine.training import thinning
from syntheflow_server.engine.training.thinning import ThinTable, thin
from syntheflow_server.store.tables import open_tables

ROWS = 30_000
MEANINGS = {
    "id": SemanticType.IDENTIFIER,
    "note": SemanticType.TEXT,
    "group": SemanticType.CATEGORY,
    "label": SemanticType.CATEGORY,
}


def sales() -> pa.Table:
    """`total` is the sum of its parts but for one row; `label` follows from `group`."""
    rng = np.random.default_rng(0)
    net, tax = rng.integers(1, 900, ROWS), rng.integers(0, 90, ROWS)
    total, group = net + tax, rng.integers(0, 5, ROWS)
    fee = net + 7 * tax
    fee[17_001] += 1
    return pa.table(
        {
            "id": np.arange(ROWS) * 3 + 1,
            "note": [f"N-{i:05d}-{n}" for i, n in enumerate(net)],
            "group": group,
            "label": pa.array(np.array(list("vwxyz"))[group]),
            "net": net,
            "tax": tax,
            "total": total,
            "fee": fee,
        }
    )


def schema_of(table: pa.Table) -> Schema:
    columns = tuple(
        Column(
            name=field.name,
            type={"double": "float64"}.get(str(field.type), str(field.type)),
            semantic_type=MEANINGS.get(field.name, SemanticType.INTEGER),
        )
        for field in table.schema
    )
    return Schema(tables=(Table(name="t", columns=columns, primary_key=("id",)),)).checked()


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(thinning, "MOST_ROWS", 6_000)


@pytest.fixture
def stored(tmp_path):
    pq.write_table(sales(), tmp_path / "t.parquet", row_group_size=4_000)
    schema = schema_of(sales())
    return schema, open_tables(tmp_path, schema)


def test_a_thin_table_holds_the_chosen_rows_in_order(stored):
    _, tables = stored
    rows = np.array([0, 3, 3_999, 4_000, 20_000, ROWS - 1])
    few = ThinTable(tables["t"], rows)
    assert few.num_rows == 6
    for name in ("id", "label"):
        assert few.column(name).to_pylist() == sales()[name].take(pa.array(rows)).to_pylist()
        assert few.part(name, 0).to_pylist() == few.column(name).to_pylist()


@pytest.mark.usefixtures("few_rows")
def test_rows_are_chosen_from_those_that_are_not_held_out(stored):
    schema, tables = stored
    one, two = (thin(schema, tables, 0.1, 5) for _ in range(2))
    held = one.whole["t"].held
    ids = one.tables["t"].column("id").to_numpy()
    assert len(ids) == 6_000
    assert held.sum() == ROWS // 10
    assert not held[(ids - 1) // 3].any()
    assert np.array_equal(ids, two.tables["t"].column("id").to_numpy())
    assert np.array_equal(held, holdout_rows(schema, tables, 0.1, 5)["t"])


def test_the_hold_out_is_the_same_whether_rows_are_thinned_or_not(stored, monkeypatch):
    schema, tables = stored
    whole = holdout_rows(schema, tables, 0.2, 3)["t"]
    monkeypatch.setattr(thinning, "MOST_ROWS", 6_000)
    assert np.array_equal(whole, holdout_rows(schema, tables, 0.2, 3)["t"])


@pytest.mark.usefixtures("few_rows")
def test_a_thinned_fit_keeps_what_holds_for_every_row_and_only_that(stored):
    schema, tables = stored
    settings = FitSettings(time_limit_seconds=1, threads=1, holdout_share=0)
    model = fit(schema, tables, settings, lambda _: None)
    made = {name for r in model.tables["t"].relations for name in r.makes if not r.hidden}
    assert "total" in made or "net" in made or "tax" in made
    assert made & {"group", "label"}
    assert "fee" not in made
    card = model.cards[0]
    assert (card.train_rows, card.holdout_rows) == (ROWS, 0)
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(), lambda: None)
    assert plan.table_rows["t"] == ROWS
    ids = sampler.sample(plan, 0, None)[0].batch["id"].to_pylist()
    assert ids[:3] == [1, 4, 7]


@pytest.mark.usefixtures("few_rows")
def test_no_string_of_any_row_is_composed_though_few_rows_taught(stored):
    schema, tables = stored
    settings = FitSettings(time_limit_seconds=1, threads=1)
    model = fit(schema, tables, settings, lambda _: None)
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(rows={"t": 20_000}), lambda: None)
    made = {
        text
        for unit in plan.units_of("t")
        for text in sampler.sample(plan, unit, None)[0].batch["note"].to_pylist()
    }
    held = holdout_rows(schema, tables, settings.holdout_share, settings.seed)["t"]
    real = set(sales()["note"].filter(pa.array(~held)).to_pylist())
    assert len(made) > 15_000
    assert not made & real


def test_a_sieve_of_parts_is_the_sieve_of_the_whole():
    texts = [f"v{i}" for i in range(500)] + ["often"] * 3
    parts = [pa.array(texts[:200]), pa.array([*texts[200:], None])]
    one, two = Sieve.of_rare(parts, 3), Sieve.of(texts[:500])
    assert np.array_equal(one.field, two.field)
