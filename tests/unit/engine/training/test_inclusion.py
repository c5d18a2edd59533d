"""A child table that hangs under another one, and columns that count siblings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import World, generate, learn, world

from syntheflow_server.engine import FittedModel
from syntheflow_server.engine.training.inclusion import with_inclusions


def table(names: tuple[str, ...], rows: list[tuple]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table(dict(zip(names, columns, strict=True)))


def league(*, strays: bool = False) -> World:
    """Players > seasons (year, stint within the year); the roles they had in each season."""
    rng = np.random.default_rng(5)
    seasons, roles = [], []
    for player in range(150):
        year = 2000 + int(rng.integers(0, 8))
        for _ in range(int(rng.integers(1, 7))):
            stints = 1 + int(rng.random() < 0.3)
            for stint in range(1, stints + 1):
                seasons.append((player, year, stint, int(rng.integers(1, 160))))
                had = rng.permutation(["pitcher", "catcher", "field"])[: rng.integers(0, 3)]
                games = rng.integers(1, 90, len(had)).tolist()
                season = (player, year, stint)
                roles += [(*season, *own) for own in zip(had.tolist(), games, strict=True)]
            year += 1
    if strays:
        roles = [(p, 1990, s, role, games) for p, _, s, role, games in roles[:40]] + roles
        roles = list({row[:4]: row for row in roles}.values())
    players = pa.table({"id": np.arange(150), "height": rng.integers(160, 210, 150)})
    names = ("player", "year", "stint")
    held = pa.table(
        dict(zip((*names, "games"), map(list, zip(*seasons, strict=True)), strict=True))
    )
    parts = map(list, zip(*roles, strict=True))
    role = pa.table(dict(zip((*names, "role", "games"), parts, strict=True)))
    return world(
        {
            "players": (players, "id"),
            "seasons": (held, "player, year, stint"),
            "roles": (role, "player, year, stint, role"),
        },
        ["seasons(player) -> players(id)", "roles(player) -> players(id)"],
    )


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return learn(league(), time_limit_seconds=None)


def test_roles_hang_under_seasons_though_no_key_says_so() -> None:
    schema, tables = league()
    (found,) = set(with_inclusions(schema, tables).foreign_keys) - set(schema.foreign_keys)
    assert str(found) == "roles(player, year, stint) -> seasons(player, year, stint)"


def test_one_row_outside_is_enough_to_stand_alone() -> None:
    schema, tables = league(strays=True)
    assert with_inclusions(schema, tables) == schema


def test_the_users_schema_stays_as_it_was(model: FittedModel) -> None:
    assert model.schema == league()[0]
    assert model.family.owner_of("roles") == "seasons"
    assert model.family.owner_of("seasons") == "players"


def test_every_role_belongs_to_a_season(model: FittedModel) -> None:
    made = generate(model, seed=2)
    seasons = {tuple(row.values()) for row in made["seasons"].drop("games").to_pylist()}
    roles = made["roles"].select(["player", "year", "stint"]).to_pylist()
    assert len(roles) > 100
    assert all(tuple(row.values()) in seasons for row in roles)


def test_stints_count_the_seasons_of_one_year(model: FittedModel) -> None:
    assert dict(model.family["seasons"].counters) == {"stint": 1}
    seen: dict[tuple[int, int], list[int]] = {}
    for row in generate(model, seed=3)["seasons"].to_pylist():
        seen.setdefault((row["player"], row["year"]), []).append(row["stint"])
    assert all(stints == list(range(1, len(stints) + 1)) for stints in seen.values())
    assert 0.1 < np.mean([len(stints) > 1 for stints in seen.values()]) < 0.5


def test_the_number_of_seasons_and_their_span_fit(model: FittedModel) -> None:
    sequence = model.family["seasons"].sequence
    assert sequence is not None
    assert sequence.pace == 1

    def gaps(tables: dict[str, pa.Table]) -> float:
        years: dict[int, list[int]] = {}
        for row in tables["seasons"].to_pylist():
            years.setdefault(row["player"], []).append(row["year"])
        return float(np.mean([len(set(own)) <= max(own) - min(own) for own in years.values()]))

    assert gaps({"seasons": league()[1]["seasons"]._table}) == 0
    assert gaps(generate(model, seed=4)) < 0.35
