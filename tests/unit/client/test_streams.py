"""Arrow batches out of bytes that come in pieces of any size."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntheflow import SyntheflowError
from syntheflow.streams import ArrowDecoder


def stream_of(table: pa.Table, rows: int = 40) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, rows)
    return sink.getvalue().to_pybytes()


TABLE = pa.table(
    {
        "n": pa.array(range(300)),
        "text": pa.array([None if n % 5 == 0 else "é" * (n % 9) for n in range(300)]),
        "flag": pa.array([n % 2 == 0 for n in range(300)]),
    }
)
STREAM = stream_of(TABLE)


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=60))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts):
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    decoder = ArrowDecoder()
    batches = [batch for a, b in pairwise(edges) for batch in decoder.feed(STREAM[a:b])]
    assert pa.Table.from_batches(batches, decoder.finish()).equals(TABLE)


def test_batches_come_as_soon_as_they_are_complete():
    decoder = ArrowDecoder()
    assert sum(b.num_rows for b in decoder.feed(STREAM[: len(STREAM) // 2])) > 0


def test_a_table_without_rows_has_its_schema():
    decoder = ArrowDecoder()
    assert decoder.feed(stream_of(TABLE.slice(0, 0))) == []
    assert decoder.finish().equals(TABLE.schema)


@pytest.mark.parametrize("size", [0, 10, len(STREAM) - 30])
def test_a_stream_that_stops_in_the_middle_is_data_loss(size):
    decoder = ArrowDecoder()
    decoder.feed(STREAM[:size])
    with pytest.raises(SyntheflowError, match="middle") as seen:
        decoder.finish()
    assert seen.value.code == "DATA_LOSS"


def test_batches_share_memory_with_the_bytes():
    before = pa.total_allocated_bytes()
    decoder = ArrowDecoder()
    batches = decoder.feed(STREAM)
    assert pa.total_allocated_bytes() == before
    assert batches
