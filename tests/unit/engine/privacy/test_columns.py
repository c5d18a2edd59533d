"""Private codecs: close to the data where rows are many, silent where they are few."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.privacy.columns import Price, private_codec, queries_of
from syntheflow_server.engine.privacy.ledger import Budget, Ledger
from syntheflow_server.engine.privacy.pieces import cell_range, line_cells

ROWS = 20_000
RNG = np.random.default_rng(5)


def learned(kind, meaning, values):
    column = Column(name="c", type=kind, semantic_type=meaning)
    ledger = Ledger(Budget.of(50.0, 1e-6, ROWS), entropy=3)
    price = Price(0.04, 1e-9, 32, float(len(values)))
    before = ledger.left
    codec = private_codec("t", column, pa.array(values, column.arrow), ledger, price)
    assert before - ledger.left <= queries_of(column) * price.precision * (1 + 1e-9)
    return codec


def again(codec, values):
    codes = codec.encode(pa.array(values))
    return codec.decode(codes, RNG.random((len(codes), codec.draws)))


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_numbers_keep_their_quantiles_their_grid_and_their_spikes(kind):
    numbers = np.where(RNG.random(ROWS) < 0.3, 0, np.round(RNG.lognormal(6, 1, ROWS), 1))
    if kind == "int64":
        numbers = np.round(numbers).astype(int)
    made = again(learned(kind, SemanticType.NUMBER, numbers), numbers).to_numpy()
    assert (made == 0).mean() == pytest.approx(0.3, abs=0.02)
    for share in (0.35, 0.5, 0.9):
        assert np.quantile(made, share) == pytest.approx(np.quantile(numbers, share), rel=0.06)
    assert np.allclose(made, np.round(made, 1 if kind == "float64" else 0))


def test_a_single_outlier_moves_no_edge():
    numbers = RNG.integers(100, 200, ROWS)
    numbers[0] = 10**15
    codec = learned("int64", SemanticType.INTEGER, numbers)
    made = again(codec, numbers).to_numpy()
    assert made.max() < 300
    assert made.min() > 50


def test_rare_categories_are_not_listed_and_common_ones_are():
    texts = RNG.choice(["red", "green"], ROWS).astype(object)
    texts[:3] = "my own colour"
    texts[100:3000] = None
    codec = learned("string", SemanticType.CATEGORY, texts.tolist())
    assert set(codec.values.to_pylist()) == {"red", "green"}
    made = again(codec, texts.tolist())
    assert made.null_count == 2900


def test_texts_that_hardly_repeat_are_refused_by_name():
    with pytest.raises(UnsupportedError, match="column 'c'") as refused:
        learned("string", SemanticType.TEXT, [f"note {i}" for i in range(ROWS)])
    assert "note 1" not in str(refused.value)


def test_dates_and_instants_keep_range_and_unit():
    days = [date(2020, 1, 1) + timedelta(int(d)) for d in RNG.integers(0, 900, ROWS)]
    made = again(learned("date32", SemanticType.DATE, days), days)
    assert date(2019, 11, 1) < min(made.to_pylist())
    assert max(made.to_pylist()) < date(2022, 9, 1)
    begin = datetime(2021, 5, 1)  # noqa: DTZ001 - a column without zone
    times = [begin + timedelta(minutes=int(m)) for m in RNG.integers(0, 60 * 24 * 200, ROWS)]
    made = again(learned("timestamp[us]", SemanticType.DATETIME, times), times).to_pylist()
    assert all(t.second == 0 for t in made)
    assert begin - timedelta(40) < min(made) < max(made) < begin + timedelta(260)


def test_columns_without_values_are_constant():
    codec = learned("string", SemanticType.CATEGORY, [None] * ROWS)
    assert codec.tokens == ()
    assert codec.decode(np.zeros((2, 0)), np.zeros((2, 0))).null_count == 2


def test_truth_values_keep_gaps_only_where_there_are_many():
    values = RNG.random(ROWS) < 0.5
    assert learned("bool", SemanticType.BOOLEAN, values).sizes == (2,)
    gaps = [None if i % 3 else True for i in range(ROWS)]
    assert learned("bool", SemanticType.BOOLEAN, gaps).sizes == (3,)


def test_cells_cover_the_number_line_once_and_in_order():
    numbers = np.unique(np.concatenate([np.arange(-70, 70), RNG.integers(-(2**62), 2**62, 500)]))
    cells = line_cells(numbers)
    assert (np.diff(cells) >= 0).all()
    for number, cell in zip(numbers.tolist(), cells.tolist(), strict=True):
        low, high = cell_range(cell)
        assert low <= number < high or abs(number) > 2**53
    edges = [cell_range(c) for c in range(-200, 200)]
    assert all(a[1] == b[0] for a, b in pairwise(edges))
