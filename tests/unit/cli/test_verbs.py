"""upload, train, validate, schema, sample-data, serve."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from support import scripted
from support.wire import eventually
from syntheflow.cli.verbs import seconds
from syntheflow_server.domain.errors import Failure, InvalidArgumentError, Violation
from syntheflow_server.domain.resources import JobState


def finish(served, **fields) -> None:
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.RUNNING, stage="training people", metrics={"train_loss": 2.5}),
        scripted.job(state=JobState.SUCCEEDED, progress=1.0, **fields),
    ]


def write(name: str, text: str = "a,b\n1,2\n") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_upload_sends_files_and_tells_what_was_found(shell, served):
    ended = shell.run("upload", "new", write("people.csv"), write("pets.csv"))
    assert list(served.service.uploads[0][1]) == ["people.csv", "pets.csv"]
    assert "pets(owner) -> people(id)" in ended.stdout
    assert "syntheflow train new" in ended.stderr


def test_upload_takes_a_partial_schema(shell, served):
    hint = write("s.yaml", "tables: [{name: people, columns: [{name: a, type: string}]}]")
    shell.run("upload", "new", write("people.csv"), "--schema", hint)
    assert served.service.uploads[0][0].schema.tables[0].columns[0].type == "string"


def test_upload_tells_each_broken_rule(shell, served):
    served.service.fail["upload"] = [
        InvalidArgumentError(
            "The file breaks rules.",
            reason="DATA_INVALID",
            violations=(Violation("rows", "row 7 has 3 fields instead of 2"),),
        )
    ]
    ended = shell.run("upload", "new", write("people.csv"), code=1)
    told = "Error: The file breaks rules.\n  - row 7 has 3 fields instead of 2\n"
    assert ended.stderr.endswith(told)


def test_upload_of_a_file_that_is_not_there_fails(shell):
    assert "nowhere.csv" in shell.run("upload", "new", "nowhere.csv", code=1).stderr


def test_upload_gives_the_dataset_as_json(shell):
    assert shell.json("upload", "new", write("people.csv"))["name"] == "datasets/new"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("60s", 60), ("10m", 600), ("2h", 7_200), ("1h30m", 5_400), ("0.5m", 30)],
)
def test_lengths_of_time(text, expected):
    assert seconds(text) == expected


def test_train_waits_and_tells_of_the_way(shell, served):
    finish(served, result="models/hr")
    ended = shell.run("train", "hr", "--model", "m", "--seed", 5, "--time-limit", "60s")
    _, settings = next(detail for method, detail in served.service.calls if method == "train")
    assert (settings["model_id"], settings["seed"], settings["time_limit_seconds"]) == ("m", 5, 60)
    assert settings["engine"] == "neural"
    assert "training people, loss 2.500" in ended.stderr
    assert "models/hr learned in 12.5 s" in ended.stdout
    assert "syntheflow generate hr" in ended.stderr


def test_train_gives_the_job_as_json(shell, served):
    finish(served, result="models/hr")
    job = shell.json("train", "hr")
    assert (job["state"], job["result"]) == ("succeeded", "models/hr")


def test_train_can_be_left_alone(shell):
    ended = shell.run("train", "hr", "--detach")
    assert ended.stdout == "jobs/one\n"
    assert "syntheflow jobs watch one" in ended.stderr


def test_a_training_that_fails_ends_with_1(shell, served):
    error = Failure(code="INVALID_ARGUMENT", message="Table people is empty.", reason="EMPTY")
    served.service.jobs["jobs/one"] = [scripted.job(state=JobState.FAILED, error=error)]
    assert shell.run("train", "hr", code=1).stderr.endswith("Error: Table people is empty.\n")


def test_ctrl_c_cancels_the_training_and_says_so(shell, served):
    process = shell.process("train", "hr")
    eventually(lambda: any(method == "watch" for method, _ in served.service.calls))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"jobs/one is cancelled." in told
    assert b"Traceback" not in told
    assert served.service.jobs["jobs/one"][0].state is JobState.CANCELLED


def test_validate_prints_and_writes_the_report(shell, served):
    finish(served, result="reports/one")
    ended = shell.run("validate", "hr", "--report", "r.html", "--json", "r.json")
    assert "0.900" in ended.stdout
    assert "Few rows." in ended.stdout
    assert Path("r.html").read_text().startswith("<html>")
    assert Path("r.json").read_text().startswith("<json>")


@pytest.mark.parametrize(("quality", "code"), [(0.9, 0), (0.901, 1)])
def test_a_quality_below_the_one_asked_ends_with_1(shell, served, quality, code):
    finish(served, result="reports/one")
    ended = shell.run("validate", "hr", "--min-quality", quality, "--report", "r.html", code=code)
    sentence = "Error: The quality 0.900 of models/hr is below 0.901\n"
    assert ended.stderr.endswith(sentence) == bool(code)
    assert Path("r.html").exists()


def test_schema_show_prints_what_apply_takes(shell):
    as_yaml = shell.run("schema", "show", "hr").stdout
    as_json = shell.run("schema", "show", "hr", "--format", "json").stdout
    assert yaml.safe_load(as_yaml) == json.loads(as_json)
    assert shell.json("schema", "show", "hr") == json.loads(as_json)
    assert json.loads(as_json)["rules"] == []
    write("schema.yaml", as_yaml)
    write("schema.json", as_json)
    for name in ("schema.yaml", "schema.json"):
        shell.run("schema", "apply", "hr", name)
        assert shell.run("schema", "show", "hr").stdout == as_yaml


def test_schema_apply_changes_what_the_file_says(shell, served):
    write("part.yaml", "foreign_keys: []")
    assert shell.json("schema", "apply", "hr", "part.yaml")["foreign_keys"] == []
    method, (schema, etag) = served.service.calls[-1]
    assert method == "update_schema"
    assert etag
    assert len(schema.tables) == 2


def test_rules_are_refused_clearly(shell):
    write("rules.yaml", "rules: [people.age > 17]")
    told = shell.run("schema", "apply", "hr", "rules.yaml", code=1).stderr
    assert "not supported by this version" in told


def test_sample_data_is_written(shell):
    files = shell.json("sample-data", "hr", "--out", "hr", "--employees", 30)
    assert len(files) == 7
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in files)


def test_serve_becomes_the_server(shell, monkeypatch):
    became = []
    monkeypatch.setattr(os, "execv", lambda *words: became.append(words))
    shell.run("serve", "--data-dir", "d", "--port", 0, "--http-port", 1, "--workers", 3)
    (program, words), = became  # fmt: skip
    assert program == sys.executable
    assert words[1:] == [
        "-m", "syntheflow_server", "--data-dir", "d", "--port", "0", "--http-port", "1",
        "--workers", "3",
    ]  # fmt: skip


def test_serve_without_the_server_installed_says_how_to_install_it(shell, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'syntheflow[server]'" in shell.run("serve", code=1).stderr
