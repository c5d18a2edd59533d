"""Pictures show what many share and nothing that tells of one person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.profile import FEW, _bin, _bin_labels, _bounds, _merged, profiles
from unit.quality.worlds import PEOPLE_ONLY, SHOP, people, shop, silent, with_column


def pictures(rows, schema=PEOPLE_ONLY):
    tables = rows if isinstance(rows, dict) else {"people": rows}
    found = profiles(Evidence(schema, tables, {}, tables, seed=1), silent)
    return {
        entry["column"]: entry["picture"] for page in found.values() for entry in page["columns"]
    }


def test_every_column_but_keys_has_a_picture_whose_shares_sum_to_one():
    found = pictures(people(400, 1))
    assert found.pop("id") is None
    for picture in found.values():
        for side in ("real", "synthetic"):
            assert sum(picture[side]) + picture["missing"][side] == pytest.approx(1)
            assert len(picture[side]) == len(picture["labels"])


def test_labels_that_few_rows_share_are_not_shown():
    rows = people(400, 1)
    towns = ["Rareville"] * (FEW - 1) + ["Ulm"] * 200 + ["Bonn"] * (200 - FEW + 1)
    picture = pictures(with_column(rows, "town", towns))["town"]
    assert picture["labels"] == ["Ulm", "Bonn", "all others"]
    assert picture["real"][2] == pytest.approx((FEW - 1) / 400)


def test_a_label_of_many_rows_of_one_parent_is_not_shown():
    # Rows are known to belong together where training and held-out rows share no parent.
    train, holdout = shop(300, 1), shop(100, 2)
    person = np.asarray(train["orders"]["person"])
    largest = np.argmax(np.bincount(person))
    wares = np.where(person == largest, "his own", "tea")
    assert (person == largest).sum() >= FEW
    train["orders"] = with_column(train["orders"], "wares", wares)
    holdout["orders"] = with_column(
        holdout["orders"], "wares", ["tea"] * holdout["orders"].num_rows
    )
    found = profiles(Evidence(SHOP, train, holdout, train, seed=1), silent)
    (picture,) = (e["picture"] for e in found["orders"]["columns"] if e["column"] == "wares")
    assert picture["labels"] == ["tea", "all others"]


def test_smallest_and_largest_values_are_not_bounds():
    rows = with_column(people(400, 1), "age", [1, *range(40, 438), 987_654])
    picture = pictures(rows)["age"]
    assert picture["labels"][0].startswith("below ")
    assert picture["labels"][-1].endswith(" and above")
    assert min(picture["bounds"]) > 1
    assert max(picture["bounds"]) < 438


@settings(max_examples=50)
@given(st.lists(st.integers(0, 60), min_size=FEW, max_size=200))
def test_every_bin_holds_no_real_row_or_enough(values):
    real = np.array(values, dtype=float)
    bounds = _merged(_bounds(real, "whole"), real, np.arange(len(real)))
    held = np.bincount(_bin(real, bounds), minlength=len(bounds) + 1)
    assert ((held == 0) | (held >= FEW)).all()
    assert held.sum() == len(values)


def test_spikes_and_constants_have_a_picture():
    rows = with_column(people(400, 1), "age", [7] * 400)
    assert sum(pictures(rows)["age"]["real"]) == pytest.approx(1)


def test_a_column_of_nothing_has_none():
    assert pictures(with_column(people(50, 1), "income", [None] * 50))["income"] is None


def test_texts_show_lengths_only():
    rows = people(400, 1)
    assert not set(pictures(rows)["name"]["labels"]) & set(rows["name"].to_pylist())


@pytest.mark.parametrize(
    ("bounds", "unit", "labels"),
    [
        ([10.0, 20.0], "whole", ["below 10", "10 to 19", "20 and above"]),
        ([1.0, 2.0], "whole", ["below 1", "1", "2 and above"]),
        ([0.5, 1.0], "number", ["below 0.5", "0.5 to 1", "1 and above"]),
        ([3600.0], "time of day", ["below 01:00", "01:00 and above"]),
        ([365.25], "day", ["below 1971-01-01", "1971-01-01 and above"]),
        ([86_400.0], "instant", ["below 1970-01-02", "1970-01-02 and above"]),
        ([], "whole", ["all values"]),
    ],
)
def test_bounds_read_as_words(bounds, unit, labels):
    assert _bin_labels(np.array(bounds), unit) == labels
