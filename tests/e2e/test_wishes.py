"""Rows under conditions, given rows completed, and the model's card, with the real engine."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import csv

from support.cli import Cli
from support.company import ORDERS
from support.wire import connected, joined, synthesis
from syntheflow import Client, SyntheflowError
from syntheflow.v1.synthesis_service_pb2 import (
    Condition,
    GenerateRequest,
    Scalar,
    TableRows,
    ValueRange,
    ValueSet,
)


def made(cli: Cli, *words: object) -> pa.Table:
    data = cli.bytes("generate", ORDERS, "--out", "-", "--format", "csv", *words)
    return csv.read_csv(pa.BufferReader(data))


def test_every_row_keeps_the_conditions(cli):
    rows = made(
        cli, "--rows", 500, "--temperature", 0.9, "--where", "country in [DE, FR]",
        "--where", "quantity>=2", "--where", "quantity < 5", "--where", "express is not missing",
    )  # fmt: skip
    assert rows.num_rows == 500
    assert set(rows["country"].to_pylist()) == {"DE", "FR"}
    assert set(rows["quantity"].to_pylist()) == {2, 3, 4}
    assert rows["express"].null_count == 0


def test_asked_shares_are_kept(cli):
    countries = made(cli, "--rows", 1_000, "--share", "country:SE=0.6,PL=0")["country"].to_pylist()
    assert countries.count("PL") == 0
    assert abs(countries.count("SE") - 600) <= 60


def test_given_cells_come_out_as_they_were_given(cli, server):
    given = pa.table({"country": ["SE", "PL", None, "SE"], "quantity": [1, 2, 3, 9]})
    csv.write_csv(given, cli.folder / "given.csv")
    rows = made(cli, "--given", "given.csv", "--fill-missing")
    assert rows["quantity"].to_pylist() == [1, 2, 3, 9]
    assert rows["country"].to_pylist()[:2] == ["SE", "PL"]
    assert rows["country"].null_count == 0
    with Client(server.address) as client:
        gaps = pa.table({"express": [None, True, None]})
        inline = client.read(ORDERS, given={ORDERS: gaps})
        assert inline["express"].to_pylist() == [None, True, None]
        assert all(not dataset.id.startswith("given") for dataset in client.list_datasets())
        with pytest.raises(SyntheflowError, match="'country' is never missing"):
            client.read(ORDERS, given={ORDERS: given})
        with pytest.raises(SyntheflowError, match="'height'") as seen:
            client.read(ORDERS, given={ORDERS: pa.table({"height": [1]})})
        assert seen.value.reason == "COMPLETION_INVALID"


def test_the_same_wish_gives_the_same_bytes_whatever_the_number_of_workers(server, start_server):
    request = GenerateRequest(
        model=f"models/{ORDERS}",
        seed=3,
        temperature=0.8,
        rows=[TableRows(table=ORDERS, rows=40_000)],
        conditions=[
            Condition(table=ORDERS, column="country", values=ValueSet(values=[Scalar(text="DE")])),
            Condition(table=ORDERS, column="amount", range=ValueRange(low=Scalar(number=20))),
        ],
    )
    with connected(server.address) as channel:
        first = joined(synthesis(channel).Generate(request))
    other = start_server(workers=1)
    with connected(other.address) as channel:
        assert joined(synthesis(channel).Generate(request)) == first
    other.stop()


def test_the_model_shows_its_card(cli):
    card = cli.json("models", "card", ORDERS)
    assert card["settings"] == {
        "seed": "7", "holdout_share": "0.1", "rare_holders": "3", "time_limit": "8s",
    }  # fmt: skip
    table = card["tables"][0]
    assert (table["train_rows"] + table["holdout_rows"], table["columns"]) == (1_200, 6)
    assert table["tokens"] > 0
    assert table["parameters"] > 0
    assert "syntheflow" in card["versions"]
    cli.run("models", "card", ORDERS, "--format", "html", "--out", "card.html")
    assert "models/orders" in (cli.folder / "card.html").read_text()
