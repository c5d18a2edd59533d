import datetime as dt
import itertools

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import FitSettings, Sampler, SampleSpec, fit
from syntheflow_server.engine.encoding.days import (
    MONTH,
    YEAR,
    closed_weekdays,
    from_slots,
    to_open,
    to_slots,
)

DAY = 86_400_000_000


@pytest.mark.parametrize("day", [1, DAY])
def test_slots_give_back_every_day_from_long_before_1970_to_long_after(day):
    days = np.arange(-200_000, 200_000, 7, dtype=np.int64) * day
    slots = to_slots(days, day)
    assert (np.diff(slots) > 0).all()
    np.testing.assert_array_equal(from_slots(slots, day), days)


def test_the_first_of_april_is_always_a_year_of_slots_apart():
    days = [(dt.date(year, 4, 1) - dt.date(1970, 1, 1)).days for year in range(1960, 2030)]
    assert set(np.diff(to_slots(np.array(days), 1))) == {YEAR}


def test_a_slot_beyond_the_end_of_a_month_is_its_last_day():
    leap = (dt.date(2024, 2, 29) - dt.date(1970, 1, 1)).days
    slot = to_slots(np.array([leap]), 1)
    assert from_slots(slot - slot % MONTH + 31, 1).tolist() == [leap]


def test_days_that_are_never_worked_are_found_and_left():
    days = np.arange(0, 3000)
    work = days[(days + 3) % 7 < 5]
    assert closed_weekdays(work) == (5, 6)
    assert closed_weekdays(days) == ()
    moved = to_open(days, (5, 6))
    assert ((moved + 3) % 7 < 5).all()
    assert np.abs(moved - days).max() == 1


def test_few_days_close_no_weekday():
    assert closed_weekdays(np.arange(0, 50, 7)) == ()


def company(next_pay):
    """Return people hired on any day, each with a pay that changes on `next_pay`'s days."""
    rng = np.random.default_rng(5)
    start = dt.date(2010, 1, 1)
    hired = [start + dt.timedelta(days=int(d)) for d in rng.integers(0, 3000, 300)]
    pays = [(i, day) for i, day0 in enumerate(hired) for day in next_pay(day0, rng)]
    people = pa.table({"id": range(300), "hired": hired})
    pay = pa.table(
        {"id": range(len(pays)), "person": [p[0] for p in pays], "since": [p[1] for p in pays]}
    )

    def column(name, kind, meaning):
        return Column(name=name, type=kind, semantic_type=meaning, nullable=False)

    key = column("id", "int64", "identifier")
    person, since = column("person", "int64", "identifier"), column("since", "date32", "date")
    tables = (
        Table(name="people", columns=(key, column("hired", "date32", "date")), primary_key=("id",)),
        Table(name="pay", columns=(key, person, since), primary_key=("id",)),
    )
    link = ForeignKey(
        child_table="pay",
        child_columns=("person",),
        parent_table="people",
        parent_columns=("id",),
    )
    schema = Schema(tables=tables, foreign_keys=(link,))
    return schema, {"people": MemoryTable(people), "pay": MemoryTable(pay)}


def later_pays(schema, tables):
    sampler = Sampler(fit(schema, tables, FitSettings(time_limit_seconds=8), lambda _: None))
    plan = sampler.plan(SampleSpec(seed=1), lambda: None)
    wanted = frozenset(["pay"])
    parts = [f.batch for u in range(plan.unit_count) for f in sampler.sample(plan, u, wanted)]
    rows = pa.Table.from_batches(parts).sort_by([("person", "ascending"), ("since", "ascending")])
    person, since = rows["person"].to_pylist(), rows["since"].to_pylist()
    pairs = list(zip(person, since, strict=True))
    later = [b[1] for a, b in itertools.pairwise(pairs) if a[0] == b[0]]
    assert len(later) > 100
    return later


def test_what_happens_each_first_of_april_keeps_to_it():
    def yearly(day, rng):
        return [day, *(dt.date(day.year + 1 + i, 4, 1) for i in range(rng.integers(1, 5)))]

    later = later_pays(*company(yearly))
    assert np.mean([(day.month, day.day) == (4, 1) for day in later]) > 0.95


def test_what_happens_on_the_fifteenth_keeps_to_it():
    def monthly(day, rng):
        months = np.cumsum(rng.integers(1, 4, rng.integers(1, 5))) + day.month
        return [day, *(dt.date(day.year + m // 12, m % 12 + 1, 15) for m in months.tolist())]

    later = later_pays(*company(monthly))
    assert np.mean([day.day == 15 for day in later]) > 0.95


def test_nothing_happens_on_weekdays_when_nothing_ever_did():
    def working(day, rng):
        days = [day + dt.timedelta(days=int(d)) for d in np.cumsum(rng.integers(1, 60, 6))]
        return sorted({d for d in days if d.weekday() < 5}) or [dt.date(2012, 1, 2)]

    assert max(day.weekday() for day in later_pays(*company(working))) < 5
