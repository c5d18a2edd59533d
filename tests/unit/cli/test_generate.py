"""generate: files, pipes, and what the options mean."""

from __future__ import annotations

import signal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from support.wire import eventually
from syntheflow_server.domain.errors import DataLossError
from syntheflow_server.jobs.requests import RowRange


def asked(served):
    return next(detail for method, detail in reversed(served.service.calls) if method == "generate")


def test_each_table_becomes_a_file_in_a_folder_named_after_the_model(shell):
    ended = shell.run("generate", "hr")
    assert sorted(p.name for p in Path("hr").iterdir()) == ["people.parquet", "pets.parquet"]
    assert parquet.read_table("hr/people.parquet").num_rows == 2_500
    for words in ("2 tables, 5,000 rows in", "rows/s", "hr/people.parquet"):
        assert words in ended.stdout


def test_the_summary_as_json(shell):
    summary = shell.json("generate", "hr", "--out", "o", "--seed", 9, "--format", "csv")
    assert (summary["model"], summary["seed"], summary["rows"]) == ("models/hr", 9, 5_000)
    assert summary["seconds"] > 0
    assert summary["rows_per_second"] > 0
    assert [(t["table"], t["rows"], t["path"]) for t in summary["tables"]] == [
        ("people", 2_500, "o/people.csv"),
        ("pets", 2_500, "o/pets.csv"),
    ]


@pytest.mark.parametrize("form", ["parquet", "csv", "json", "jsonl", "arrow"])
def test_every_format_is_written(shell, form):
    shell.run("generate", "alone", "--out", "o", "--format", form)
    assert Path(f"o/people.{form}").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "rows", "tables", "window"),
    [
        (["hr"], {}, (), None),
        (["hr", "--rows", "people=7"], {"people": 7}, (), None),
        (["hr", "--rows", "people=7", "--rows", "pets=0"], {"people": 7, "pets": 0}, (), None),
        (["hr", "--table", "pets"], {}, ("pets",), None),
        (["hr", "--table", "pets", "--table", "people"], {}, ("pets", "people"), None),
        (["hr", "--table", "pets", "--rows", "5"], {}, (), RowRange("pets", 0, 5)),
        (
            ["hr", "--table", "pets", "--start-row", "9", "--rows", "5"],
            {}, (), RowRange("pets", 9, 5),
        ),
        (["hr", "--table", "pets", "--start-row", "9"], {}, (), RowRange("pets", 9, 0)),
        (
            ["hr", "--table", "pets", "--start-row", "9", "--rows", "5", "--rows", "pets=100"],
            {"pets": 100}, (), RowRange("pets", 9, 5),
        ),
        (["alone", "--rows", "5"], {"people": 5}, (), None),
        (["alone", "--start-row", "2", "--rows", "5"], {}, (), RowRange("people", 2, 5)),
    ],
)  # fmt: skip
def test_what_the_options_mean(shell, served, words, rows, tables, window):
    shell.run("generate", *words, "--seed", 4, "--out", "o")
    spec = asked(served)
    assert (spec.rows, spec.tables, spec.range, spec.seed) == (rows, tables, window, 4)


def test_scale_is_handed_on(shell, served):
    shell.run("generate", "hr", "--scale", 0.01, "--out", "o")
    assert asked(served).scale == 0.01


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rows", "people"], "TABLE=N"),
        (["--rows", "people=-3"], "TABLE=N"),
        (["--rows", "cars=3"], "no table 'cars'"),
        (["--table", "cars"], "no table 'cars'"),
        (["--rows", "5"], "need one --table"),
        (["--rows", "5", "--rows", "6"], "only one plain number"),
        (["--start-row", "5"], "need one --table"),
        (["--table", "pets", "--table", "people", "--rows", "5"], "need one --table"),
        (["--table", "pets", "--rows", "0"], "at least 1"),
        (["--out", "-"], "with --table"),
    ],
)
def test_options_that_make_no_sense_are_told(shell, words, told):
    ended = shell.run("generate", "hr", *words, code=2)
    assert told in " ".join(ended.stderr.replace("│", " ").split())
    assert not Path("hr").exists()


def test_a_scale_of_nothing_is_told(shell):
    assert "scale" in shell.run("generate", "hr", "--scale", 0, code=1).stderr


def test_one_table_can_be_piped(shell):
    ended = shell.run(
        "generate", "hr", "--out", "-", "--format", "arrow", "--table", "pets", "--rows", 1_500
    )
    table = pa.ipc.open_stream(ended.stdout_bytes).read_all()
    assert table["id"].to_pylist() == list(range(1_500))
    assert "1,500 rows" in ended.stderr


def test_a_model_of_one_table_needs_no_table_to_be_piped(shell):
    ended = shell.run("generate", "alone", "--out", "-", "--format", "csv", "--rows", 2)
    assert ended.stdout_bytes == b"id,name\r\n0,people 0\r\n1,people 1\r\n"


def test_a_reader_who_has_enough_is_no_error(shell, served):
    served.service.endless = True
    process = shell.process("generate", "alone", "--out", "-", "--format", "csv")
    with process:
        assert process.stdout.readline() == b"id,name\r\n"
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
    assert served.service.closed.wait(5)


def test_ctrl_c_stops_the_stream_and_leaves_no_file(shell, served):
    served.service.endless = True
    process = shell.process("generate", "alone", "--out", "o")
    eventually(lambda: Path("o").exists() and list(Path("o").iterdir()))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"no file was written" in told
    assert b"Traceback" not in told
    assert list(Path("o").iterdir()) == []
    assert served.service.closed.wait(5)


def test_a_failure_leaves_no_file_and_one_sentence(shell, served):
    served.service.cut_after = 1_000
    served.service.fail["cut"] = [DataLossError("The model is damaged.", reason="DAMAGED")]
    ended = shell.run("generate", "hr", code=1)
    assert ended.stderr.endswith("Error: The model is damaged.\n")
    assert list(Path("hr").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(shell):
    Path("file").write_text("")
    ended = shell.run("generate", "hr", "--out", "file/inside", code=1)
    assert ended.stderr.startswith("Error: file")
