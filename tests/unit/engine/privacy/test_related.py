"""Private fits of related tables: an entity is a root row with all that it owns."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit, holdout_rows
from syntheflow_server.engine.graph.joins import child_counts, parent_rows
from syntheflow_server.engine.privacy import related
from syntheflow_server.engine.privacy.household import Household
from syntheflow_server.engine.privacy.kinship import kinship
from syntheflow_server.engine.privacy.ledger import Budget, Ledger, Share

PEOPLE = 900
PRIVATE = FitSettings(epsilon=20.0, delta=1e-6, keep=("drug",))
DAY = dt.date(2020, 1, 1)


def column(name: str, kind: str, meaning: SemanticType, *, nullable: bool = False) -> Column:
    return Column(name=name, type=kind, semantic_type=meaning, nullable=nullable)


def schema() -> Schema:
    number, day = SemanticType.INTEGER, SemanticType.DATE
    tables = (
        Table(
            name="person",
            columns=(
                column("id", "string", SemanticType.IDENTIFIER),
                column("city", "string", SemanticType.CATEGORY),
            ),
            primary_key=("id",),
        ),
        Table(
            name="visit",
            columns=(
                column("person", "string", SemanticType.IDENTIFIER),
                column("day", "date32", day),
                column("ward", "string", SemanticType.CATEGORY),
                column("drug", "int64", number, nullable=True),
            ),
            primary_key=("person", "day"),
        ),
        Table(
            name="drug",
            columns=(
                column("code", "int64", SemanticType.IDENTIFIER),
                column("name", "string", SemanticType.CATEGORY),
            ),
            primary_key=("code",),
        ),
        Table(
            name="test",
            columns=(
                column("person", "string", SemanticType.IDENTIFIER),
                column("day", "date32", day),
                column("number", "int64", SemanticType.IDENTIFIER),
                column("value", "float64", SemanticType.NUMBER),
            ),
            primary_key=("person", "day", "number"),
        ),
    )
    return Schema(
        tables=tables,
        foreign_keys=(
            _key("visit", ("person",), "person", ("id",)),
            _key("visit", ("drug",), "drug", ("code",)),
            _key("test", ("person", "day"), "visit", ("person", "day")),
        ),
    ).checked()


def _key(child, mine, parent, theirs) -> ForeignKey:
    return ForeignKey(
        child_table=child, child_columns=mine, parent_table=parent, parent_columns=theirs
    )


def clinic() -> dict[str, MemoryTable]:
    rng = np.random.default_rng(1)
    city = rng.choice(["Oslo", "Rome"], PEOPLE, p=[0.7, 0.3]).astype(object)
    city[5] = "Hermit's Rock"
    visits = np.where(city == "Oslo", 4, 1) + rng.integers(0, 2, PEOPLE)
    who = np.repeat(np.arange(PEOPLE), visits)
    place = np.arange(len(who)) - np.repeat(np.cumsum(visits) - visits, visits)
    days = [DAY + dt.timedelta(int(w) % 50 + 30 * int(p)) for w, p in zip(who, place, strict=True)]
    ward = np.where(rng.random(len(who)) < 0.9, np.where(city[who] == "Oslo", "red", "blue"), "x")
    drug = rng.choice([10, 20, 30], len(who), p=[0.7, 0.2, 0.1])
    tests = rng.integers(0, 3, len(who))
    at = np.repeat(np.arange(len(who)), tests)
    number = np.arange(len(at)) - np.repeat(np.cumsum(tests) - tests, tests)
    ids = np.array([f"P{i:05d}" for i in range(PEOPLE)])
    tables = {
        "person": {"id": ids, "city": city.tolist()},
        "visit": {
            "person": ids[who],
            "day": pa.array(days, pa.date32()),
            "ward": ward,
            "drug": pa.array(drug, pa.int64(), mask=rng.random(len(who)) < 0.4),
        },
        "drug": {"code": pa.array([10, 20, 30]), "name": ["a", "b", "c"]},
        "test": {
            "person": ids[who[at]],
            "day": pa.array([days[i] for i in at], pa.date32()),
            "number": pa.array(number + 1),
            "value": np.round(rng.normal(np.where(ward[at] == "red", 90, 30), 5), 1),
        },
    }
    return {name: MemoryTable(pa.table(columns)) for name, columns in tables.items()}


@pytest.fixture(scope="module")
def made() -> dict[str, pa.Table]:
    model = fit(schema(), clinic(), PRIVATE, lambda _: None)
    assert {card.table for card in model.cards if card.privacy} == {"person", "visit", "test"}
    for card in model.cards:
        if card.privacy:
            assert card.privacy[-1].epsilon <= 20.0 + 1e-6
            assert "at most 1 rows of each of visit, test" in card.privacy[-1].mechanism
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(), lambda: None)
    found: dict[str, list[pa.RecordBatch]] = {}
    for unit in range(plan.unit_count):
        for piece in sampler.sample(plan, unit, None):
            found.setdefault(piece.table, []).append(piece.batch)
    return {name: pa.Table.from_batches(batches) for name, batches in found.items()}


def test_all_keys_hold_and_nulls_are_as_they_were(made) -> None:
    sources = {name: MemoryTable(table) for name, table in made.items()}
    for key in schema().foreign_keys:
        found = parent_rows(key, sources)
        assert not (found == -2).any()
        assert (found == -1).mean() == pytest.approx(
            0.4 if key.parent_table == "drug" else 0, abs=0.1
        )
    for table in schema().tables:
        keys = made[table.name].select(table.primary_key).to_pylist()
        assert len({tuple(row.values()) for row in keys}) == len(keys)
    assert made["drug"].sort_by("code")["name"].to_pylist() == ["a", "b", "c"]
    codes, counts = np.unique(made["visit"]["drug"].drop_null(), return_counts=True)
    assert codes[counts.argmax()] == 10


def test_children_follow_their_owner(made) -> None:
    key = schema().foreign_keys[0]
    found = parent_rows(key, {name: MemoryTable(table) for name, table in made.items()})
    oslo = np.asarray(pc.equal(made["person"]["city"], "Oslo"))
    counts = child_counts(found, len(oslo))
    assert counts[oslo].mean() > counts[~oslo].mean() + 1.5
    red = np.asarray(pc.equal(made["visit"]["ward"], "red"))
    assert red[oslo[found]].mean() > 0.6
    assert red[~oslo[found]].mean() < 0.4
    assert "Hermit's Rock" not in made["person"]["city"].to_pylist()
    assert not set(made["person"]["id"].to_pylist()) & {f"P{i:05d}" for i in range(PEOPLE)}


class _Replayed(Ledger):
    """A ledger that writes down true answers, and repeats another's noisy ones if told to."""

    def __init__(self, budget: Budget, script: list[np.ndarray] | None) -> None:
        super().__init__(budget, 7)
        self.script, self.asked, self.told = script, [], []

    def noisy(self, counts, precision, spent_on, sensitivity=1.0):
        answer = super().noisy(counts, precision, spent_on, sensitivity)
        self.asked.append((np.array(counts, np.float64), sensitivity, answer))
        return answer if self.script is None else self.script[0][len(self.asked) - 1]

    def known(self, counts, precision, delta, spent_on, also=0, most=1):
        """Line the cells up by their counts: the first run's many ones are told in both."""
        order = np.argsort(-counts, kind="stable")
        if self.script is None:
            cells = order[counts[order] > 50]
            answer = (len(cells), counts[cells] + 0.0, float(also))
        else:
            answer = self.script[1][len(self.told)]
        self.told.append((np.append(np.sort(counts)[::-1], also), most, answer))
        return order[: answer[0]], answer[1], answer[2]


def _asked(monkeypatch, gone: int | None, most: int, script=None) -> _Replayed:
    """Return the ledger of a fit in which one person is left out."""
    world, kin = clinic(), kinship(schema(), ("drug",))
    parents = {key: parent_rows(key, world) for key in schema().foreign_keys}
    held = {"person": np.zeros(PEOPLE, bool)}
    if gone is not None:
        held["person"][gone] = True
    ledgers: list[_Replayed] = []

    def opened(budget, entropy, unit):
        ledgers.append(_Replayed(budget, script))
        return ledgers[-1]

    monkeypatch.setattr(related, "Ledger", opened)
    monkeypatch.setattr(related, "_CHAIN_ROWS", (300, 300))
    home = Household.of(world, kin, parents, held)
    related.Study(home, replace(PRIVATE, entity_rows=most), lambda _: None, 0).run()
    return ledgers[0]


@pytest.mark.parametrize("most", [1, 3])
def test_no_person_moves_an_answer_further_than_is_paid_for(monkeypatch, most: int) -> None:
    whole = _asked(monkeypatch, None, most)
    script = [[answer for _, _, answer in own] for own in (whole.asked, whole.told)]
    moved = 0.0
    assert len(whole.asked) > 20
    assert whole.told
    for gone in (5, 0, 17):
        without = _asked(monkeypatch, gone, most, script)
        assert len(without.asked) == len(whole.asked)
        for (before, paid, _), (after, _, _) in zip(whole.asked, without.asked, strict=True):
            assert np.linalg.norm(before - after) <= paid + 1e-6
            moved = max(moved, float(np.linalg.norm(before - after)) / paid)
        for (before, paid, _), (after, _, _) in zip(whole.told, without.told, strict=True):
            short = np.append(
                np.insert(after[:-1], len(after) - 1, [0] * (len(before) - len(after))), after[-1]
            )
            assert np.linalg.norm(before - short) <= paid
    assert moved == pytest.approx(1.0, abs=0.35)


def test_the_ledger_pays_for_all_rows_of_a_person() -> None:
    ledger = Ledger(Budget(3.0, 1e-6), 1)
    share = Share(ledger, 3, ledger.precision / 2)
    share.noisy(np.zeros(4), share.precision, "counts")
    assert ledger.left == pytest.approx(ledger.precision / 2)
    with pytest.raises(AssertionError, match="share"):
        share.noisy(np.zeros(4), share.precision, "counts")


def test_at_most_so_many_rows_of_a_person_are_looked_at() -> None:
    world, kin = clinic(), kinship(schema(), ("drug",))
    parents = {key: parent_rows(key, world) for key in schema().foreign_keys}
    held = {"person": np.arange(PEOPLE) % 10 == 0}
    home = Household.of(world, kin, parents, held)
    for table in ("visit", "test"):
        rows = home.chosen(table, 2, np.random.default_rng(0))
        entity = home.entity[table]
        assert np.array_equal(
            np.bincount(entity[rows], minlength=PEOPLE),
            np.minimum(np.bincount(entity[entity >= 0], minlength=PEOPLE), 2),
        )
        assert not held["person"][entity[rows]].any()


def test_who_is_held_out_is_found_again_and_takes_all_rows_along() -> None:
    world = clinic()
    held = holdout_rows(schema(), world, 0.2, 3, ("drug",), private=True)
    assert held["person"].sum() == round(0.2 * PEOPLE)
    assert not held["drug"].any()
    for key in (schema().foreign_keys[0], schema().foreign_keys[2]):
        found = parent_rows(key, world)
        assert np.array_equal(held[key.child_table], held[key.parent_table][found])


def test_owners_follow_from_the_schema_alone() -> None:
    kin = kinship(schema(), ("drug",))
    assert {name: key.parent_table for name, key in kin.owners.items()} == {
        "visit": "person",
        "test": "visit",
    }
    assert kin.order_of == {"visit": "day", "test": ""}
    assert kinship(schema(), ("person", "drug")).root_of("test") == "visit"


def test_what_is_not_covered_is_refused_by_name() -> None:
    one = column("a", "int64", SemanticType.INTEGER)
    other = column("b", "int64", SemanticType.INTEGER)
    grid = Table(name="grid", columns=(one, other), primary_key=("a", "b"))
    with pytest.raises(UnsupportedError, match=r"\(a, b\) of table 'grid'"):
        kinship(Schema(tables=(grid,)), ())
    twice = Schema(
        tables=(
            Table(name="up", columns=(one, other), primary_key=("a", "b")),
            Table(name="side", columns=(one,), primary_key=("a",)),
            Table(name="down", columns=(one, other), primary_key=("b",)),
        ),
        foreign_keys=(
            _key("down", ("a", "b"), "up", ("a", "b")),
            _key("down", ("a",), "side", ("a",)),
        ),
    )
    with pytest.raises(UnsupportedError, match="share a column"):
        kinship(twice, ())
