"""import, export, and the options of upload and generate, against a scripted server."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import scripted
from syntheflow_server.domain.reading import OnBadRow, ReadOptions, Wanted
from syntheflow_server.domain.resources import JobKind, JobState
from syntheflow_server.domain.writing import Dialect, LoadMode, WriteOptions


def finish(served, **fields) -> None:
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.SUCCEEDED, progress=1.0, **fields)
    ]


def last(served, method: str):
    return [detail for name, detail in served.service.calls if name == method][-1]


def write(name: str, text: str = "a;b\n1;2\n") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_upload_says_how_files_are_read(shell, served):
    shell.run(
        "upload", "new", write("people.csv"), "--separator", "tab", "--decimal", ",", "--header",
        0, "--null", "-", "--null", "n/a", "--type", "zip=string", "--on-bad-row", "report",
        "--tables", "p*",
    )  # fmt: skip
    (staged,) = served.service.uploads[0][0].files
    assert staged.options == ReadOptions(
        separator="\t", decimal=",", header=0, null_values=("-", "n/a"), types={"zip": "string"},
        on_bad_row=OnBadRow.REPORT, tables=("p*",),
    )  # fmt: skip


def test_upload_shows_what_was_guessed(shell, served, monkeypatch):
    whole = scripted.dataset()
    read = {"separator": ";", "encoding": "cp1252"}
    tables = tuple(t.model_copy(update={"read_as": read, "rejected_rows": 3}) for t in whole.tables)
    told = whole.model_copy(update={"tables": tables})
    monkeypatch.setattr(scripted, "dataset", lambda *_: told)
    ended = shell.run("upload", "hr", write("people.csv"))
    assert "people, pets" in ended.stdout
    assert "encoding cp1252, separator ';'" in ended.stdout
    assert "people: 3 bad rows left out" in ended.stdout
    assert "upload --help" in ended.stderr


def test_a_type_without_a_column_is_refused(shell):
    ended = shell.run("upload", "new", write("people.csv"), "--type", "string", code=2)
    assert "COLUMN=TYPE" in ended.stderr


def test_import_asks_the_server_and_shows_the_dataset(shell, served):
    finish(served, kind=JobKind.IMPORT, result="datasets/hr")
    ended = shell.run(
        "import", "hr", "postgresql://reader@db/shop", "--tables", "s_*", "--exclude", "users.pw",
        "--namespace", "public", "--sample-rows", 1000,
    )  # fmt: skip
    source, asked = last(served, "import_dataset")
    assert source == "postgresql://reader@db/shop"
    assert asked["wanted"] == Wanted(
        tables=("s_*",), exclude=("users.pw",), namespace="public", sample_rows=1000
    )
    assert "people" in ended.stdout
    assert "syntheflow train hr" in ended.stderr


@pytest.mark.parametrize("command", ["import", "export"])
def test_a_password_is_not_sent(shell, served, command):
    ended = shell.run(command, "hr", "postgresql://u:hush-hush@db/shop", code=2)
    assert "settings" in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr
    assert not [name for name, _ in served.service.calls if name in {"import_dataset", "export"}]


def test_export_asks_the_server_and_tells_what_was_written(shell, served):
    finish(
        served,
        kind=JobKind.EXPORT,
        result="sqlite:///x",
        tables={"people": 7},
        notes=("All well.",),
    )
    ended = shell.run(
        "export", "hr", "sqlite:///srv/new.sqlite", "--mode", "replace", "--scale", 2, "--seed", 5,
        "--where", "people.id>=3",
    )  # fmt: skip
    spec, place, asked = last(served, "export")
    assert (place, asked["mode"]) == ("sqlite:///srv/new.sqlite", LoadMode.REPLACE)
    assert (spec.scale, spec.seed, spec.conditions["people"][0].low) == (2, 5, 3)
    assert "All well." in ended.stdout
    assert "7 rows" in ended.stdout


def test_a_database_takes_no_format(shell):
    ended = shell.run("export", "hr", "sqlite:///srv/new.sqlite", "--format", "csv", code=2)
    assert "--format is of files" in ended.stderr


def test_files_of_an_export_have_their_format(shell, served):
    finish(served, kind=JobKind.EXPORT, result="s3://b")
    shell.run("export", "hr", "s3://bucket", "--format", "xlsx", "--file-rows", 9)
    spec, _, _ = last(served, "export")
    assert (spec.format, spec.write.file_rows) == ("excel", 9)


def test_generate_says_how_files_are_written(shell, served):
    shell.run(
        "generate", "hr", "--format", "sql", "--dialect", "mysql", "--rows", "people=2", "--rows",
        "pets=2",
    )  # fmt: skip
    spec = last(served, "generate")
    assert spec.write == WriteOptions(dialect=Dialect.MYSQL)
    (script,) = Path("hr").iterdir()
    assert script.suffix == ".sql"
    assert "INSERT INTO" in script.read_text()


def test_a_whole_script_fits_a_pipe(shell):
    ended = shell.run("generate", "hr", "--format", "sql", "--out", "-", "--rows", "people=1")
    assert "CREATE TABLE" in ended.stdout
    assert "2 tables" in ended.stderr


def test_several_files_do_not_fit_a_pipe(shell):
    ended = shell.run(
        "generate", "alone", "--format", "csv", "--out", "-", "--file-rows", 2, code=2
    )
    assert "one file" in ended.stderr


def test_clone_refuses_what_makes_no_sense(shell, tmp_path):
    same = shell.run("clone", "a.sqlite", "--into", "a.sqlite", code=2)
    assert "same place" in same.stderr
    remote = shell.run("clone", "mysql://u:hush@h/d", "--into", "b.sqlite", code=2)
    assert "SYNTHEFLOW_CONNECTIONS" in remote.stderr
    assert "hush" not in remote.stderr
