"""A row is fixed by model, seed and place: whoever makes it, and however it is asked for."""

from __future__ import annotations

import pytest

from support.cli import Cli
from support.company import MODEL, ORDERS
from support.wire import arrow, connected, joined, synthesis
from syntheflow.v1.synthesis_service_pb2 import (
    FORMAT_ARROW,
    FORMAT_CSV,
    GenerateRequest,
    RowRange,
    TableRows,
)

LONG = [TableRows(table=ORDERS, rows=90_000)]


def generate(server, model: str = MODEL, **fields) -> dict[str, bytes]:
    request = GenerateRequest(model=f"models/{model}", **fields)
    with connected(server.address) as channel:
        return joined(synthesis(channel).Generate(request, timeout=120))


@pytest.mark.parametrize("kind", [FORMAT_ARROW, FORMAT_CSV])
def test_the_same_seed_gives_the_same_bytes(server, kind):
    first = generate(server, seed=5, format=kind)
    assert first == generate(server, seed=5, format=kind)
    assert first != generate(server, seed=6, format=kind)


def test_one_and_two_workers_give_the_same_bytes(server, start_server):
    alone = start_server(workers=1)
    assert generate(alone, seed=5, scale=2) == generate(server, seed=5, scale=2)
    long = {"rows": LONG, "seed": 5, "format": FORMAT_CSV}
    assert generate(alone, ORDERS, **long) == generate(server, ORDERS, **long)
    alone.stop()


def test_the_command_line_writes_the_same_files_twice(cli: Cli):
    for folder in ("a", "b"):
        cli.run("generate", MODEL, "--out", folder, "--seed", 9)
    files = sorted(path.name for path in (cli.folder / "a").iterdir())
    assert len(files) == 7
    for name in files:
        assert (cli.folder / "a" / name).read_bytes() == (cli.folder / "b" / name).read_bytes()


@pytest.mark.parametrize(("start", "count"), [(0, 1), (16_380, 10), (70_000, 1_000), (89_999, 1)])
def test_a_window_equals_its_slice_of_the_whole(server, start, count):
    whole = arrow(generate(server, ORDERS, seed=5, rows=LONG)[ORDERS])
    assert whole.num_rows == 90_000
    window = RowRange(table=ORDERS, start_row=start, row_count=count)
    part = arrow(generate(server, ORDERS, seed=5, rows=LONG, range=window)[ORDERS])
    assert part.equals(whole.slice(start, count))


def test_a_window_may_lie_far_beyond_the_size_of_the_real_table(server):
    window = RowRange(table=ORDERS, start_row=50_000_000, row_count=10)
    part = arrow(generate(server, ORDERS, seed=5, range=window)[ORDERS])
    assert part.num_rows == 10
    assert len(set(part["order_id"].to_pylist())) == 10


@pytest.mark.parametrize("table", ["employees", "salaries", "assignments", "projects"])
def test_a_window_of_a_related_table_equals_its_slice(server, table):
    whole = arrow(generate(server, seed=2)[table])
    start, count = whole.num_rows // 3, whole.num_rows // 2
    window = RowRange(table=table, start_row=start, row_count=count)
    part = arrow(generate(server, seed=2, range=window)[table])
    assert part.equals(whole.slice(start, count))


def test_one_table_asked_alone_equals_that_of_the_whole_company(server):
    whole = generate(server, seed=2)
    for table in ("employees", "assignments"):
        assert generate(server, seed=2, tables=[table]) == {table: whole[table]}


def test_fragments_say_which_rows_they_hold_and_stay_small(server):
    request = GenerateRequest(model=f"models/{ORDERS}", seed=5, rows=LONG)
    following = 0
    with connected(server.address) as channel:
        for fragment in synthesis(channel).Generate(request, timeout=120):
            assert len(fragment.data) <= 3.5 * 2**20
            if fragment.row_count:
                assert fragment.first_row == following
            following += fragment.row_count
    assert following == 90_000
