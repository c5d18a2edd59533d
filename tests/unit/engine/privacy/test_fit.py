"""Private fits: models of paid looks only, and refusals that say what to do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit, load
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.privacy.chain import fit_chain, make_rows
from syntheflow_server.engine.privacy.ledger import Budget, Ledger
from syntheflow_server.engine.privacy.marginals import measure

ROWS = 4000
PRIVATE = FitSettings(epsilon=4.0, time_limit_seconds=6.0)


def people():
    rng = np.random.default_rng(4)
    city = rng.choice(["Oslo", "Rome", "Kyiv"], ROWS, p=[0.6, 0.3, 0.1]).astype(object)
    pay = np.round(rng.normal(np.where(city == "Oslo", 900, 300), 60), 2)
    city[7] = "Hermit's Rock"
    data = pa.table(
        {
            "id": [f"P-{i:06d}" for i in range(ROWS)],
            "badge": pa.array([None if i % 2 else i for i in range(ROWS)], pa.int64()),
            "city": city.tolist(),
            "pay": pay,
        }
    )
    kinds = {
        "id": ("string", SemanticType.IDENTIFIER),
        "badge": ("int64", SemanticType.IDENTIFIER),
        "city": ("string", SemanticType.CATEGORY),
        "pay": ("float64", SemanticType.NUMBER),
    }
    columns = tuple(Column(name=n, type=t, semantic_type=m) for n, (t, m) in kinds.items())
    schema = Schema(tables=(Table(name="person", columns=columns, primary_key=("id",)),))
    return schema, {"person": MemoryTable(data)}, data


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    schema, tables, _ = people()
    folder = tmp_path_factory.mktemp("private")
    fit(schema, tables, PRIVATE, lambda _: None).save(folder)
    return folder, load(folder)


def made(model, rows=3000) -> pa.Table:
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(rows={"person": rows}), lambda: None)
    batches = [f.batch for u in range(plan.unit_count) for f in sampler.sample(plan, u, None)]
    return pa.Table.from_batches(batches)


def test_rows_look_like_the_data_and_no_identifier_comes_back(model):
    _, _, data = people()
    rows = made(model[1])
    in_oslo = pc.equal(rows["city"], "Oslo")
    assert pc.mean(in_oslo).as_py() == pytest.approx(0.6, abs=0.06)
    assert pc.mean(rows["pay"].filter(in_oslo)).as_py() == pytest.approx(900, abs=90)
    assert rows["badge"].null_count / len(rows) == pytest.approx(0.5, abs=0.06)
    ids = rows["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(data["id"].to_pylist())


def test_what_one_person_holds_is_nowhere_in_the_artefact(model):
    for path in model[0].iterdir():
        assert b"Hermit" not in path.read_bytes()


def test_the_card_holds_the_ledger_and_no_exact_figure_of_the_data(model):
    (card,) = model[1].cards
    total = card.privacy[-1]
    assert total.spent_on == "total"
    assert total.epsilon <= 4.0
    assert total.delta <= model[1].settings.delta == pytest.approx(1e-5)
    assert {e.spent_on for e in card.privacy} >= {"number of rows", "values of columns"}
    assert card.validation_loss == card.train_loss == 0.0
    assert card.train_rows == pytest.approx(0.9 * ROWS, abs=150)


def test_two_private_fits_of_the_same_seed_differ():
    schema, tables, _ = people()
    quick = FitSettings(epsilon=4.0, time_limit_seconds=0.1)
    one, two = (fit(schema, tables, quick, lambda _: None).tables["person"] for _ in range(2))
    biases = [
        np.concatenate([head.bias.detach().numpy().ravel() for head in model.network.heads])
        for model in (one, two)
    ]
    assert not np.array_equal(*biases), "noise that a seed foretells protects nobody"


def test_composite_keys_and_base_models_are_refused(model):
    schema, tables, _ = people()
    table = schema.tables[0].model_copy(update={"primary_key": ("city", "pay")})
    with pytest.raises(UnsupportedError, match="city, pay"):
        fit(Schema(tables=(table,)), tables, PRIVATE, lambda _: None)
    with pytest.raises(UnsupportedError, match="another model"):
        fit(schema, tables, PRIVATE, lambda _: None, base=model[1])


def test_rows_of_the_chain_agree_with_the_measured_pairs():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 5000)
    codes = np.stack([first, (first + (rng.random(5000) < 0.2)) % 4, rng.integers(0, 3, 5000)], 1)
    sizes = [4, 4, 3]
    ledger = Ledger(Budget.of(5.0, 1e-6, 5000), entropy=1)
    shares = tuple(ledger.precision * share * 0.99 for share in (0.2, 0.1, 0.7))
    found = measure(codes.astype(np.uint16), sizes, 5000.0, shares, ledger)
    assert (0, 1) in found.pairs
    links = fit_chain([Token(size) for size in sizes], found, 8000, 0, lambda _: None)
    rows = make_rows(links, 8000, 1)
    agree = (rows[:, 0] == rows[:, 1]).mean()
    assert agree == pytest.approx(0.8, abs=0.03)
    assert np.bincount(rows[:, 2]) / 8000 == pytest.approx(np.full(3, 1 / 3), abs=0.03)
