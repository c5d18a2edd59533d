"""How rows are cut into units, and that what units share is the same in each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.engine import FitSettings, FittedModel
from syntheflow_server.engine.graph.structure import Family, Structure
from syntheflow_server.engine.keys.pattern import PatternKey
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.values import made_key


def model(owners: int, children: int) -> FittedModel:
    owner = ForeignKey(
        child_table="child", child_columns=("owner",), parent_table="owner", parent_columns=("id",)
    )
    structures = {
        "owner": Structure(table="owner", rows=owners),
        "child": Structure(table="child", rows=children, owner=owner),
    }
    family = Family(structures, ("owner", "child"))
    return FittedModel(Schema(tables=()), FitSettings(), family, {}, {})


@pytest.mark.parametrize(
    ("owners", "children", "units"),
    [(100, 500, 1), (5_000, 45_000, 2), (20_000, 100_000, 2), (50_000, 270_000, 5), (3, 10**6, 3)],
)
def test_families_are_cut_into_units_of_equal_size_two_at_least(
    owners: int, children: int, units: int
) -> None:
    block = model(owners, children).blocks["owner"]
    assert -(-owners // block) == units
    assert units * block - owners < units


def test_a_key_that_many_rows_refer_to_is_the_one_that_its_own_row_has() -> None:
    maker = PatternKey.fit("code", [f"N{number}XY" for number in range(100, 400)], 1)
    plan = SamplePlan.alone("t", 300)
    own = made_key(maker, "t", np.arange(300), plan)["code"]
    rows = np.random.default_rng(0).integers(0, 300, 1000)
    assert made_key(maker, "t", rows, plan)["code"].equals(own.take(pa.array(rows)))
