"""Fitting: hold-out by entity, progress, cancelling, and the artefact."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import CancelledError, DataLossError
from syntheflow_server.engine import FitSettings, fit, holdout_rows, load
from syntheflow_server.engine.graph.joins import parent_rows


def test_the_hold_out_takes_whole_entities_and_spares_small_tables(worlds):
    schema, tables = worlds["league"]
    held = holdout_rows(schema, tables, 0.2, 7)
    owner = parent_rows(schema.foreign_keys[2], tables)
    assert held["player"].sum() == 30
    assert np.array_equal(held["season"], held["player"][owner])
    assert not held["club"].any()


def test_rows_that_crowd_on_few_owners_are_split_further_down(make):
    airports, places = np.arange(400), np.repeat([3, 70, 200], 300)
    hours = np.tile(np.arange(300), 3)
    weather = pa.table({"airport": places, "hour": hours})
    flights = {"id": np.arange(1800), "airport": places.repeat(2), "hour": hours.repeat(2)}
    stands = pa.table({"airport": airports.repeat(2), "number": np.tile([1, 2], 400)})
    schema, tables = make.world(
        {
            "airport": (pa.table({"id": airports, "x": airports % 7}), "id"),
            "weather": (weather, "airport, hour"),
            "flight": (pa.table(flights), "id"),
            "stand": (stands, "airport, number"),
        },
        [
            "weather(airport) -> airport(id)",
            "flight(airport, hour) -> weather(airport, hour)",
            "stand(airport) -> airport(id)",
        ],
    )
    held = holdout_rows(schema, tables, 0.1, 3)
    assert held["weather"].sum() == 90
    assert np.array_equal(held["flight"], held["weather"].repeat(2))
    assert held["airport"].sum() == 40
    assert not held["airport"][[3, 70, 200]].any()
    assert np.array_equal(held["stand"], held["airport"].repeat(2))


def test_the_hold_out_is_a_pure_function_of_its_seed(worlds):
    one, two, other = (holdout_rows(*worlds["shop"], 0.2, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_cards_tell_how_many_rows_taught_and_who_owns(models, worlds):
    _, tables = worlds["shop"]
    for card in models["shop"].cards:
        assert card.train_rows + card.holdout_rows == tables[card.table].num_rows
    owners = {card.table: card.owner_table for card in models["shop"].cards}
    assert owners == {
        "customer": "",
        "employee": "",
        "product": "",
        "order": "customer",
        "line": "order",
    }


def test_the_card_tells_what_holds_in_every_row(make):
    kind = np.random.default_rng(0).choice(["a", "b", "c", "d"], 400)
    rate = pa.array([{"a": 1.5, "b": 2.5, "c": 3.5, "d": 4.5}[k] for k in kind])
    table = pa.table({"id": np.arange(400), "kind": kind, "rate": rate})
    model = make.learn(make.world({"t": (table, "id")}, []))
    told = " ".join(model.cards[0].relations)
    assert "'rate'" in told
    assert "'kind'" in told
    assert "4.5" not in told


def test_progress_never_falls_and_ends_at_one(worlds):
    seen = []
    fit(*worlds["shop"], FitSettings(time_limit_seconds=0.5, threads=1), seen.append)
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_report_that_raises_ends_the_fit(worlds):
    def stop(progress) -> None:
        if progress.stage.startswith("training"):
            raise CancelledError("stopped", reason="CANCELLED")

    with pytest.raises(CancelledError):
        fit(*worlds["shop"], FitSettings(threads=1), stop)


@pytest.mark.parametrize("name", ["shop", "league", "corners"])
def test_a_model_read_from_its_files_makes_the_same_rows(models, make, tmp_path, name):
    models[name].save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    again = load(tmp_path)
    cards = [card.model_copy(update={"train_seconds": 0.0}) for card in models[name].cards]
    assert list(again.cards) == cards
    assert make.generate(again, seed=6) == make.generate(models[name], seed=6)


def test_equal_fits_write_equal_bytes(make, tmp_path):
    rng = np.random.default_rng(5)
    data = pa.table({"id": np.arange(400), "x": rng.normal(size=400), "c": rng.choice(3, 400)})
    files = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        model = make.learn(make.world({"t": (data, "id")}, []), time_limit_seconds=None)
        model.save(folder)
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1]


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_damaged_files_are_noticed(models, tmp_path, file):
    models["shop"].save(tmp_path)
    data = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataLossError):
        load(tmp_path)


def test_a_missing_artefact_is_noticed(tmp_path):
    with pytest.raises(DataLossError):
        load(tmp_path)
