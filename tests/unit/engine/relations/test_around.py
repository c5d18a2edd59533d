"""Times of day add up around the clock; addresses follow names with accents and repeats."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.engine.relations import (
    Ref,
    given_of,
    relation_from_state,
    relation_to_state,
)

ROWS = 2000
DAY = 1440


@pytest.fixture
def flights():
    """Planned and real departure and arrival in minutes; cancelled flights have no real times."""
    rng = np.random.default_rng(5)
    planned = rng.integers(0, DAY, ROWS)
    delay = np.minimum(rng.gamma(1, 60, ROWS).astype(int) - 20, 1300)
    gone = rng.random(ROWS) < 0.05
    planned[:5], delay[:5], gone[:5] = 1430, 10, False
    real = (planned + delay) % DAY
    real[real == 0] = DAY
    due = (planned + 200 + rng.integers(-40, 40, ROWS)) % DAY
    return pa.table(
        {
            "planned": planned,
            "delay": pa.array(delay, mask=gone),
            "real": pa.array(real, mask=gone),
            "due": due,
        }
    )


def made_by(relations, name):
    return next((r for r in relations if name in r.makes), None)


def test_a_delayed_departure_is_the_planned_one_and_the_delay_past_midnight(find_one, flights):
    relation = made_by(find_one(flights), "real")
    assert relation.kind == "around"
    assert {ref.column for ref in relation.needs} == {"planned", "delay"}
    probe = {
        Ref("planned"): pa.array([1430, 1430, 10]),
        Ref("delay"): pa.array([10, 25, None]),
    }
    assert relation.derive("real", probe).to_pylist() == [DAY, 15, None]


def test_an_arrival_that_follows_the_departure_is_told_by_the_time_between(find_one, flights):
    relation = made_by(find_one(flights), "due")
    assert [ref.column for ref in relation.needs] == ["planned"]
    given = given_of(relation, lambda ref: flights[ref.column].combine_chunks())
    hidden = given[Ref(relation.hidden[0].name)].to_numpy()
    assert hidden.min() >= 160
    assert hidden.max() < 240
    again = relation_from_state(*relation_to_state(relation))
    assert again.derive("due", given).equals(flights["due"].combine_chunks())


def test_times_that_have_nothing_to_do_with_each_other_are_left_alone(find_one):
    rng = np.random.default_rng(6)
    table = pa.table({"a": rng.integers(0, DAY, ROWS), "b": rng.integers(0, DAY, ROWS)})
    assert find_one(table) == ()


def test_an_address_follows_names_with_accents_and_counts_repeats(find_one):
    rng = np.random.default_rng(7)
    firsts = ["Łukasz", "Zoë", "Jürgen", "Anna", "Bjørn", "Marta", "Iwan", "José", "Ada", "Kim"]
    lasts = ["Groß", "Müller", "Nowak", "Sørensen", "Berg", "Rossi", "Silva", "Costa", "Lund"]
    lasts += ["Weber", "Kowalski", "Dupont", "Novák", "Olsen", "Haas", "Fischer", "Marti"]
    plain = str.maketrans({"ł": "l", "Ł": "l", "ë": "e", "ü": "u", "ø": "o", "é": "e"})
    plain |= str.maketrans({"ß": "ss", "á": "a"})
    people = [(rng.choice(firsts), rng.choice(lasts)) for _ in range(400)]
    seen: dict[str, int] = {}
    mails = []
    for first, last in people:
        name = f"{first}.{last}".translate(plain).lower()
        seen[name] = seen.get(name, 0) + 1
        mails.append(f"{name}{seen[name] if seen[name] > 1 else ''}@example.org")
    table = pa.table(
        {"first": [f for f, _ in people], "last": [n for _, n in people], "mail": mails}
    )
    relation = made_by(find_one(table), "mail")
    assert relation.kind == "composed"
    (number,) = relation.hidden
    probe = {
        Ref("first"): pa.array(["Bjørn"]),
        Ref("last"): pa.array(["Groß"]),
        Ref(number.name): pa.array(["2"]),
    }
    assert relation.derive("mail", probe).to_pylist() == ["bjorn.gross2@example.org"]
