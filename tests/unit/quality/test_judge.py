"""The judgement as a whole: score, warnings, progress, what reports may say."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from syntheflow_server.domain.errors import CancelledError, InvalidArgumentError
from syntheflow_server.quality import judge
from syntheflow_server.quality.metric import Measurement
from syntheflow_server.quality.registry import METRICS
from syntheflow_server.quality.score import quality
from unit.quality.worlds import (
    MARKET,
    PEOPLE_ONLY,
    SHOP,
    market,
    people,
    shop,
    silent,
    towns,
    with_column,
)


@pytest.fixture(scope="module")
def heard():
    return []


@pytest.fixture(scope="module")
def fair(heard):
    return judge(
        MARKET,
        market(600, 1),
        shop(200, 2),
        market(600, 3),
        seed=5,
        report=lambda fraction, stage: heard.append((fraction, stage)),
    )


def test_fair_rows_score_high_with_all_parts(fair):
    assert fair.quality > 0.9
    assert {part.name for part in fair.parts} == {metric.name for metric in METRICS}
    assert [table.table for table in fair.tables] == ["people", "orders", "towns"]
    # Of the towns none is held back.
    assert all("towns: fewer than" in text for text in fair.warnings)


def test_progress_rises_to_one_and_names_its_stage(fair, heard):
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert any(stage == "Detection: people" for _, stage in heard)


def test_details_fit_json_and_survive_it(fair):
    assert json.loads(json.dumps(fair.details, allow_nan=False)) == fair.details


def test_a_raising_report_ends_the_judgement():
    def cancel(fraction, stage):
        if fraction > 0.2:
            raise CancelledError("stopped", reason="CANCELLED")

    with pytest.raises(CancelledError):
        judge(SHOP, shop(100, 1), {}, shop(100, 3), seed=5, report=cancel)


def test_without_held_out_rows_detection_is_left_out_and_said():
    found = judge(
        PEOPLE_ONLY,
        {"people": people(200, 1)},
        {},
        {"people": people(200, 3)},
        seed=5,
        report=silent,
    )
    assert not {part.name for part in found.parts} & {"detection", "copying"}
    assert Counter(text.split(":")[0] for text in found.warnings) == {"Not measured": 2}


def test_kept_tables_are_not_judged_and_it_is_said_once():
    real, other, held_out = market(60, 1), market(60, 3), {"towns": towns(45, 2)}
    other["towns"] = real["towns"]
    open_ = judge(MARKET, real, held_out, other, seed=5, report=silent)
    kept = judge(MARKET, real, held_out, other, seed=5, report=silent, kept=["towns"])
    scores = [
        {score.name for table in found.tables if table.table == "towns" for score in table.scores}
        for found in (open_, kept)
    ]
    assert scores[0] >= {"detection", "copying", "small_tables", "pair_trends"}
    assert scores[1] == {"key_integrity"}
    assert open_.quality <= 0.5 < kept.quality  # copies ring the alarm; kept rows are no copies
    assert [text for text in kept.warnings if "towns" in text] == [
        "Not judged: towns: kept, so that every row comes out as it is."
    ]
    assert kept.details["tables"]["towns"]["kept"]


def test_a_sample_of_entities_is_said():
    found = judge(SHOP, shop(60, 1), {}, shop(60, 3), seed=5, report=silent, whole=False)
    assert any(text.startswith("Not all rows were looked at") for text in found.warnings)
    assert "key_graph" not in {part.name for part in found.parts}


def test_broken_keys_cap_the_total_and_say_so():
    tables = shop(300, 3)
    tables["people"] = with_column(tables["people"], "id", [1] * 300)
    found = judge(SHOP, shop(600, 1), {}, tables, seed=5, report=silent)
    assert found.quality <= 0.5
    assert any(text.startswith("Broken rule") for text in found.warnings)


def test_the_total_is_the_weighted_mean_of_what_was_measured():
    first, second = METRICS[0], METRICS[2]
    answers = {
        first: Measurement(score=first.score(0.5, 0, "")),
        second: Measurement(score=second.score(1.0, 0, "")),
        METRICS[1]: Measurement(not_measured=("Not measured",)),
    }
    total, caps = quality(answers)
    expected = (first.weight * 0.5 + second.weight) / (first.weight + second.weight)
    assert total == pytest.approx(expected)
    assert caps == ()


def test_a_cap_bounds_the_total():
    first = METRICS[0]
    total, caps = quality({first: Measurement(score=first.score(1, 0, ""), cap=0.5)})
    assert total == 0.5
    assert "capped at 0.50" in caps[0]


@pytest.mark.parametrize("side", ["training", "synthetic"])
def test_a_missing_table_is_named(side):
    tables = {"training": shop(20, 1), "synthetic": shop(20, 3)}
    del tables[side]["orders"]
    with pytest.raises(InvalidArgumentError, match=f"{side} rows of table 'orders'") as caught:
        judge(SHOP, tables["training"], {}, tables["synthetic"], seed=1, report=silent)
    assert caught.value.violations[0].table == "orders"


def test_a_missing_column_is_named():
    tables = shop(20, 3)
    tables["people"] = tables["people"].drop_columns(["town"])
    with pytest.raises(InvalidArgumentError, match="'town'"):
        judge(SHOP, shop(20, 1), {}, tables, seed=1, report=silent)
