"""Hold entities out without a look at the data: by place alone, with all that they own."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.graph.joins import parent_rows
from syntheflow_server.engine.privacy.household import Household
from syntheflow_server.engine.privacy.kinship import Kinship, kinship
from syntheflow_server.engine.training.thinning import Mask, rows_held


def held_entities(
    schema: Schema, tables: Tables, share: float, seed: int, keep: Collection[str]
) -> dict[str, Mask]:
    """Return for each table which rows are held out (True), none of those to `keep`."""
    kin = kinship(schema, keep)
    parents = {key: parent_rows(key, tables) for key in kin.owners.values()}
    home = Household.of(tables, kin, parents, held_roots(kin, tables, share, seed))
    masks = {name: np.zeros(tables[name].num_rows, bool) for name in schema.table_names}
    return masks | {name: entity < 0 for name, entity in home.entity.items()}


def held_roots(kin: Kinship, tables: Tables, share: float, seed: int) -> dict[str, Mask]:
    """Return which rows of the tables without owner are held out."""
    return {
        name: rows_held(name, np.zeros(tables[name].num_rows, bool), share, seed)
        for name in kin.order
        if name not in kin.owners
    }
