"""Tables too large to be looked at whole: what is said of them agrees with looking at all."""

# ruff: noqa: DTZ001 - the stored type has no zone
from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.schema import check, infer, profile
from syntheflow_server.schema.fingerprints import Fingerprints, fingerprints
from syntheflow_server.schema.profile import ColumnProfile, profile_column
from syntheflow_server.store.tables import open_tables

ROWS = 300_000


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "LARGE", 1000)
    monkeypatch.setattr(profile, "_SPREAD_ROWS", 30_000)


def columns() -> pa.Table:
    rng = np.random.default_rng(0)
    day = np.datetime64("2000-01-01")
    number = rng.integers(0, ROWS // 3, ROWS)
    return pa.table(
        {
            "id": np.arange(7, ROWS + 7),
            "shuffled": rng.permutation(ROWS),
            "customer": number,
            "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, ROWS)],
            "name": [f"name {n}" for n in number],
            "code": [f"C-{n:06d}" for n in rng.permutation(ROWS)],
            "gaps": pa.array(number, mask=rng.random(ROWS) < 0.25),
            "day": day + rng.integers(0, 3000, ROWS),
            "almost": np.concatenate([np.arange(ROWS - 1), [5]]),
        }
    )


def both(table: pa.Table, name: str) -> tuple[ColumnProfile, ColumnProfile]:
    source = MemoryTable(table)
    large = profile_column(source, name, table.schema.field(name).type, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile, "LARGE", 1 << 60)
        return large, profile_column(source, name, table.schema.field(name).type, 0)


def test_a_large_column_is_told_as_one_that_is_looked_at_whole() -> None:
    table = columns()
    for name in table.column_names:
        large, whole = both(table, name)
        assert (large.rows, large.nulls, large.unique) == (whole.rows, whole.nulls, whole.unique), (
            name
        )
        assert large.distinct == pytest.approx(whole.distinct, rel=0.05), name
        assert large.rare_share == pytest.approx(whole.rare_share, abs=0.05), name
        assert large.collision == pytest.approx(whole.collision, rel=0.2), name
        if whole.unique:
            assert large.sequential == whole.sequential, name


def test_one_repeat_among_all_rows_is_found() -> None:
    large, _ = both(columns(), "almost")
    assert not large.unique
    assert Fingerprints(MemoryTable(columns()), "almost").repeats() == 1
    assert Fingerprints(MemoryTable(columns()), "code").repeats() == 0


def test_schema_and_check_of_a_large_table_need_no_column_whole(tmp_path: Path) -> None:
    table = columns().drop_columns(["almost", "shuffled"])
    pq.write_table(table, tmp_path / "orders.parquet", row_group_size=20_000)
    stored = open_tables(tmp_path)

    def whole(_: str) -> pa.ChunkedArray:
        raise AssertionError("a column was read whole")

    for source in stored.values():
        source.column = whole  # type: ignore[method-assign, assignment]
    schema = infer(stored, {"orders": stored["orders"].stored_schema}, None)
    assert schema.table("orders").primary_key == ("id",)
    typed = open_tables(tmp_path, schema)
    for source in typed.values():
        source.column = whole  # type: ignore[method-assign, assignment]
    assert check(schema, typed) == ()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, -1, 3, 2**62]),
        pa.array([1.5, -0.25, 1.5]),
        pa.array([True, False, True]),
        pa.array(["", "a", "ab", "a"]),
        pa.array([dt.date(2020, 1, 1), dt.date(1950, 1, 1), dt.date(2020, 1, 1)]),
        pa.array([dt.datetime(2020, 1, 1, 5), None], pa.timestamp("us")).drop_null(),
        pa.array([decimal.Decimal("1.50"), decimal.Decimal("1.51"), decimal.Decimal("1.50")]),
    ],
)
def test_equal_values_alone_have_equal_fingerprints(values: pa.Array) -> None:
    found = fingerprints(values).tolist()
    plain = values.to_pylist()
    assert len(set(found)) == len(set(plain))
    assert [found.index(x) for x in found] == [plain.index(x) for x in plain]
    assert fingerprints(values.slice(1)).tolist() == found[1:]


def test_whole_numbers_keep_their_order() -> None:
    found = fingerprints(pa.array([-(2**63), -5, 0, 7, 2**63 - 1]))
    assert (np.diff(found.astype(object)) > 0).all()
