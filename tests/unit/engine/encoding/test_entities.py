"""A value in many rows of one entity has one holder: it does not come out as it is."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import fit_codec
from syntheflow_server.engine.encoding.holders import Held, counted

PERSONS = 60
SPARSE = np.random.default_rng(3).choice(10**11, PERSONS * 4, replace=False)
START = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)

KINDS = {
    "integers": ("int64", "integer", lambda i: int(SPARSE[i])),
    "floats": ("float64", "number", lambda i: float(np.sqrt(SPARSE[i] + 2))),
    "number codes": ("int64", "category", lambda i: int(SPARSE[i])),
    "names": ("string", "category", lambda i: f"n{int(SPARSE[i]):x}"),
    "streets": ("string", "text", lambda i: f"{int(SPARSE[i]) % 997} n{int(SPARSE[i]):x} Road"),
    "notes": ("string", "text", lambda i: f"n{int(SPARSE[i]):x} " * (1 + i % 3) + "said so"),
    "instants": (
        "timestamp[us, tz=UTC]",
        "datetime",
        lambda i: START + dt.timedelta(microseconds=int(SPARSE[i]) * 10_001),
    ),
}


def _made(kind: str, values: list, entity: np.ndarray) -> list:
    name, meaning, _ = KINDS[kind]
    column = Column(name="c", type=name, semantic_type=meaning)
    array = pa.array(values, column.arrow)
    codec = fit_codec(column, array, seed=0, needed=3, entity=entity)
    rng = np.random.default_rng(1)
    codes = codec.encode(array.take(pa.array(rng.integers(0, len(array), 3000))))
    return codec.decode(codes, rng.random((3000, codec.draws))).to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_person_holds_in_every_row_does_not_come_out(kind: str) -> None:
    make = KINDS[kind][2]
    values = [make(i) for i in range(PERSONS) for _ in range(8)]
    entity = np.repeat(np.arange(PERSONS), 8)
    assert not set(_made(kind, values, entity)) & set(values)


@pytest.mark.parametrize("kind", KINDS)
def test_what_two_persons_hold_does_not_come_out_beside_what_many_share(kind: str) -> None:
    make = KINDS[kind][2]
    values = [make(i % 2) for i in range(PERSONS * 8)]
    values += [make(2 + i // 20) for i in range(100)]
    entity = np.concatenate([np.repeat(np.arange(PERSONS), 8), np.full(50, 7), np.full(50, 8)])
    rare, made = {make(2 + i) for i in range(5)}, set(_made(kind, values, entity))
    assert not made & rare
    assert {make(0), make(1)} <= made


def test_persons_are_counted_whatever_the_order_of_their_rows() -> None:
    rng = np.random.default_rng(0)
    names, whose = rng.integers(0, 40, 5000), rng.integers(0, 300, 5000)
    values = pa.array([None if n == 39 else f"v{n}" for n in names])
    found, rows, held = counted(values, whose)
    for i, name in enumerate(found.to_pylist()):
        mine = names == int(name[1:])
        assert rows[i] == mine.sum()
        assert held.counts[i] == len(set(whose[mine]))


def test_a_stretch_widens_until_enough_persons_stand_in_it() -> None:
    held = Held.of(np.arange(9), 9, np.array([1, 1, 1, 1, 1, 1, 2, 3, 3]))
    assert held.widened(4, 4, 2) == (2, 6)
    assert held.widened(4, 4, 3) == (1, 7)
    assert held.widened(4, 4, 4) is None
    assert not held.enough(np.arange(6), 2)


def test_prices_that_fill_their_grid_are_not_given_back() -> None:
    column = Column(name="c", type="float64", semantic_type="number")
    prices = [3.75, 5.75, 7.75, 9.75, 11.75, 13.75]
    codec = fit_codec(column, pa.array(prices), seed=0)
    codes = codec.encode(pa.array(prices * 200))
    made = codec.decode(codes, np.random.default_rng(2).random((1200, codec.draws)))
    assert np.isin(np.asarray(made), prices).mean() < 0.05
