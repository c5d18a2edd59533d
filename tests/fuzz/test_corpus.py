"""Files that once went wrong are read or refused, and a short search finds no new one."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from fuzz.corpus import kept
from fuzz.harness import Child
from fuzz.search import Search
from fuzz.seeds import seeds

_FILES = 150


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as started:
        yield started


def test_every_valid_file_is_read_or_refused_with_a_reason(child: Child) -> None:
    outcomes = {name: child.read(data, name) for name, data in seeds().items()}
    assert {name: o.what for name, o in outcomes.items() if o.is_finding} == {}
    assert outcomes["plain.csv"].kind == outcomes["book.xlsx"].kind == "tables"


def test_no_file_of_the_corpus_is_a_finding_any_more(child: Child) -> None:
    wrong = {}
    for case in kept():
        outcome = child.read(case.data, case.name, options=case.options)
        if outcome.is_finding:
            wrong[f"{case.key}-{case.name}"] = f"{outcome.kind}: {outcome.what}"
    assert wrong == {}


def test_a_short_search_finds_nothing(child: Child) -> None:
    search = Search(child, random.Random(20_260))
    search.run(until=time.monotonic() + 60, most=_FILES)
    assert [(c.name, c.options, o.kind, o.what) for c, o in search.findings] == []
    assert search.runs > _FILES // 5
