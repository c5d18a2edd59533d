"""Kinds of columns, numbers, codes, calendar and text parts, keys."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.quality.columns import (
    MISSING,
    Codes,
    Kind,
    calendar_parts,
    column_kinds,
    numbers,
    six_digits,
    text_parts,
)
from syntheflow_server.quality.features import MAX_CODES, FeatureSpace
from syntheflow_server.quality.keys import NO_KEY, child_counts, key_codes
from unit.quality.worlds import PEOPLE_ONLY, SHOP, people, shop


def test_kinds_follow_schema_and_data():
    kinds = column_kinds(PEOPLE_ONLY, "people", people(300, 1))
    assert kinds == {
        "id": Kind.KEY,
        "name": Kind.TEXT,
        "age": Kind.NUMBER,
        "income": Kind.NUMBER,
        "town": Kind.CATEGORY,
        "married": Kind.CATEGORY,
        "born": Kind.TIME,
        "seen": Kind.TIME,
    }


def test_references_are_keys_and_parts_of_composite_keys_are_content():
    kinds = column_kinds(SHOP, "orders", shop(50, 1)["orders"])
    assert kinds["person"] is Kind.KEY
    assert kinds["line"] is Kind.NUMBER


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_six_digits_survive_float32(value):
    wide = np.array([value])
    assert abs(six_digits(wide) - wide) <= abs(wide) * 1e-5


def test_six_digits_keep_zero_and_drop_what_is_not_finite():
    found = six_digits(np.array([0.0, -0.0, np.inf, np.nan, 1234567.0, -0.00012345678]))
    assert found[:2].tolist() == [0, 0]
    assert np.isnan(found[2:4]).all()
    assert found[4:].tolist() == pytest.approx([1234570.0, -0.000123457])


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (True, pa.bool_(), 1),
        (2**40 + 1, pa.int64(), 2**40 + 1),
        (decimal.Decimal("12.50"), pa.decimal128(10, 2), 12.5),
        (dt.date(1970, 1, 11), pa.date32(), 10),
        (dt.time(1, 0, 1), pa.time64("us"), 3601),
        (dt.datetime.fromisoformat("1970-01-02"), pa.timestamp("us"), 86_400),
        (dt.timedelta(seconds=1.5), pa.duration("us"), 1.5),
    ],
)
def test_every_type_becomes_numbers(value, kind, expected):
    found = numbers(pa.chunked_array([pa.array([value, None], kind)]))
    assert found[0] == expected
    assert np.isnan(found[1])


def test_codes_are_by_frequency_with_one_for_missing_and_one_for_the_rest():
    codes = Codes.fit(pa.chunked_array([["b", "a", "b", None, "c"]]), 2)
    assert codes.values.to_pylist() == ["b", "a"]
    assert codes.encode(pa.chunked_array([["a", "b", None, "x"]])).tolist() == [1, 0, MISSING, 2]


@given(st.datetimes(dt.datetime.fromisoformat("1901-01-01")))
def test_calendar_parts_agree_with_the_calendar(moment):
    parts = calendar_parts(pa.chunked_array([pa.array([moment, None], pa.timestamp("us"))]))
    second = (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    assert parts["month"][0] == moment.month
    assert parts["day"][0] == moment.day
    assert parts["weekday"][0] == moment.weekday()
    assert parts["second of the day"][0] == pytest.approx(second, abs=1e-3)
    assert all(np.isnan(part[1]) for part in parts.values())


def test_text_parts_describe_the_form():
    parts = text_parts(pa.chunked_array([["Ab 12!", None]]))
    assert {name: part[0] for name, part in parts.items()} == pytest.approx(
        {"length": 6, "words": 2, "digits": 2 / 6, "capitals": 1 / 6, "signs": 1 / 6}
    )
    assert all(np.isnan(part[1]) for part in parts.values())


def test_features_leave_keys_out_and_keep_missing_missing():
    rows = people(300, 1)
    features = FeatureSpace(PEOPLE_ONLY, "people", rows).encode(rows)
    assert "id" not in features.columns
    income = features.matrix[:, features.columns.index("income")]
    assert np.isnan(income).sum() == rows["income"].null_count


def test_unseen_categories_share_a_code_of_their_own():
    space = FeatureSpace(PEOPLE_ONLY, "people", people(300, 1))
    rows = people(5, 2)
    place = rows.column_names.index("town")
    strange = rows.set_column(place, "town", pa.array(["Rome", "Oslo", "Ulm", None, "Rome"]))
    features = space.encode(strange)
    codes = features.matrix[:, features.columns.index("town")]
    assert codes[0] == codes[1] == codes[4] == 4
    assert codes[2] < 4
    assert np.isnan(codes[3])


def test_many_categories_add_frequency_and_form():
    towns = [f"town {number}" for number in range(MAX_CODES * 2)] * 3
    rows = people(len(towns), 1)
    rows = rows.set_column(rows.column_names.index("town"), "town", pa.array(towns))
    features = FeatureSpace(PEOPLE_ONLY, "people", rows).encode(rows)
    assert features.columns.count("town") == 7
    codes = features.matrix[:, features.columns.index("town")]
    assert codes.max() == MAX_CODES


_PARTS = st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, "a", "b"])))


@given(_PARTS, _PARTS)
def test_key_codes_are_equal_where_keys_are(left, right):
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    sides = [
        (pa.Table.from_pylist([{"n": n, "t": t} for n, t in rows], schema=schema), ("n", "t"))
        for rows in (left, right)
    ]
    codes, count = key_codes(sides)
    together = list(zip([*left, *right], np.concatenate(codes).tolist(), strict=True))
    for key, code in together:
        assert (code == NO_KEY) == (None in key)
        assert code < count
        for other, that in together:
            if None not in key and None not in other:
                assert (key == other) == (code == that)


def test_child_counts_include_parents_without_children():
    child = pa.table({"p": [1, 1, None, 9, 3]})
    parent = pa.table({"id": [1, 2, 3]})
    assert child_counts(child, ["p"], parent, ["id"]).tolist() == [2, 0, 1]
