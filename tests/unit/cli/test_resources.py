"""datasets, models, jobs, reports: list, show, delete, and the options around them."""

from __future__ import annotations

import pytest

from support import scripted
from syntheflow_server.domain.errors import FailedPreconditionError, Failure
from syntheflow_server.domain.resources import JobState

KINDS = ["datasets", "models", "jobs", "reports"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("datasets", ["datasets/hr", "5,000", "17.6 KiB"]),
        ("models", ["models/hr", "models/alone", "neural", "12.5 s", "3.8 MiB"]),
        ("jobs", ["jobs/one", "train", "queued", "0%", "datasets/hr"]),
        ("reports", ["reports/one", "models/hr", "0.900"]),
    ],
)
def test_lists_are_tables_for_people(shell, kind, told):
    page = shell.run(kind, "list").stdout
    for words in told:
        assert words in page


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_arrays_for_programs(shell, kind):
    names = [entry["name"] for entry in shell.json(kind, "list")]
    assert f"{kind}/{'one' if kind in {'jobs', 'reports'} else 'hr'}" in names


def test_an_empty_list_is_an_empty_array(shell, served):
    served.service.datasets.clear()
    assert shell.json("datasets", "list") == []
    shell.run("datasets", "list")


@pytest.mark.parametrize("kind", KINDS)
def test_one_is_shown_by_id_and_by_name(shell, kind):
    name = "one" if kind in {"jobs", "reports"} else "hr"
    assert shell.json(kind, "show", name) == shell.json(kind, "show", f"{kind}/{name}")
    assert name in shell.run(kind, "show", name).stdout


def test_a_dataset_shows_keys_references_and_findings(shell):
    page = shell.run("datasets", "show", "hr").stdout
    for words in ("people", "2,500", "pets(owner) -> people(id)", "CSV, separator ','"):
        assert words in page


def test_a_failed_job_shows_why(shell, served):
    error = Failure(code="INVALID_ARGUMENT", message="Table people is empty.", reason="EMPTY")
    served.service.jobs["jobs/one"] = [scripted.job(state=JobState.FAILED, error=error)]
    assert "EMPTY: Table people is empty." in shell.run("jobs", "show", "one").stdout
    assert shell.json("jobs", "show", "one")["error"]["reason"] == "EMPTY"


def test_several_are_deleted_at_once(shell, served):
    assert shell.json("models", "delete", "hr", "models/alone") == {
        "deleted": ["models/hr", "models/alone"]
    }
    assert served.service.models == {}


def test_what_cannot_be_deleted_is_told(shell, served):
    served.service.fail["delete_dataset"] = [
        FailedPreconditionError("A job reads datasets/hr; cancel it first.", reason="IN_USE")
    ]
    ended = shell.run("datasets", "delete", "hr", code=1)
    assert ended.stderr == "Error: A job reads datasets/hr; cancel it first.\n"
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--server", "{}", "datasets", "list"),
        ("datasets", "--server", "{}", "list"),
        ("datasets", "list", "--server", "{}"),
        ("--server", "nowhere:1", "datasets", "list", "--server", "{}"),
    ],
)
def test_the_server_can_be_named_before_and_after_the_command(served, shell, words):
    shell.address = "nowhere:1"
    ended = shell.run(*(word.format(served.address) for word in words))
    assert "datasets/hr" in ended.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--output", "json", "datasets", "list"),
        ("datasets", "--output", "json", "list"),
        ("datasets", "list", "--output", "json"),
        ("--output", "text", "datasets", "list", "--output", "json"),
    ],
)
def test_the_output_can_be_chosen_before_and_after_the_command(shell, words):
    assert shell.run(*words).stdout.startswith("[")


def test_a_server_that_is_not_there_is_told_in_one_sentence(shell):
    ended = shell.run("datasets", "list", "--server", "127.0.0.1:1", code=1)
    assert ended.stderr == (
        "Error: No syntheflow server answers at 127.0.0.1:1; start one with: syntheflow serve\n"
    )
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("datasets", "lst"),
        ("datasets", "show"),
        ("datasets", "list", "--output", "xml"),
        ("train", "hr", "--time-limit", "soon"),
        ("train", "hr", "--holdout-share", "0.7"),
        ("validate", "hr", "--min-quality", "7"),
        ("generate", "hr", "--format", "odt"),
        ("sample-data", "hr"),
        ("serve", "--port", "99999"),
    ],
)
def test_wrong_usage_ends_with_2(shell, words):
    ended = shell.run(*words, code=2)
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_jobs_are_cancelled(shell, served):
    assert "jobs/one was queued" in shell.run("jobs", "cancel", "one").stdout
    assert served.service.jobs["jobs/one"][0].state is JobState.CANCELLED


def test_a_watched_job_ends_with_its_result(shell, served):
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.RUNNING, stage="training people", progress=0.5),
        scripted.job(state=JobState.SUCCEEDED, result="models/hr"),
    ]
    ended = shell.run("jobs", "watch", "one")
    assert "models/hr" in ended.stdout
    assert "training people" in ended.stderr


def test_watching_a_job_that_fails_fails(shell, served):
    error = Failure(code="INTERNAL", message="The worker died.", reason="WORKER_DIED")
    served.service.jobs["jobs/one"] = [scripted.job(state=JobState.FAILED, error=error)]
    assert shell.run("jobs", "watch", "one", code=1).stderr.endswith("Error: The worker died.\n")


def test_a_fault_of_our_own_is_a_sentence_and_no_trace(shell, monkeypatch):
    from syntheflow import Client

    def broken(self):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Client, "get_dataset", lambda self, name: broken(self))
    told = shell.run("schema", "show", "hr", code=1).stderr
    assert told == "Error: this should not happen; please report it: RuntimeError: a bug\n"


def test_the_version_is_told(shell):
    assert shell.run("--version").stdout.startswith("syntheflow ")
