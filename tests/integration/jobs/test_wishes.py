"""Conditions and given rows on their way to the sampling processes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from support.rooms import arrow, ended, streamed, upload
from syntheflow_server.domain.errors import InvalidArgumentError, NotFoundError
from syntheflow_server.jobs.requests import Condition, GenerationSpec, GivenRows

pytestmark = pytest.mark.asyncio(loop_scope="module")


def spec(**changes) -> GenerationSpec:
    return GenerationSpec("models/shop", **{"seed": 3, "tables": ("sales",), **changes})


def ipc(**columns: list) -> bytes:
    rows = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


async def sales(rooms, wanted: GenerationSpec) -> pa.Table:
    return arrow((await streamed(rooms.service, wanted))["sales"])


async def test_a_condition_reaches_every_unit_and_is_part_of_the_plan(rooms):
    free = await sales(rooms, spec())
    conditions = {"sales": (Condition("name", values=("name 4",)),)}
    bound = await sales(rooms, spec(conditions=conditions))
    assert set(bound["name"].to_pylist()) == {"name 4"}
    assert bound["n"].equals(free["n"])
    assert await sales(rooms, spec(conditions=conditions)) == bound
    assert await sales(rooms, spec()) == free


async def test_given_rows_come_out_as_they_were_given(rooms):
    given = GivenRows("sales", ipc(name=["a", "b", "c"] * 700))
    made = await sales(rooms, spec(completions=(given,)))
    assert made["name"].to_pylist() == ["a", "b", "c"] * 700
    other = GivenRows("sales", ipc(name=["a", "b"]))
    assert (await sales(rooms, spec(completions=(other,))))["name"].to_pylist() == ["a", "b"]


async def test_given_rows_may_lie_in_a_dataset_which_is_free_once_they_are_read(rooms):
    await upload(rooms.service, "given", some=pa.table({"n": ["7", "8"]}))
    wanted = spec(completions=(GivenRows("sales", "datasets/given"),))
    stream = rooms.service.generate(wanted)
    await anext(stream)
    await rooms.service.delete_dataset("datasets/given")
    await stream.aclose()
    with pytest.raises(NotFoundError):
        await streamed(rooms.service, wanted)
    await upload(rooms.service, "given", some=pa.table({"n": [9]}))  # another of the same name
    assert (await sales(rooms, wanted))["n"].to_pylist() == [9]


async def test_existing_rows_reach_the_plan_and_are_part_of_it(rooms):
    whole = await sales(rooms, spec())
    there = GivenRows("sales", ipc(n=[1, 2, 3]))
    # The engine of these tests makes what is left of the whole.
    assert (await sales(rooms, spec(existing=(there,)))).num_rows == whole.num_rows - 3
    assert (await sales(rooms, spec())).num_rows == whole.num_rows
    stored = GivenRows("sales", "datasets/shop")
    assert (await sales(rooms, spec(existing=(stored,)))).num_rows == 0


async def test_existing_rows_that_do_not_fit_the_model_are_refused(rooms):
    with pytest.raises(InvalidArgumentError, match="existing: table 'sales'") as seen:
        await streamed(rooms.service, spec(existing=(GivenRows("sales", ipc(height=[1])),)))
    assert seen.value.reason == "EXISTING_INVALID"
    assert seen.value.violations[0].field == "existing"


async def test_kept_tables_are_noted_with_the_model_and_its_settings(rooms):
    job = await rooms.service.train("datasets/shop", model_id="kept", keep=("places",))
    model = await rooms.service.get_model((await ended(rooms.service, job)).result)
    assert model.kept_tables == ("places",)
    assert model.settings["keep_tables"] == "places"
    assert "orphans" not in model.settings


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"keep": ("cars",)}, "no table 'cars'"),
        ({"keep": ("sales", "places")}, "nothing to learn"),
        ({"entity_rows": 3}, "needs privacy"),
        ({"entity_rows": 0, "epsilon": 1.0}, "1 to 1,000,000"),
    ],
)
async def test_a_training_that_cannot_be_is_refused_at_once(rooms, wish, words):
    with pytest.raises(InvalidArgumentError, match=words):
        await rooms.service.train("datasets/shop", model_id="never", **wish)


async def test_a_request_of_another_wish_is_another_request(rooms):
    words = {"model_id": "twice", "request_id": "one"}
    first = await rooms.service.train("datasets/shop", keep=("places",), **words)
    again = await rooms.service.train("datasets/shop", keep=("places",), **words)
    assert first.name == again.name
    with pytest.raises(InvalidArgumentError):
        await rooms.service.train("datasets/shop", **words)
    await ended(rooms.service, first)


async def test_rows_that_do_not_fit_the_model_are_refused(rooms):
    with pytest.raises(InvalidArgumentError, match="'height'"):
        await streamed(rooms.service, spec(completions=(GivenRows("sales", ipc(height=[1])),)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conditions": {"cars": (Condition("n", low=1),)}}, "no table 'cars'"),
        ({"conditions": {"sales": (Condition("cars", low=1),)}}, "no column 'cars'"),
        ({"temperature": 0.0}, "temperature"),
        ({"completions": (GivenRows("cars", b"x"),)}, "no table 'cars'"),
        ({"completions": (GivenRows("sales", b"x"),), "rows": {"sales": 3}}, "leave out its rows"),
        ({"fill_missing": True}, "needs rows"),
        ({"existing": (GivenRows("cars", b"x"),)}, "no table 'cars'"),
        ({"orphans": True}, "did not learn orphans"),
        ({"conditions": {"sales": (Condition(rows_of="cars", low=1),)}}, "no table 'cars'"),
        (
            {"conditions": {"sales": (Condition(rows_of="places", low=1),)}},
            "'places' does not refer to table 'sales'",
        ),
    ],
)
async def test_what_is_wrong_in_a_wish_is_named(rooms, changes, words):
    with pytest.raises(InvalidArgumentError, match=words):
        await streamed(rooms.service, spec(**changes))
