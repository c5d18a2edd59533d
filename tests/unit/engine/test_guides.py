"""Categories of many values are grouped by the column that says most about them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, fit
from syntheflow_server.engine.layout import PieceKind


def test_a_group_of_plane_numbers_belongs_to_one_carrier() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 300, 6_000)
    carrier = np.where(rng.random(6_000) < 0.95, plane % 5, rng.integers(0, 5, 6_000))
    data = {
        "plane": [f"N{n * 7919 % 100_000:05d}" for n in plane],
        "carrier": [f"carrier {n}" for n in carrier],
        "noise": rng.choice(["x", "y"], 6_000).tolist(),
    }
    columns = [Column(name=n, type="string", semantic_type=SemanticType.CATEGORY) for n in data]
    schema = Schema(tables=(Table(name="flight", columns=tuple(columns)),))
    settings = FitSettings(time_limit_seconds=0.5)
    model = fit(schema, {"flight": MemoryTable(pa.table(data))}, settings, lambda _: None)
    piece = model.tables["flight"].layout.find(PieceKind.COLUMN, "plane")
    assert piece is not None
    assert len(piece.tokens) == 2
    home = {f"N{n * 7919 % 100_000:05d}": n % 5 for n in range(300)}
    codes = piece.codec.encode(pa.array(list(home)))[:, 0]
    owners = np.array(list(home.values()))
    pure = [np.bincount(owners[codes == g]).max() / (codes == g).sum() for g in np.unique(codes)]
    assert np.mean(np.array(pure) == 1) >= 0.7
