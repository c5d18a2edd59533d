"""How figures and tables look to people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from syntheflow.cli import render


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 << 40, "5.0 TiB")]
)
def test_sizes(count, text):
    assert render.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.26, "0.3 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7_260, "2 h 1 min")],
)
def test_lengths_of_time(seconds, text):
    assert render.duration(seconds) == text


def test_counts():
    assert (render.count(1, "row"), render.count(2_000, "row")) == ("1 row", "2,000 rows")


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_narrow_terminal_folds_cells_and_loses_nothing(width):
    page = io.StringIO()
    console = Console(file=page, width=width, markup=False)
    render.table(console, ["NAME", ">ROWS"], [["datasets/a-rather-long-[name]", "12,345"]])
    letters = "".join(page.getvalue().split())
    lines = page.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "12,345" in letters
    assert sorted(c for c in letters if c in "[]") == ["[", "]"]


def test_without_a_terminal_progress_is_a_line_now_and_then(monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 6.0, 7.0, 20.0])
    monkeypatch.setattr(render.time, "monotonic", lambda: next(clock))
    page = io.StringIO()
    with render.progress(Console(file=page, width=200), "generating", 10) as tell:
        for done in range(5):
            tell(done, f"{done} rows")
    assert page.getvalue() == "generating: 2 rows\ngenerating: 4 rows\n"
