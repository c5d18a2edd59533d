"""Rows that a plan had to draw are not drawn again, and come out as if they were."""

from __future__ import annotations

import pytest

from syntheflow_server.engine import SamplePlan, Sampler, SampleSpec
from syntheflow_server.engine.sampling import drawn, unit
from syntheflow_server.engine.sampling.drawn import Notes
from syntheflow_server.engine.sampling.spec import Condition


def plan_of(sampler: Sampler, **spec) -> SamplePlan:
    return sampler.plan(SampleSpec(**spec), lambda: None)


def rows_of(sampler: Sampler, plan: SamplePlan) -> list:
    units = [sampler.sample(plan, number) for number in range(plan.unit_count)]
    return [(f.table, f.first_row, f.batch) for made in units for f in made]


@pytest.mark.parametrize("name", ["shop", "league", "corners"])
def test_rows_are_the_same_with_and_without_what_the_plan_drew(models, name):
    sampler = Sampler(models[name])
    plan = plan_of(sampler, seed=3)
    assert len(plan.notes)
    noted = rows_of(sampler, plan)
    assert rows_of(sampler, plan) == noted
    plan.notes = Notes()
    assert rows_of(sampler, plan) == noted


@pytest.mark.parametrize("name", ["shop", "league", "corners"])
def test_what_the_plan_drew_is_saved_with_it(models, name, tmp_path):
    sampler = Sampler(models[name])
    plan = plan_of(sampler, seed=3)
    plan.save(tmp_path / "plan")
    again = SamplePlan.load(tmp_path / "plan")
    assert len(again.notes) == len(plan.notes)
    assert rows_of(Sampler(models[name]), again) == rows_of(sampler, plan)


def test_what_the_plan_drew_is_not_drawn_again(models, monkeypatch):
    made = []
    for name in ("draw_root", "draw_children"):
        real = getattr(unit, name)

        def spy(runtime, table, *others, real=real):
            frame = real(runtime, table, *others)
            made.append((table, frame.unit))
            return frame

        monkeypatch.setattr(unit, name, spy)
    sampler = Sampler(models["league"])
    plan = plan_of(sampler)
    assert made
    assert rows_of(sampler, plan)
    assert len(made) == len(set(made))


def test_a_plan_holds_no_more_than_its_room(models, monkeypatch):
    monkeypatch.setattr(drawn, "MOST_BYTES", 0)
    sampler = Sampler(models["league"])
    plan = plan_of(sampler, seed=3)
    assert not len(plan.notes)
    assert rows_of(sampler, plan)


def test_rows_of_which_something_is_asked_are_not_held(models):
    sampler = Sampler(models["shop"])
    asked = {"customer": (Condition(column="city", values=("Oslo",)),)}
    assert not len(plan_of(sampler, conditions=asked).notes)
