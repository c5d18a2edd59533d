"""Keys that tell about their rows: what follows from a running number follows from ours."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine import Sampler, SampleSpec, load
from syntheflow_server.engine.training.telling import counts_up, tells

ROWS = 1500


def series():
    """Hours since a first one, a few of them left out; a level that rises; noise."""
    rng = np.random.default_rng(4)
    hours = np.flatnonzero(np.arange(ROWS + 40) % 97 != 50)[:ROWS]
    moments = [datetime(2020, 11, 3) + timedelta(hours=int(h)) for h in hours]  # noqa: DTZ001
    return pa.table(
        {
            "no": pa.array(np.arange(1, ROWS + 1)),
            "year": pa.array([m.year for m in moments]),
            "month": pa.array([m.month for m in moments]),
            "day": pa.array([m.day for m in moments]),
            "hour": pa.array([m.hour for m in moments]),
            "part": pa.array(np.array(["first", "second", "third"])[np.arange(ROWS) // 500]),
            "level": pa.array(np.arange(ROWS) // 10 + rng.integers(0, 30, ROWS)),
            "noise": pa.array(rng.integers(0, 1000, ROWS)),
        }
    )


@pytest.fixture(scope="module")
def real():
    return series()


@pytest.fixture(scope="module")
def model(make, real):
    return make.learn(make.world({"series": (real, "no")}, []), time_limit_seconds=None)


def test_a_key_tells_only_of_what_goes_along_with_it(real):
    source = MemoryTable(real)
    assert tells(source, "no", ["noise", "level"])
    assert not tells(source, "no", ["noise"])


def test_a_column_counts_up_if_it_numbers_the_rows(real):
    assert counts_up(real.column("no"))
    assert not counts_up(real.column("noise"))
    assert not counts_up(pa.chunked_array([np.arange(0, 100_000, 50)]))


def test_calendar_columns_follow_from_the_running_number(make, model, real):
    made = make.generate(model)["series"]
    assert made.column("no").equals(real.column("no"))
    for name in ("year", "month", "day", "hour", "part"):
        same = pc.equal(made.column(name), real.column(name)).to_numpy()
        # An hour left out beside a row that did not teach may lie on its other side.
        assert same.mean() > 0.995


def test_other_columns_go_along_with_the_key(make, model):
    made = make.generate(model)["series"]
    level = made.column("level").to_numpy()
    assert np.corrcoef(np.arange(ROWS), level)[0, 1] > 0.8


def test_few_rows_are_a_sample_of_the_whole_series(make, model):
    made = make.generate(model, rows={"series": 150})["series"]
    assert made.column("no").to_pylist() == list(range(1, ROWS + 1, 10))
    assert set(made.column("part").to_pylist()) == {"first", "second", "third"}


def test_rows_beyond_the_real_ones_count_on_and_begin_the_story_anew(make, model):
    made = make.generate(model, rows={"series": 2 * ROWS})["series"]
    assert made.column("no").to_pylist() == list(range(1, 2 * ROWS + 1))
    level = made.column("level").to_numpy()
    assert level[ROWS : ROWS + 200].mean() < level[ROWS - 200 : ROWS].mean() - 50
    first = make.generate(model)["series"]
    assert made.slice(0, 1000).equals(first.slice(0, 1000))


def test_the_relations_survive_the_artefact(make, model, tmp_path):
    model.save(tmp_path)
    read = load(tmp_path)
    plan = Sampler(read).plan(SampleSpec(), lambda: None)
    ours = Sampler(read).sample(plan, 0)[0].batch
    assert pa.Table.from_batches([ours]).equals(make.generate(model)["series"])
