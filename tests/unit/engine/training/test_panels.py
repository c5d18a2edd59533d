"""Tables with a row for each parent and time belong to their parents, however few these are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from tests.unit.engine.conftest import World, world

from syntheflow_server.engine.graph.joins import parent_rows
from syntheflow_server.engine.training.analysis import analyse
from syntheflow_server.engine.training.panels import find_panels


def clubs(*, twice: bool = False) -> World:
    """Twelve clubs with a team a year, to which three other tables refer."""
    club, year = np.repeat(np.arange(12), 20), np.tile(np.arange(2000, 2020), 12)
    if twice:
        year[1] = year[0]
    tables = {
        "clubs": (pa.table({"id": np.arange(12), "size": np.arange(12) % 3}), "id"),
        "teams": (pa.table({"id": np.arange(240), "club": club, "year": year}), "id"),
    }
    keys = ["teams(club) -> clubs(id)"]
    for name in ("games", "players", "coaches"):
        rows = pa.table({"id": np.arange(480), "team": np.arange(480) % 240})
        tables[name] = (rows, "id")
        keys.append(f"{name}(team) -> teams(id)")
    return world(tables, keys)


def test_a_team_a_year_is_a_panel_of_its_club() -> None:
    schema, tables = clubs()
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    (key,) = find_panels(schema, tables, references)
    assert str(key) == "teams(club) -> clubs(id)"
    assert analyse(schema, tables).family.owner_of("teams") == "clubs"


def test_two_teams_in_a_year_are_none() -> None:
    schema, tables = clubs(twice=True)
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    assert not find_panels(schema, tables, references)
    assert analyse(schema, tables).family.owner_of("teams") == ""
