"""Splits of related tables: whole entities, no reference torn, and links that keys alone tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from _shop import shop
from _splits import root_of, split
from scoring.database import entities, linked
from scoring.keys import NOTHING, ORPHAN, Keys, Reference, keys_of, links, repeated


def _keys(*references: Reference, **primary: str) -> Keys:
    return Keys({name: (key,) if key else () for name, key in primary.items()}, references)


def _reference(child: str, column: str, parent: str, key: str = "id") -> Reference:
    return Reference(child, (column,), parent, (key,))


def test_links_lead_to_rows_and_tell_nulls_from_orphans():
    parent = pa.table({"id": [5, 7, 9]})
    child = pa.table({"p": [9.0, None, 7.0, 1.0]})
    found = links(child, parent, _reference("c", "p", "p"))
    assert found.tolist() == [2, NOTHING, 1, ORPHAN]


def test_links_of_several_columns_need_all_of_them():
    parent = pa.table({"year": [1, 1, 2], "team": ["a", "b", "a"]})
    child = pa.table({"year": [2, 1, 2, None], "team": ["a", "b", "b", "a"]})
    reference = Reference("c", ("year", "team"), "p", ("year", "team"))
    assert links(child, parent, reference).tolist() == [2, 1, ORPHAN, NOTHING]


def test_a_moment_and_its_date_are_the_same_key():
    day = datetime(2020, 5, 1, tzinfo=UTC)
    parent = pa.table({"id": pa.array([day], pa.timestamp("ns", tz="UTC"))})
    child = pa.table({"d": pa.array([day.date()], pa.date32())})
    assert links(child, parent, _reference("c", "d", "p")).tolist() == [0]


def test_null_and_repeated_keys_are_counted():
    table = pa.table({"a": [1, 1, 2, None], "b": ["x", "x", "x", "y"]})
    assert repeated(table, ("a", "b")) == 2


def test_the_entities_are_the_rows_with_most_below_them():
    meta, tables = shop()
    assert root_of(keys_of(meta), tables) == "customers"


def test_a_half_holds_whole_customers_and_every_row_is_on_one_side():
    meta, tables = shop()
    keys = keys_of(meta)
    parts = split(keys, tables, "customers", share=0.5, seed=1)
    assert parts.train["customers"].num_rows == parts.holdout["customers"].num_rows == 150
    for name in ("customers", "orders", "lines"):
        both = [part[name].column(0).to_pylist() for part in (parts.train, parts.holdout)]
        assert len(both[0]) + len(both[1]) == tables[name].num_rows
        assert name == "lines" or not set(both[0]) & set(both[1])
    assert parts.train["goods"].equals(tables["goods"])
    assert not parts.dropped
    assert not parts.cut


def test_all_references_resolve_on_both_sides():
    meta, tables = shop()
    keys = keys_of(meta)
    parts = split(keys, tables, "customers", share=0.3, seed=2)
    for part in (parts.train, parts.holdout):
        assert all((found != ORPHAN).all() for found in linked(keys, part).values())


def test_the_same_seed_splits_alike_and_another_does_not():
    meta, tables = shop()
    keys = keys_of(meta)
    halves = [split(keys, tables, "customers", share=0.5, seed=s).train for s in (1, 1, 2)]
    assert halves[0]["orders"].equals(halves[1]["orders"])
    assert not halves[0]["orders"].equals(halves[2]["orders"])


def test_a_row_between_two_entities_of_different_sides_is_left_out():
    keys = _keys(
        _reference("link", "left", "node"),
        _reference("link", "right", "node"),
        node="id",
        link="",
    )
    numbers = list(range(60))
    tables = {
        "node": pa.table({"id": numbers}),
        "link": pa.table({"left": numbers, "right": [*numbers[1:], 0]}),
    }
    first, last = entities(keys, linked(keys, tables), {"node": 60, "link": 60}, "node")
    assert first["link"].tolist() == numbers
    assert last["link"].tolist() == [*numbers[1:], 0]
    parts = split(keys, tables, "node", share=0.5, seed=0)
    kept = parts.train["link"].num_rows + parts.holdout["link"].num_rows
    assert parts.dropped == {"link": 60 - kept}
    assert 0 < kept < 60


def test_a_manager_on_the_other_side_becomes_null_as_nulls_are_there_anyway():
    keys = _keys(_reference("staff", "boss", "staff"), staff="id")
    bosses = [None, *[number // 2 for number in range(1, 80)]]
    tables = {"staff": pa.table({"id": range(80), "boss": bosses})}
    parts = split(keys, tables, "staff", share=0.5, seed=0)
    assert parts.train["staff"].num_rows == parts.holdout["staff"].num_rows == 40
    nulls = sum(part["staff"].column("boss").null_count for part in (parts.train, parts.holdout))
    assert parts.cut == {"staff.boss>staff": nulls - 1}
    assert nulls > 10
