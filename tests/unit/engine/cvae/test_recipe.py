"""The recipe: small tables take care, large ones take less than three epochs."""

from __future__ import annotations

import pytest

from syntheflow_server.engine.cvae.recipe import Recipe


@pytest.mark.parametrize("rows", [1, 2, 50, 800, 5_000, 26_000, 269_000, 5_000_000])
def test_every_size_of_table_has_a_sound_recipe(rows: int) -> None:
    recipe = Recipe.of(rows)
    assert 1 <= recipe.batch <= rows
    assert recipe.steps_per_epoch(rows) * recipe.epochs >= 400
    assert recipe.epochs >= 2.5
    # One step of decay must leave most of a weight in place.
    assert 0 < recipe.decay(rows) * recipe.rate < 0.05


def test_more_rows_never_mean_smaller_batches_or_more_epochs() -> None:
    recipes = [Recipe.of(rows) for rows in (50, 300, 800, 5_000, 60_000, 300_000)]
    batches, epochs = [r.batch for r in recipes], [r.epochs for r in recipes]
    assert batches == sorted(batches)
    assert epochs == sorted(epochs, reverse=True)


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    recipe, rows = Recipe.of(10_000), 10_000
    steps = round(recipe.epochs * recipe.steps_per_epoch(rows))
    rates = [recipe.rate_at(step, rows, steps) for step in range(steps)]
    top = max(range(steps), key=rates.__getitem__)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(recipe.rate)
    assert rates[-1] < recipe.rate / 1000
