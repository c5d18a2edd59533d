"""Small files that would be large end in bounded time and memory, with an error that says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.bombs import BOMBS
from fuzz.harness import Child

_MAY_BE_READ = {"one_cell.csv.gz", "number.json", "values.sql", "blanks.xlsx", "outside.zip"}


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as started:
        yield started


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_bounds(child: Child, name: str) -> None:
    outcome = child.read(BOMBS[name](), name)
    assert not outcome.is_finding, f"{outcome.kind}: {outcome.what}"
    assert outcome.kind == "refused" or name in _MAY_BE_READ
