"""Strings of a database's stricter types: what is composed is always a value of the type."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding import fit_codec
from syntheflow_server.engine.encoding.choose import codec_from_state, codec_to_state
from syntheflow_server.engine.encoding.forms import form_of
from syntheflow_server.engine.keys.pattern import PatternKey

ROWS = 300
NOISE = np.random.default_rng(5)
UUIDS = [str(uuid.UUID(int=int.from_bytes(NOISE.bytes(16), "big"))) for _ in range(ROWS)]
REAL = {
    "uuid": UUIDS,
    "macaddr": [f"08:00:2b:01:02:{n % 256:02x}" for n in range(ROWS)],
    "inet": [f"10.{n % 3}.{n % 250}.{n % 256}/24" for n in range(ROWS)],
    "cidr": [f"10.{n % 3}.{n % 250}.0/24" for n in range(ROWS)],
    "jsonb": [f'{{"k": [{n}, "a{n * 7}"]}}' for n in range(ROWS)],
    "integer[]": [f"[{n * 7_000_000}, null]" for n in range(ROWS)],
    "character varying(5)[]": [f'["a{n}", "b"]' for n in range(ROWS)],
    "bit(9)": [f"{n:09b}" for n in range(ROWS)],
    "xml": [f"<a>{n} of {n * 3}</a>" for n in range(ROWS)],
    "mood enum('a', 'b''s', 'c')": ["a", "b's", "c"],
}


def column(native: str) -> Column:
    return Column(
        name="c", type="string", semantic_type=SemanticType.TEXT, nullable=False, native_type=native
    )


@pytest.mark.parametrize("native", REAL)
def test_every_composed_text_is_a_value_of_the_type(native):
    codec = fit_codec(column(native), pa.array(REAL[native]), seed=1)
    codec = codec_from_state(*codec_to_state(codec))
    uniforms = np.random.default_rng(3).random((2000, codec.draws))
    codes = np.zeros((2000, len(codec.tokens)), np.int64)
    codes[:, 0] = np.arange(2000) % codec.sizes[0]
    made = codec.decode(codes, uniforms)
    form = form_of(native, REAL[native])
    assert form is not None
    assert form.fits(made).all()


def test_uuids_are_known_without_a_type_and_nobody_has_them_yet():
    codec = fit_codec(column(""), pa.array(UUIDS), seed=1)
    codes = np.zeros((2000, 1), np.int64)
    made = codec.decode(codes, np.random.default_rng(3).random((2000, codec.draws))).to_pylist()
    assert all(str(uuid.UUID(text)) == text for text in made)
    assert len(set(made)) == 2000
    assert not set(made) & set(UUIDS)


def test_a_key_of_uuids_stays_one():
    made = PatternKey.fit("c", UUIDS).make(np.arange(5000), 0)["c"].to_pylist()
    assert all(str(uuid.UUID(text)) == text for text in made)
    assert len(set(made)) == 5000


def test_texts_that_are_no_values_of_the_type_are_free():
    assert form_of("uuid", ["neither", "nor"]) is None
    assert form_of("text", ["a"]) is None
    assert form_of("integer[]", ["[1, 3000000000]"]) is None
