"""What siblings hand on to one another: equal values, steps, times of day, first dates."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import learn, world

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.engine import FittedModel, Sampler, SampleSpec
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.readings import Reading, find_readings

_BEGIN = date(2020, 1, 1)
_OWNERS = 300


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _stories() -> dict[str, tuple[pa.Table, str]]:
    """Return members with visits: dates after joining, a meter that rises, a desk that stays."""
    rng = np.random.default_rng(0)
    joined = [_BEGIN + timedelta(days=int(d)) for d in rng.integers(0, 1500, _OWNERS)]
    rows: dict[str, list[object]] = {n: [] for n in ("m", "day", "meter", "desk", "at", "v")}
    for member in range(_OWNERS):
        day = joined[member] + timedelta(days=int(rng.integers(0, 30)))
        meter, desk = int(rng.integers(0, 100_000)), f"desk {rng.integers(0, 30)}"
        at = int(rng.integers(5 * 3600, 20 * 3600))
        for _ in range(rng.integers(2, 9)):
            rows["m"].append(member + 1)
            rows["day"].append(day)
            rows["meter"].append(meter)
            rows["desk"].append(desk)
            rows["at"].append(_clock(at))
            rows["v"].append(len(rows["v"]) + 1)
            day += timedelta(days=int(rng.integers(1, 40)))
            meter += int(rng.integers(1, 300))
            at += int(rng.integers(1, 90)) * 60
            if rng.random() < 0.1:
                desk = f"desk {rng.integers(0, 30)}"
    visits = pa.table(
        {"id": rows["v"], "member": rows["m"], "day": pa.array(rows["day"], pa.date32()),
         "meter": rows["meter"], "desk": rows["desk"], "at": rows["at"]}
    )  # fmt: skip
    members = pa.table({"id": np.arange(1, _OWNERS + 1), "joined": pa.array(joined, pa.date32())})
    return {"members": (members, "id"), "visits": (visits, "id")}


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return learn(world(_stories(), ["visits(member) -> members(id)"]), time_limit_seconds=4.0)


@pytest.fixture(scope="module")
def made(model: FittedModel) -> dict[str, pa.Table]:
    sampler, found = Sampler(model), {}
    plan = sampler.plan(SampleSpec(seed=3), lambda: None)
    for unit in range(plan.unit_count):
        for fragment in sampler.sample(plan, unit):
            found.setdefault(fragment.table, []).append(fragment.batch)
    return {name: pa.Table.from_batches(batches) for name, batches in found.items()}


def _pairs(visits: pa.Table, column: str) -> tuple[list[object], list[object]]:
    """Return a column's values before and after, for neighbouring visits of one member."""
    order = np.lexsort((visits["day"].to_numpy(), visits["member"].to_numpy()))
    owner, values = visits["member"].to_numpy()[order], visits[column].to_pylist()
    both = [(values[a], values[b], owner[i] == owner[i + 1])
            for i, (a, b) in enumerate(pairwise(order))]  # fmt: skip
    return [a for a, _, same in both if same], [b for _, b, same in both if same]


def test_a_meter_that_never_falls_rises_from_visit_to_visit(made) -> None:
    before, after = _pairs(made["visits"], "meter")
    steps = np.array(after) - np.array(before)
    assert steps.min() >= 1
    assert np.quantile(steps, 0.99) <= 300


def test_times_of_day_in_text_rise_beyond_midnight_and_keep_their_form(made) -> None:
    before, after = _pairs(made["visits"], "at")
    assert all(len(text) == 8 for text in after)
    assert all(a < b for a, b in zip(before, after, strict=True))


def test_a_desk_stays_the_same_as_often_as_it_really_does(model, made) -> None:
    kinds = [(p.kind, p.name) for p in model.tables["visits"].layout.pieces]
    assert (PieceKind.SAME, "desk") in kinds
    assert (PieceKind.DELTA, "meter") in kinds
    before, after = _pairs(made["visits"], "desk")
    same = np.mean([a == b for a, b in zip(before, after, strict=True)])
    assert same == pytest.approx(0.9, abs=0.06)


def test_no_visit_comes_before_its_member_has_joined(model, made) -> None:
    begin = model.tables["members"].layout.find(PieceKind.FIRST, "visits")
    assert begin is not None
    assert begin.base == "joined"
    members = made["members"]
    joined = dict(zip(members["id"].to_pylist(), members["joined"].to_pylist(), strict=True))
    visits = made["visits"]
    pairs = zip(visits["member"].to_pylist(), visits["day"].to_pylist(), strict=True)
    first: dict[int, date] = {}
    for member, day in pairs:
        assert day >= joined[member]
        first[member] = min(day, first.get(member, day))
    waits = [(day - joined[member]).days for member, day in first.items()]
    assert np.quantile(waits, 0.9) <= 45


def test_a_saved_model_makes_the_same_rows(model, made, tmp_path) -> None:
    from syntheflow_server.engine import load

    model.save(tmp_path)
    sampler = Sampler(load(tmp_path))
    plan = sampler.plan(SampleSpec(seed=3), lambda: None)
    again = [f.batch for f in sampler.sample(plan, 0) if f.table == "visits"]
    assert pa.Table.from_batches(again).equals(made["visits"].slice(0, len(again[0])))


@pytest.mark.parametrize(
    ("shape", "digits", "texts", "counts"),
    [
        ("h:m:s", 2, ["00:00:01", "25:10:00"], [1, 90_600]),
        ("h:m:s", 1, ["7:05:00", "101:00:00"], [25_500, 363_600]),
        ("h:m", 2, ["09:30", None], [570, None]),
    ],
)
def test_times_are_read_and_written_as_they_were(shape, digits, texts, counts) -> None:
    reading = Reading("trips", "at", shape, digits)
    assert reading.read(pa.array(texts)).to_pylist() == counts
    assert reading.write(pa.array(counts, pa.int64())).to_pylist() == texts


def test_numbers_like_1435_are_minutes_and_prices_are_not() -> None:
    rng = np.random.default_rng(1)
    minutes = rng.integers(0, 1440, 500)
    data = pa.table(
        {"id": np.arange(500), "clock": minutes // 60 * 100 + minutes % 60,
         "price": rng.integers(0, 2400, 500), "round": rng.integers(0, 48, 500) * 50}
    )  # fmt: skip
    schema, tables = world({"t": (data, "id")}, [])
    found = find_readings(schema, tables)
    assert [reading.column for reading in found.every] == ["clock"]
    read = found.tables(tables)["t"].column("clock")
    assert read.to_pylist() == minutes.tolist()
    assert found.written("t", "clock", read.combine_chunks()).equals(data["clock"].combine_chunks())


def test_a_given_time_in_another_form_is_refused() -> None:
    reading = Reading("trips", "at", "h:m:s", 2)
    with pytest.raises(InvalidArgumentError, match="'at' of table 'trips'"):
        reading.read(pa.array(["7:05:00"]))
