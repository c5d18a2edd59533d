"""The copying alarm: rings on copies, keeps still on fair rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, Table
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.features import FeatureSpace
from syntheflow_server.quality.groups import row_groups
from syntheflow_server.quality.privacy.copying import ALARM_CAP, Copying
from syntheflow_server.quality.privacy.repeats import (
    number_chance,
    reused_values,
    shared_between,
    text_chance,
)
from unit.quality.worlds import PEOPLE_ONLY, SHOP, people, shop, silent, with_column


def renumbered(rows):
    return with_column(rows, "id", np.arange(rows.num_rows) + 10**6)


def test_copied_training_rows_trip_the_alarm(ask):
    answer = ask(Copying(), renumbered(people(900, 1)))
    assert answer.score.value == 0
    assert answer.score.raw > 0.95
    assert answer.cap == ALARM_CAP
    assert any("repeat a training row exactly" in text for text in answer.warnings)


def test_a_tenth_of_copies_is_enough(ask):
    mixed = pa.concat_tables([people(900, 1).slice(0, 90), people(810, 3)])
    answer = ask(Copying(), renumbered(mixed))
    assert answer.cap == ALARM_CAP


def test_copies_with_a_little_noise_lie_too_near(ask):
    rows = people(900, 1)
    rng = np.random.default_rng(0)
    income = np.asarray(rows["income"].fill_null(float("nan")))
    rows = with_column(rows, "income", pa.array(income + rng.normal(0, 20, 900), from_pandas=True))
    rows = with_column(rows, "name", people(900, 3)["name"])
    answer = ask(Copying(), rows)
    assert answer.score.raw > 0.8
    assert "nearer to training than to held-out rows" in answer.warnings[0]


def test_fair_rows_keep_it_still(ask):
    answer = ask(Copying(), people(900, 3))
    assert answer.score.value > 0.95
    assert answer.score.raw == pytest.approx(0.5, abs=0.1)
    assert answer.warnings == ()


def test_a_near_unique_column_taken_from_training_is_named(ask):
    answer = ask(Copying(), with_column(people(900, 3), "name", people(900, 1)["name"]))
    assert "nearly unique column name" in answer.warnings[0]
    assert answer.score.value == 0


def test_warnings_hold_no_value(ask):
    copied = people(900, 1)
    text = " ".join(ask(Copying(), copied).warnings)
    assert not any(name in text for name in copied["name"].to_pylist())


def test_rows_that_the_truth_itself_repeats_are_no_copies():
    schema = PEOPLE_ONLY.model_copy(
        update={
            "tables": (
                PEOPLE_ONLY.tables[0].model_copy(
                    update={
                        "columns": tuple(
                            PEOPLE_ONLY.tables[0].column(n) for n in ("id", "town", "married")
                        )
                    }
                ),
            )
        }
    )
    train, holdout, synthetic = (
        {"people": people(n, s)} for n, s in ((900, 1), (300, 2), (900, 3))
    )
    answer = Copying().measure(Evidence(schema, train, holdout, synthetic, seed=1), silent)
    assert answer.details["people"]["repeats"][0]["synthetic"] == 1
    assert answer.warnings == ()


def test_without_held_out_rows_there_is_no_measure_and_no_alarm(ask):
    answer = ask(Copying(), people(900, 1), holdout=people(10, 2))
    assert answer.score is None
    assert answer.cap == 1
    assert "fewer than 40 held-out rows" in answer.not_measured[0]


def test_the_leaking_table_decides():
    fair = shop(900, 3)
    tables = {"people": fair["people"], "orders": shop(900, 1)["orders"]}
    evidence = Evidence(SHOP, shop(900, 1), shop(300, 2), tables, seed=1)
    answer = Copying().measure(evidence, silent)
    assert answer.tables["people"].value > 0.9
    assert answer.score.value == answer.tables["orders"].value < 0.1


def test_numbers_that_fill_their_range_meet_by_chance():
    assert number_chance(np.arange(1000.0)) == pytest.approx(1)
    third = np.sort(np.append(np.arange(1000.0) * 3, 1.0))
    assert number_chance(third) == pytest.approx(1 / 3, abs=0.01)
    assert number_chance(np.sort(np.random.default_rng(0).random(1000))) < 0.01
    assert number_chance(np.array([5.0])) == 0


def test_strings_that_fill_their_pattern_meet_by_chance():
    counters = pa.chunked_array([[f"C{number:04d}" for number in range(1000)]])
    phones = pa.chunked_array(
        [[f"0{n:09d}" for n in np.random.default_rng(0).integers(0, 10**9, 1000)]]
    )
    assert text_chance(counters, 1000) == pytest.approx(1)
    assert text_chance(phones, 1000) < 0.001


def test_coarse_rows_of_different_entities_meet_by_chance():
    hashes = np.array([1, 1, 2, 2, 3, 4], np.uint64)
    groups = np.array([0, 1, 2, 2, 3, 4])
    # Row 1 is held by two entities; row 2 twice by the same one, which is its own affair.
    assert shared_between(hashes, groups) == pytest.approx(2 / 6)
    assert shared_between(hashes[:0], groups[:0]) == 0


def days(seed, spread):
    rng = np.random.default_rng(seed)
    return pa.table({"id": np.arange(600) + seed * 1000, "day": rng.integers(0, spread, 600)})


def reused(spread):
    # Each synthetic day is one of the training rows': only where days are rare does it tell.
    train, holdout = days(1, spread), days(2, spread)
    synthetic = with_column(days(3, spread), "day", train["day"].to_numpy()[::-1])
    columns = tuple(
        Column(name=name, type="int64", semantic_type=kind, nullable=False)
        for name, kind in (("id", "identifier"), ("day", "integer"))
    )
    schema = Schema(tables=(Table(name="events", columns=columns, primary_key=("id",)),))
    sides = [{"events": side} for side in (train, holdout, synthetic)]
    evidence = Evidence(schema, *sides, seed=0)
    space = FeatureSpace(evidence.schema, "events", train, lambda: None)
    return reused_values(evidence, "events", space, row_groups(evidence, "events"))


def test_values_that_fill_their_range_are_no_sign_of_copying():
    assert reused(900) == []
    assert reused(10**6)[0].synthetic == 1.0


def test_rows_belong_to_the_entity_that_was_held_out_and_not_to_its_children() -> None:
    def table(name, columns, key):
        fields = tuple(Column(name=c, type="int64", semantic_type="identifier") for c in columns)
        return Table(name=name, columns=fields, primary_key=(key,))

    made = [
        table("person", ("p",), "p"),
        table("visit", ("v", "p"), "v"),
        table("test", ("t", "v"), "t"),
    ]
    keys = [("visit", "p", "person"), ("test", "v", "visit")]
    schema = Schema(
        tables=tuple(made),
        foreign_keys=tuple(
            ForeignKey(child_table=c, child_columns=(n,), parent_table=p, parent_columns=(n,))
            for c, n, p in keys
        ),
    )

    def side(persons):
        visits = [10 * p + i for p in persons for i in range(3)]
        tests = [10 * v + i for v in visits for i in range(2)]
        return {
            "person": pa.table({"p": persons}),
            "visit": pa.table({"v": visits, "p": [v // 10 for v in visits]}),
            "test": pa.table({"t": tests, "v": [t // 10 for t in tests]}),
        }

    evidence = Evidence(schema, side([1, 2, 3]), side([4, 5]), side([1, 2]), 0)
    groups = row_groups(evidence, "test")
    assert [len(set(own.tolist())) for own in (groups.train, groups.holdout)] == [3, 2]
    assert not set(groups.train.tolist()) & set(groups.holdout.tolist())
