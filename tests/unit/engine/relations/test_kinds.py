"""Each kind of relation is found where every row obeys it, and nowhere else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.engine.relations import Ref, relation_from_state, relation_to_state

ROWS = 600


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def made_by(relations, name):
    return next((r for r in relations if name in r.makes), None)


def test_a_label_decides_its_number(find_one, rng):
    codes = rng.integers(0, 6, ROWS)
    labels = np.array(["none", "first", "second", "third", "fourth", "fifth"])[codes]
    relation = made_by(find_one(pa.table({"label": labels, "number": codes})), "number")
    assert relation.kind == "mapping"
    derived = relation.derive("number", {Ref("label"): pa.array(["third", "none"])})
    assert derived.to_pylist() == [3, 0]


def test_a_number_between_known_ones_takes_the_nearest_ones_group(find_one, rng):
    ages = rng.choice([20, 30, 40, 50], ROWS)
    relations = find_one(pa.table({"age": ages, "old": ages >= 40}))
    relation = made_by(relations, "old")
    derived = relation.derive("old", {Ref("age"): pa.array([21, 44])})
    assert derived.to_pylist() == [False, True]


def test_a_nearly_unique_column_decides_nothing(find_one, rng):
    names = [f"n{i // 2}" for i in range(ROWS)]
    groups = np.repeat(rng.choice(["a", "b"], ROWS // 2), 2)
    assert made_by(find_one(pa.table({"name": names, "group": groups})), "group") is None


def test_a_flag_that_is_hardly_ever_set_is_no_proof(find_one, rng):
    letters = rng.choice(list("abcdefghij"), ROWS)
    flag = np.zeros(ROWS, bool)
    letters[3], flag[3] = "k", True
    assert made_by(find_one(pa.table({"letter": letters, "flag": flag})), "flag") is None


def test_one_row_that_differs_breaks_a_rule(find_one, rng):
    codes = rng.integers(0, 4, ROWS)
    labels = np.array(list("wxyz"))[codes]
    labels[17] = "w" if labels[17] != "w" else "x"
    assert find_one(pa.table({"code": codes, "label": labels})) == ()


def test_calendar_parts_are_read_from_an_instant_in_the_zone_they_were_written_in(find_one, rng):
    begin = datetime(2021, 1, 1, tzinfo=UTC)
    moments = [begin + timedelta(hours=int(h)) for h in rng.integers(0, 9000, ROWS)]
    at = pa.array(moments, pa.timestamp("us", tz="UTC"))
    local = [m.astimezone(ZoneInfo("America/New_York")).hour for m in moments]
    years = [m.year - 2020 for m in moments]
    relations = find_one(pa.table({"at": at, "hour": local, "year": years}))
    hour = made_by(relations, "hour")
    assert (hour.kind, hour.zone) == ("part", "America/New_York")
    probe = {Ref("at"): pa.array([datetime(2021, 7, 1, 3, tzinfo=UTC)], at.type)}
    assert hour.derive("hour", probe).to_pylist() == [23]


def test_weekdays_may_begin_on_any_day(find_one, rng):
    days = [date(2022, 1, 3) + timedelta(int(d)) for d in rng.integers(0, 700, ROWS)]
    sunday_first = [(d.weekday() + 1) % 7 + 1 for d in days]
    relations = find_one(pa.table({"day": pa.array(days, pa.date32()), "weekday": sunday_first}))
    relation = made_by(relations, "weekday")
    probe = {Ref("day"): pa.array([date(2030, 1, 6), date(2030, 1, 7), None], pa.date32())}
    assert relation.derive("weekday", probe).to_pylist() == [1, 2, None]


def test_a_total_is_its_parts(find_one, rng):
    left, right = np.round(rng.gamma(2, 90, (2, ROWS)), 2)
    total = np.round(left + right, 2)
    relation = made_by(find_one(pa.table({"net": left, "tax": right, "gross": total})), "gross")
    given = {Ref("net"): pa.array([0.1, 1.0]), Ref("tax"): pa.array([0.2, None])}
    assert relation.derive("gross", given).to_pylist() == [0.3, None]


def test_a_total_of_three_and_a_clock_number_are_sums_too(find_one, rng):
    hour, minute, a, b, c = (rng.integers(0, n, ROWS) for n in (24, 60, 900, 900, 900))
    data = {"h": hour, "m": minute, "clock": hour * 100 + minute, "a": a, "b": b, "c": c}
    relations = find_one(pa.table(data | {"sum": a + b + c}))
    assert made_by(relations, "clock").factors == (100, 1)
    assert {ref.column for ref in made_by(relations, "sum").needs} == {"a", "b", "c"}


def test_an_amount_is_price_times_quantity_rounded(find_one, rng):
    price, rate = np.round(rng.uniform(1, 99, ROWS), 2), rng.integers(101, 250, ROWS) / 100
    amount = np.floor(price * rate * 100 + 0.5 + 1e-9) / 100
    relation = made_by(find_one(pa.table({"p": price, "r": rate, "amount": amount})), "amount")
    assert relation.product


def test_an_end_is_a_start_and_a_duration(find_one, rng):
    days = rng.integers(15_000, 16_000, ROWS)
    length = rng.integers(1, 60, ROWS)
    start, end = (pa.array(d.astype(np.int32)).cast(pa.date32()) for d in (days, days + length))
    data = pa.table({"start": start, "end": end, "days": length})
    kinds = {r.kind for r in find_one(data)}
    assert "linear" in kinds


def test_exactly_one_flag_of_a_group_is_one_token(find_one, rng):
    which = rng.integers(0, 5, ROWS)
    flags = {f"is_{i}": (which == i).astype(np.int64) for i in range(5)}
    relations = find_one(pa.table(flags | {"other": rng.integers(0, 2, ROWS)}))
    relation = made_by(relations, "is_0")
    assert relation.makes == tuple(flags)
    derived = relation.derive("is_3", {Ref(relation.hidden[0].name): pa.array([3, 1])})
    assert derived.to_pylist() == [1, 0]


def test_an_e_mail_is_written_from_the_name(find_one, rng):
    letters = np.array(list("abcdefghijklmnop"))
    first = ["".join(rng.choice(letters, 5)).title() for _ in range(ROWS)]
    last = ["".join(rng.choice(letters, 7)).title() for _ in range(ROWS)]
    hosts = rng.choice(["@a.org", "@b.net"], ROWS)
    mail = [f"{f.lower()}.{n.lower()}{h}" for f, n, h in zip(first, last, hosts, strict=True)]
    relation = made_by(find_one(pa.table({"first": first, "last": last, "mail": mail})), "mail")
    given = {
        Ref("first"): pa.array(["Ada", None]),
        Ref("last"): pa.array(["Byron", "X"]),
        Ref(relation.hidden[0].name): pa.array(["@a.org", "@b.net"]),
    }
    assert relation.derive("mail", given).to_pylist() == ["ada.byron@a.org", None]


def test_a_date_that_follows_another_closely_is_kept_as_the_distance(find_one, rng):
    days = rng.integers(15_000, 18_000, ROWS)
    later = pa.array(
        (days + rng.integers(0, 9, ROWS)).astype(np.int32), mask=rng.random(ROWS) < 0.1
    )
    data = pa.table(
        {
            "sent": pa.array(days.astype(np.int32)).cast(pa.date32()),
            "come": later.cast(pa.date32()),
        }
    )
    relation = next(r for r in find_one(data) if r.kind == "difference")
    hidden = relation.hide({Ref(name): data[name].combine_chunks() for name in data.column_names})
    steps = hidden[relation.hidden[0].name]
    assert (steps.null_count, steps.drop_null().to_numpy().min()) == (later.null_count, 0)


def test_a_part_is_never_more_than_its_whole(find_one, rng):
    whole = rng.gamma(2, 10, ROWS)
    data = pa.table({"part": whole * rng.random(ROWS), "whole": whole})
    relation = next(r for r in find_one(data) if r.kind == "bounded")
    given = {Ref("part"): pa.array([5.0, 1.0, None])}
    given[Ref(relation.hidden[0].name)] = pa.array([3.0, 2.0, 4.0])
    assert relation.derive("whole", given).to_pylist() == [5.0, 2.0, 4.0]


def test_a_few_rows_are_enough_where_the_names_say_what_comes_first(find_one):
    days = pa.array(np.array([1, 5, 9, 30], np.int32)).cast(pa.date32())
    later = pa.array(np.array([3, 6, 20, 31], np.int32)).cast(pa.date32())
    assert find_one(pa.table({"a": days, "b": later})) == ()
    (relation,) = find_one(pa.table({"start_date": days, "end_date": later}))
    assert (relation.kind, relation.makes) == ("bounded", ("end_date",))


def test_columns_of_separate_ranges_are_no_pair(find_one, rng):
    data = pa.table({"a": rng.normal(0, 1, ROWS), "b": rng.normal(90, 1, ROWS)})
    assert find_one(data) == ()


def test_every_relation_survives_being_written_down(find_one, rng):
    codes = rng.integers(0, 6, ROWS)
    days = pa.array(rng.integers(15_000, 18_000, ROWS).astype(np.int32)).cast(pa.date32())
    left, right = rng.integers(0, 500, (2, ROWS))
    flags = {f"is_{i}": codes % 3 == i for i in range(3)}
    data = {"code": codes, "label": np.array(list("abcdef"))[codes], "day": days, "l": left}
    data |= {"r": right, "sum": left + right, "month": [d.month for d in days.to_pylist()]} | flags
    relations = find_one(pa.table(data))
    assert {r.kind for r in relations} >= {"mapping", "part", "linear"}
    for relation in relations:
        again = relation_from_state(*relation_to_state(relation))
        assert relation_to_state(again)[0] == relation_to_state(relation)[0]
        given = {ref: pa.table(data)[ref.column].combine_chunks() for ref in relation.needs}
        for column, values in relation.hide({Ref(n): pa.array(v) for n, v in data.items()}).items():
            given[Ref(column)] = values
        for name in relation.makes:
            assert again.derive(name, given).equals(relation.derive(name, given))


def test_relations_tell_columns_in_words_and_no_values(find_one, rng):
    codes = rng.integers(0, 6, ROWS)
    low, more = rng.integers(0, 1000, ROWS), rng.integers(0, 800, ROWS)
    rows = {
        "label": np.array(["none", "first", "second", "third", "fourth", "fifth"])[codes],
        "number": codes,
        "low": low,
        "more": more,
        "total": low + more,
    }
    told = {relation.describe() for relation in find_one(pa.table(rows))}
    assert told == {
        "'number' is determined by 'label'",
        "'total' is the sum of 'low' and 'more'",
    }
