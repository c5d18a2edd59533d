"""Starting from an earlier model: what is kept, what is extended, what is learned anew."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit
from syntheflow_server.engine.encoding import fit_codec
from syntheflow_server.engine.training.suits import adapted, same_codes

NUMBER = Column(name="x", type="float64", semantic_type=SemanticType.NUMBER)
NAME = Column(name="x", type="string", semantic_type=SemanticType.CATEGORY)
SETTINGS = FitSettings(threads=1, seed=2)


def numbers(seed: int, shift: float = 0.0, count: int = 4000) -> pa.Array:
    return pa.array(np.random.default_rng(seed).normal(shift, 1, count))


def test_numbers_of_the_same_distribution_keep_their_bins():
    codec = fit_codec(NUMBER, numbers(0), 0)
    assert adapted(codec, numbers(1)) is codec


@pytest.mark.parametrize("shift", [2.0, -6.0])
def test_numbers_that_moved_away_get_bins_of_their_own(shift):
    assert adapted(fit_codec(NUMBER, numbers(0), 0), numbers(1, shift)) is None


def test_numbers_with_more_digits_get_bins_of_their_own():
    codec = fit_codec(NUMBER, pa.array(np.round(numbers(0).to_numpy(), 1)), 0)
    assert adapted(codec, numbers(1)) is None


def test_gaps_where_there_were_none_get_a_code_beyond_the_others():
    codec = fit_codec(NUMBER, numbers(0), 0)
    gaps = pa.array(numbers(1).to_numpy(), mask=np.arange(4000) % 10 == 0)
    wider = adapted(codec, gaps)
    assert wider is not None
    (codes,) = same_codes(codec, wider)
    assert wider.sizes[0] == codec.sizes[0] + 1
    assert np.array_equal(codes[:-1], np.arange(codec.sizes[0]))


@pytest.mark.parametrize("many", [5, 400])
def test_new_names_come_after_the_old_ones(many):
    old_names = np.array([f"n{i}" for i in range(many)]).repeat(6)
    codec = fit_codec(NAME, pa.array(old_names), 0)
    new = pa.array([*old_names, *["new"] * 5, "once", None])
    wider = adapted(codec, new)
    assert wider is not None
    assert wider.values.to_pylist() == [*codec.values.to_pylist(), "new"]
    before, after = codec.encode(pa.array(old_names)), wider.encode(pa.array(old_names))
    assert np.array_equal(before, after)
    origins = same_codes(codec, wider)
    for token, origin in enumerate(origins):
        kept = origin[after[:, token]]
        assert np.array_equal(kept, before[:, token])
    assert wider.decode(wider.encode(new), np.zeros((len(new), 1)))[-1].as_py() is None


def test_bins_made_anew_take_the_weights_of_the_old_ones_at_the_same_values():
    old, new = (fit_codec(NUMBER, numbers(seed, seed * 3.0), 0) for seed in (0, 1))
    (origin,) = same_codes(old, new)
    values = new.decode(np.arange(new.sizes[0])[:, None], np.full((new.sizes[0], 1), 0.5))
    assert np.array_equal(origin, old.encode(values)[:, 0])


def sales(rows: int, seed: int, *, also: str = "b") -> pa.Table:
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b", "c", also], rows)
    base = np.select([kind == "a", kind == "b", kind == "c"], [1.0, 5.0, 9.0], 20.0)
    paid = base + rng.normal(0, 0.3, rows)
    return pa.table(
        {"id": np.arange(rows), "kind": kind, "paid": paid, "twice": 2 * paid + rng.random(rows)}
    )


@pytest.fixture(scope="module")
def base(make):
    return make.learn(make.world({"t": (sales(4000, 0), "id")}, []), time_limit_seconds=None)


def test_more_rows_are_learned_sooner_and_as_well(make, base):
    more = make.world({"t": (sales(4400, 1), "id")}, [])
    scratch = fit(*more, SETTINGS, lambda _: None).cards[0]
    warm = fit(*more, SETTINGS, lambda _: None, base=base).cards[0]
    assert warm.epochs < 0.6 * scratch.epochs
    assert warm.validation_loss < scratch.validation_loss + 0.15


def test_a_new_value_is_learned_and_the_base_left_alone(make, base):
    before = {k: v.clone() for k, v in base.tables["t"].network.state_dict().items()}
    drifted = make.world({"t": (sales(4000, 1, also="d"), "id")}, [])
    model = fit(*drifted, SETTINGS, lambda _: None, base=base)
    made = make.generate(model, rows={"t": 2000})["t"]
    kind, paid = (made[name].to_numpy() for name in ("kind", "paid"))
    assert 0.2 < (kind == "d").mean() < 0.3
    assert abs(np.median(paid[kind == "d"]) - 20) < 0.5
    assert abs(np.median(paid[kind == "b"]) - 5) < 0.5
    after = base.tables["t"].network.state_dict()
    for name, weights in before.items():
        np.testing.assert_array_equal(weights.numpy(), after[name].numpy())


def test_related_tables_start_from_the_base_too(make, models, worlds):
    model = fit(
        *worlds["shop"],
        FitSettings(threads=1, time_limit_seconds=1),
        lambda _: None,
        base=models["shop"],
    )
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(), lambda: None)
    assert plan.table_rows["order"] > 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda t: t.rename_columns(["id", "kind", "paid", "thrice"]), "column 'thrice'"),
        (lambda t: t.drop_columns(["twice"]), "column 'twice'"),
        (lambda t: t.set_column(2, "paid", t["paid"].cast("int64", safe=False)), "column 'paid'"),
    ],
)
def test_a_base_of_another_schema_is_refused_by_name(make, base, change, place):
    schema, tables = make.world({"t": (change(sales(300, 0)), "id")}, [])
    with pytest.raises(InvalidArgumentError, match=f"table 't', {place}") as error:
        fit(schema, tables, SETTINGS, lambda _: None, base=base)
    assert error.value.metadata["table"] == "t"


def test_a_base_of_other_tables_is_refused_by_name(make, base):
    schema, _ = make.world({"u": (sales(300, 0), "id")}, [])
    with pytest.raises(InvalidArgumentError, match="table 't': the new data lack it"):
        fit(schema, {"u": MemoryTable(sales(300, 0))}, SETTINGS, lambda _: None, base=base)
