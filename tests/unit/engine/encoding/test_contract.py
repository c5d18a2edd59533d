"""What every codec promises, whatever its kind."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding import (
    codec_from_state,
    codec_to_state,
    column_order,
    fit_codec,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
SHAPES = {
    "integers": ("int64", "integer", INT64),
    "few integers": ("int64", "integer", st.integers(0, 5)),
    "integer codes": ("int64", "category", st.integers(0, 4)),
    "floats": ("float64", "number", st.floats(allow_nan=True, allow_infinity=False)),
    "prices": ("float64", "number", st.integers(-(10**6), 10**6).map(lambda i: i / 100)),
    "booleans": ("bool", "boolean", st.booleans()),
    "names": ("string", "category", st.sampled_from(["red", "green", "blue", "", "grün"])),
    "words": ("string", "text", st.text(max_size=12)),
    "codes": ("string", "code", st.from_regex(r"[A-Z]{2}-[0-9]{3}", fullmatch=True)),
    "notes": ("string", "text", st.lists(st.text(min_size=1, max_size=5)).map(" ".join)),
    "dates": ("date32", "date", st.dates()),
    "instants": ("timestamp[us]", "datetime", st.datetimes()),
    "zoned": ("timestamp[us, tz=Europe/Vienna]", "datetime", INT64.map(lambda i: i // 2**12)),
    "times": ("time64[us]", "time", st.times()),
    "durations": ("duration[us]", "duration", INT64),
    "decimals": ("decimal128(12, 2)", "number", st.decimals(-(10**9), 10**9, places=2)),
    "large decimals": ("decimal128(38, 4)", "number", st.decimals(-(10**33), 10**33, places=4)),
}


def column_of(shape: str) -> Column:
    kind, meaning, _ = SHAPES[shape]
    return Column(name="c", type=kind, semantic_type=SemanticType(meaning))


def array_of(shape: str, values: list) -> pa.Array:
    return pa.array(values, column_of(shape).arrow)


@st.composite
def columns(draw, shape: str) -> pa.Array:
    base = draw(st.lists(SHAPES[shape][2] | st.none(), min_size=1, max_size=12))
    picks = draw(st.lists(st.sampled_from(base), min_size=1, max_size=60))
    return array_of(shape, picks)


def uniforms(rows: int, draws: int) -> np.ndarray:
    return np.random.default_rng(7).random((rows, draws))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_codec_keeps_its_promises(shape: str, data) -> None:
    values = data.draw(columns(shape))
    column = column_of(shape)
    codec = fit_codec(column, values, seed=1)
    codes = codec.encode(values)

    assert codes.dtype == np.uint16
    assert codes.shape == (len(values), len(codec.sizes))
    assert len(codec.kinds) == len(codec.sizes)
    assert all((codes[:, i] < size).all() for i, size in enumerate(codec.sizes))

    draws = uniforms(len(values), codec.draws)
    back = codec.decode(codes, draws)
    assert back.type == column.arrow
    back.validate(full=True)
    absent = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(values.type):
        absent |= np.isnan(values.to_numpy(zero_copy_only=False))
    assert (back.is_null().to_numpy(zero_copy_only=False) == absent).all()

    facts, arrays = codec_to_state(codec)
    again = codec_from_state(json.loads(json.dumps(facts)), arrays)
    assert again.sizes == codec.sizes
    assert again.draws == codec.draws
    assert again.distinct == codec.distinct
    assert (again.encode(values) == codes).all()
    assert again.decode(codes, draws).equals(back)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_codes_decode_and_a_row_does_not_depend_on_its_neighbours(shape: str, data) -> None:
    values = data.draw(columns(shape))
    codec = fit_codec(column_of(shape), values, seed=1)
    rng = np.random.default_rng(3)
    codes = np.stack([rng.integers(0, size, 40) for size in codec.sizes] or [np.zeros(40)], axis=1)
    codes = codes.astype(np.uint16)[:, : len(codec.sizes)]
    draws = uniforms(40, codec.draws)
    whole = codec.decode(codes, draws)
    for start, end in ((0, 1), (1, 17), (17, 40)):
        assert codec.decode(codes[start:end], draws[start:end]).equals(whole[start:end])


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_batch_decodes_to_an_empty_array(shape: str) -> None:
    codec = fit_codec(column_of(shape), array_of(shape, _some(shape)), seed=0)
    nothing = codec.decode(np.empty((0, len(codec.sizes)), np.uint16), uniforms(0, codec.draws))
    assert len(nothing) == 0
    assert nothing.type == column_of(shape).arrow


@pytest.mark.parametrize("shape", SHAPES)
def test_a_column_without_any_value_costs_no_token_and_stays_empty(shape: str) -> None:
    values = array_of(shape, [None] * 7)
    codec = fit_codec(column_of(shape), values, seed=0)
    assert codec.sizes == ()
    assert codec.decode(codec.encode(values), uniforms(7, codec.draws)).null_count == 7


@pytest.mark.parametrize("shape", SHAPES)
def test_values_never_seen_in_fitting_still_get_a_code(shape: str) -> None:
    some = _some(shape)
    codec = fit_codec(column_of(shape), array_of(shape, some[:-1]), seed=0)
    codes = codec.encode(array_of(shape, [some[-1], None]))
    assert all((codes[:, i] < size).all() for i, size in enumerate(codec.sizes))


def test_columns_with_fewer_values_come_first() -> None:
    wide = fit_codec(column_of("integers"), array_of("integers", list(range(50))), seed=0)
    narrow = fit_codec(column_of("booleans"), array_of("booleans", [True, False]), seed=0)
    constant = fit_codec(column_of("names"), array_of("names", ["red"] * 3), seed=0)
    assert column_order([wide, narrow, constant]) == (2, 1, 0)


def test_an_unknown_codec_in_an_artefact_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown codec 'other'"):
        codec_from_state({"codec": "other"}, {})


def _some(shape: str) -> list:
    rng = np.random.default_rng(5)
    return [_one(shape, int(rng.integers(0, 5)) + i % 2) for i in range(9)]


def _one(shape: str, i: int):
    kind = column_of(shape).arrow
    if pa.types.is_string(kind):
        return {"names": "red", "codes": f"AB-{i:03d}"}.get(shape, f"word {i}")
    if pa.types.is_boolean(kind):
        return i % 2 == 0
    if pa.types.is_floating(kind):
        return i / 4
    if pa.types.is_decimal(kind):
        return Decimal(i)
    return (
        pa.scalar(i).cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()).cast(kind).as_py()
    )
