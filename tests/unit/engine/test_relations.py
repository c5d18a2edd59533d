"""Whatever shape the keys have, generated references resolve and keys are unique."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, parent_rows
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.structure import LinkKind

WORLDS = ["shop", "league", "corners"]


@pytest.fixture(scope="module")
def rows(models, make):
    return {name: make.generate(models[name], seed=5) for name in WORLDS}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_every_reference_resolves_at_every_scale(models, make, name, scale):
    scale = min(scale, 1.0) if name == "corners" else scale  # its grid has no more keys
    made = make.generate(models[name], seed=11, scale=scale)
    held = {table: MemoryTable(data) for table, data in made.items()}
    for key in models[name].schema.foreign_keys:
        found = parent_rows(key, held)
        assert not (found == ORPHAN_ROW).any(), key


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_every_primary_key_is_unique_and_present(models, make, name, scale):
    scale = min(scale, 1.0) if name == "corners" else scale  # its grid has no more keys
    made = make.generate(models[name], seed=12, scale=scale)
    for table in models[name].schema.tables:
        data = made[table.name].select(list(table.primary_key))
        assert data.group_by(list(table.primary_key)).aggregate([]).num_rows == data.num_rows
        assert all(column.null_count == 0 for column in data.columns)


@pytest.mark.parametrize("name", WORLDS)
def test_columns_have_the_types_of_the_schema(models, rows, name):
    for table in models[name].schema.tables:
        assert rows[name][table.name].schema == table.arrow


@pytest.mark.parametrize("name", WORLDS)
def test_references_that_are_never_empty_stay_so_and_others_are_empty_sometimes(
    models, worlds, rows, name
):
    schema, real = worlds[name]
    held = {table: MemoryTable(data) for table, data in rows[name].items()}
    for key in schema.foreign_keys:
        before, after = parent_rows(key, real), parent_rows(key, held)
        if not (before == NULL_ROW).any():
            assert not (after == NULL_ROW).any(), key
        else:
            assert (after == NULL_ROW).any(), key


def test_the_tree_of_a_self_reference_has_no_circles(models, make):
    made = make.generate(models["shop"], scale=20.0)
    key = models["shop"].schema.references_from("employee")[0]
    found = parent_rows(key, {"employee": MemoryTable(made["employee"])})
    depth = levels(found)
    assert depth is not None
    assert depth.max() >= 1


def test_a_table_that_extends_another_has_at_most_one_row_for_each(rows):
    assert pc.count_distinct(rows["league"]["profile"]["player"]).as_py() == len(
        rows["league"]["profile"]
    )


def test_siblings_come_in_order_and_share_the_year_with_their_team(rows):
    seasons = rows["league"]["season"]
    player, year = (seasons[c].to_numpy() for c in ("player", "year"))
    same = player[1:] == player[:-1]
    assert (year[1:][same] > year[:-1][same]).all()


def test_a_narrow_reference_is_implied_by_the_wider_one(models):
    links = models["league"].family["season"].links
    kinds = {link.key.child_columns: link.kind for link in links}
    assert kinds == {("year", "club"): LinkKind.CODED, ("club",): LinkKind.IMPLIED}


def test_a_cycle_of_tables_is_opened_by_making_one_reference_a_link(models):
    family = models["corners"].family
    owned = [name for name in ("store", "staff") if family.owner_of(name)]
    assert len(owned) < 2


def test_degrees_of_a_link_follow_the_real_ones(models, worlds, make):
    schema, real = worlds["shop"]
    key = next(k for k in schema.foreign_keys if k.parent_table == "product")
    made = make.generate(models["shop"])
    found = parent_rows(key, {name: MemoryTable(data) for name, data in made.items()})
    degrees = np.bincount(found, minlength=20)
    assert degrees.min() > 0
    assert len(found) == pytest.approx(len(parent_rows(key, real)), rel=0.25)


def test_an_empty_table_stays_empty_and_an_empty_column_empty(rows):
    assert len(rows["corners"]["nothing"]) == 0
    assert rows["shop"]["customer"]["phone"].null_count == len(rows["shop"]["customer"])


def test_references_that_share_a_column_agree_in_it(make):
    pairs = pa.table({"a": [1, 1, 2, 2, 3], "b": [1, 2, 1, 2, 3]})
    place = np.arange(60) % 5
    left, right = (pairs.take(place).column(name) for name in ("a", "b"))
    child = pa.table({"id": np.arange(60), "a": left, "b": right, "c": right})
    made = make.world(
        {"left": (pairs, "a, b"), "right": (pairs, "a, b"), "child": (child, "id")},
        ["child(a, b) -> left(a, b)", "child(b, c) -> right(a, b)"],
    )
    rows = make.generate(make.learn(made))
    for table, mine in (("left", ("a", "b")), ("right", ("b", "c"))):
        keys = {tuple(row.values()) for row in rows[table].to_pylist()}
        held = rows["child"].select(mine).to_pylist()
        assert len(held) == 60
        assert all(tuple(row.values()) in keys for row in held)


def test_a_key_that_an_owner_outside_it_tells_apart_is_unique(make):
    years = np.tile(np.arange(2000, 2012), 30)
    codes = [f"{chr(65 + i // 6)}{chr(65 + i % 6)}T" for i in range(30)]
    wins = np.random.default_rng(5).integers(0, 90, 360)
    teams = {"year": years, "code": np.repeat(codes, 12), "house": np.repeat(np.arange(30), 12)}
    made = make.world(
        {
            "house": (pa.table({"id": np.arange(30), "active": [True, False] * 15}), "id"),
            "team": (pa.table({**teams, "wins": wins}), "year, code"),
        },
        ["team(house) -> house(id)"],
    )
    model = make.learn(made)
    assert model.family.owner_of("team") == "house"
    assert model.family["team"].distinct == (("year",),)
    assert model.family["team"].sequence.strict
    rows = make.generate(model, rows={"team": 500})["team"]
    assert len(rows) == 500
    assert len(rows.group_by(["year", "code"]).aggregate([])) == 500
