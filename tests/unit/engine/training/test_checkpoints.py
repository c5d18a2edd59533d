"""A fit that is killed goes on where it was, and yields the model that it would have yielded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import CancelledError, DataLossError, InvalidArgumentError
from syntheflow_server.engine import FitSettings, FittedModel, fit
from syntheflow_server.engine.cvae import training
from syntheflow_server.engine.training import checkpoints

SETTINGS = FitSettings(seed=4, threads=1)


@pytest.fixture
def world(make):
    rng = np.random.default_rng(3)
    owners = pa.table({"id": np.arange(120), "size": rng.choice(["s", "m", "l"], 120)})
    owner = np.sort(rng.integers(0, 120, 420))
    visits = pa.table(
        {"id": np.arange(420), "owner": owner, "paid": rng.poisson(20, 420) + owner % 7}
    )
    return make.world(
        {"owner": (owners, "id"), "visit": (visits, "id")}, ["visit(owner) -> owner(id)"]
    )


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(training, "_REPORT_SECONDS", 0.0)


class Killer:
    """A report that ends the fit at the `after`-th word about training."""

    def __init__(self, after: int) -> None:
        self.left, self.first = after, ""

    def __call__(self, progress) -> None:
        if progress.stage.startswith("training"):
            self.first = self.first or progress.stage
            self.left -= 1
        if self.left < 0:
            raise CancelledError("killed", reason="CANCELLED")


def artefact(model: FittedModel, folder: Path) -> tuple[dict, bytes]:
    """Return what the model's files hold; seconds are not the same twice."""
    folder.mkdir()
    model.save(folder)
    facts = json.loads((folder / "model.json").read_text())
    for table in facts["tables"]:
        table["card"].pop("train_seconds", None)
    return facts, (folder / "weights.safetensors").read_bytes()


def test_an_interrupted_fit_yields_the_same_bytes(world, tmp_path):
    whole = artefact(fit(*world, SETTINGS, lambda _: None), tmp_path / "whole")
    kills, stages, resumed = 0, set(), None
    while resumed is None:
        killer = Killer(17)
        try:
            resumed = fit(*world, SETTINGS, killer, checkpoints=tmp_path / "kept")
        except CancelledError:
            kills += 1
        stages.add(killer.first)
    assert kills > 3
    assert {"training owner", "training visit"} <= stages
    assert artefact(resumed, tmp_path / "resumed") == whole


def test_a_finished_fit_is_not_trained_again(world, tmp_path):
    whole = fit(*world, SETTINGS, lambda _: None, checkpoints=tmp_path / "kept")
    seen = []
    again = fit(*world, SETTINGS, seen.append, checkpoints=tmp_path / "kept")
    assert not [p for p in seen if p.stage.startswith("training")]
    assert artefact(again, tmp_path / "a") == artefact(whole, tmp_path / "b")
    assert again.cards == whole.cards


@pytest.mark.parametrize("differs", ["settings", "data"])
def test_a_checkpoint_of_another_fit_is_refused(world, tmp_path, make, differs):
    with pytest.raises(CancelledError):
        fit(*world, SETTINGS, Killer(5), checkpoints=tmp_path)
    schema, tables = world
    settings = replace(SETTINGS, seed=5) if differs == "settings" else SETTINGS
    if differs == "data":
        data = pa.table({name: tables["owner"].column(name) for name in ("id", "size")})
        changed = data.set_column(1, "size", pa.array(["s"] * 60 + ["m"] * 60))
        tables = tables | {"owner": type(tables["owner"])(changed)}
    with pytest.raises(InvalidArgumentError, match=f"its {differs} differ") as error:
        fit(schema, tables, settings, lambda _: None, checkpoints=tmp_path)
    assert error.value.reason == "CHECKPOINT_OF_ANOTHER_FIT"


def test_a_damaged_checkpoint_is_noticed(world, tmp_path):
    with pytest.raises(CancelledError):
        fit(*world, SETTINGS, Killer(5), checkpoints=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataLossError):
        fit(*world, SETTINGS, lambda _: None, checkpoints=tmp_path)


def test_the_time_before_an_interruption_counts_against_the_limit(world, tmp_path):
    settings = replace(SETTINGS, time_limit_seconds=1.0)
    slow = Killer(10)

    def report(progress) -> None:
        training.time.sleep(0.05 * progress.stage.startswith("training"))
        slow(progress)

    with pytest.raises(CancelledError):
        fit(*world, settings, report, checkpoints=tmp_path)
    began = training.time.monotonic()
    fit(*world, settings, lambda _: None, checkpoints=tmp_path)
    assert training.time.monotonic() - began < 1.2
