"""Bytes of string arrays are searched and changed as the texts themselves would be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.export.string_bytes import StringBytes, flags, replaced, with_mark

TEXTS = st.lists(st.none() | st.text("ab,\"é\\'x", max_size=6), max_size=40)


def cut(values: list[str | None], before: int) -> pa.Array:
    """Return the values as a slice of a longer array, whose offsets do not begin at 0."""
    return pa.array(["before,"] * before + values, pa.string()).slice(before)


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(0, 9))
def test_escapes_are_those_of_each_text(values: list[str | None], before: int) -> None:
    made = replaced(cut(values, before), {b"\\": b"\\\\", b'"': b'""', b"'": b"\\'"})
    made.validate(full=True)
    assert made.to_pylist() == [
        v and v.replace("\\", "\\\\").replace('"', '""').replace("'", "\\'") for v in values
    ]


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(0, 9))
def test_rows_and_ends_are_those_of_each_text(values: list[str | None], before: int) -> None:
    source = StringBytes(cut(values, before))
    found = source.rows_with(b",", b'"').tolist()
    assert found == ["," in (v or "") or '"' in (v or "") for v in values]
    first, last = source.ends()
    assert first.tolist() == [(v or "\0").encode()[0] for v in values]
    assert last.tolist() == [(v or "\0").encode()[-1] for v in values]


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(0, 9), st.integers(1, 20))
def test_marks_stand_behind_the_texts_that_are_chosen(
    values: list[str | None], before: int, each: int
) -> None:
    rows = np.array([i % each == 0 and v is not None for i, v in enumerate(values)], np.bool_)
    made = with_mark(cut(values, before), rows, ".0")
    made.validate(full=True)
    wanted = [f"{v}.0" if row else v for v, row in zip(values, rows, strict=True)]
    assert made.to_pylist() == wanted
    assert flags(rows, "''").to_pylist() == ["''" if row else "" for row in rows]
