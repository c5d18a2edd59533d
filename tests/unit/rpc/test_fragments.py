"""The hand-laid wire bytes are those of the generated code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntheflow.streams import parse_fragment
from syntheflow.v1.synthesis_service_pb2 import GenerateResponse
from syntheflow_server.jobs.requests import Chunk
from syntheflow_server.rpc.fragments import fragment_bytes

chunks = st.builds(
    Chunk,
    table=st.text(max_size=200),
    first_row=st.integers(0, 2**63 - 1),
    row_count=st.integers(0, 2**63 - 1),
    data=st.binary(max_size=40_000),
    file=st.text(max_size=200),
)


def generated(chunk: Chunk) -> GenerateResponse:
    return GenerateResponse(
        table=chunk.table,
        first_row=chunk.first_row,
        row_count=chunk.row_count,
        data=chunk.data,
        file=chunk.file,
    )


@given(chunks)
def test_the_server_writes_what_the_generated_code_writes(chunk):
    assert fragment_bytes(chunk) == generated(chunk).SerializeToString(deterministic=True)


@given(chunks)
def test_the_client_reads_what_the_generated_code_reads(chunk):
    fragment = parse_fragment(generated(chunk).SerializeToString())
    assert (
        fragment.table,
        fragment.first_row,
        fragment.row_count,
        bytes(fragment.data),
        fragment.file,
    ) == (chunk.table, chunk.first_row, chunk.row_count, chunk.data, chunk.file)


def test_the_client_reads_fields_that_a_later_version_adds():
    later = GenerateResponse(table="t", data=b"rows").SerializeToString() + b"\x7a\x01x"
    assert bytes(parse_fragment(later).data) == b"rows"


@pytest.mark.parametrize("size", [0, 1, 127, 128, 1 << 20, 3_600_000])
def test_every_size_of_data_round_trips(size):
    wire = fragment_bytes(Chunk("t", 0, 1, b"x" * size))
    assert len(GenerateResponse.FromString(wire).data) == size
