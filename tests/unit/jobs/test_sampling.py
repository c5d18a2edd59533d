from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.jobs.sampling import _Recent, _united

ranges = st.builds(
    lambda start, length: range(start, start + length), st.integers(0, 50), st.integers(0, 10)
)


@given(st.lists(ranges, max_size=8))
def test_united_ranges_hold_the_same_units_once_and_ascending(parts):
    units = [unit for part in _united(parts) for unit in part]
    assert units == sorted({unit for part in parts for unit in part})


def test_the_least_recently_used_thing_goes_first():
    made: list[str] = []
    recent: _Recent[str] = _Recent(2)

    def get(key: str) -> None:
        recent.get(key, lambda: made.append(key) or key)

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    assert len(recent) == 2
