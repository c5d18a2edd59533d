"""The client against a real gRPC server: every verb, every kind of resource, every failure."""

from __future__ import annotations

import socket
import time

import pyarrow as pa
import pytest

from support import scripted
from syntheflow import Client, SyntheflowError
from syntheflow_server.domain.errors import (
    ExhaustedError,
    Failure,
    InvalidArgumentError,
    UnavailableError,
    Violation,
)
from syntheflow_server.domain.resources import JobState


def failure(call) -> SyntheflowError:
    with pytest.raises(SyntheflowError) as seen:
        call()
    return seen.value


def full(seconds: float = 0.05) -> ExhaustedError:
    return ExhaustedError("Full.", reason="STREAMS_FULL", retry_after_seconds=seconds)


def test_tables_are_read_as_arrow(client):
    tables = client.tables("hr")
    assert {name: table.num_rows for name, table in tables.items()} == {
        "people": 2_500,
        "pets": 2_500,
    }
    assert tables["people"]["name"][2_499].as_py() == "people 2499"


def test_one_table_is_read(client, served):
    table = client.read("hr", table="pets", start_row=10, rows=1_500, seed=3)
    assert table["id"].to_pylist() == list(range(10, 1_510))
    assert served.service.calls[-1][1].seed == 3


def test_the_only_table_needs_no_name(client):
    assert client.read("alone", rows=5)["id"].to_pylist() == [0, 1, 2, 3, 4]
    error = failure(lambda: client.read("hr"))
    assert "people, pets" in error.message


def test_no_rows_are_a_table_without_rows(client):
    table = client.read("hr", table="pets", rows=0)
    assert (table.num_rows, table.column_names) == (0, ["id", "owner"])


def test_fragments_carry_the_bytes_of_the_format(client):
    pieces = client.generate("hr", tables=["pets"], rows={"pets": 2}, format="csv")
    assert b"".join(piece.data for piece in pieces) == b"id,owner\r\n0,0\r\n1,1\r\n"


def test_leaving_a_stream_stops_the_server(client, served):
    served.service.endless = True
    stream = client.generate("hr")
    next(stream)
    stream.close()
    assert served.service.closed.wait(5)


@pytest.mark.parametrize("form", ["archive", "html"])
def test_a_format_that_cannot_be_generated_is_refused_at_once(client, form):
    assert failure(lambda: client.generate("hr", format=form)).reason == "FORMAT_UNKNOWN"


def test_a_scale_of_nothing_is_refused_and_not_taken_for_one(client):
    assert failure(lambda: client.generate("hr", scale=0)).reason == "SCALE_INVALID"


@pytest.mark.parametrize("cut_after", [0, 999, 1_000, 1_700, 2_499])
def test_a_broken_stream_of_one_table_goes_on_at_the_next_row(client, served, cut_after):
    whole = client.read("hr", table="people")
    # First row above 0, so that the break comes after the stream has begun.
    served.service.cut_after = cut_after
    served.service.fail["cut"] = [UnavailableError("Gone.", reason="STOPPING")]
    assert client.read("hr", table="people").equals(whole)
    served.service.cut_after = cut_after
    window = client.read("hr", table="people", start_row=500, rows=2_000)
    assert window.equals(whole.slice(500, 2_000))


def test_a_stream_that_fails_for_a_reason_does_not_go_on(client, served):
    served.service.cut_after = 1_000
    served.service.fail["cut"] = [full(0)]
    assert failure(lambda: client.read("hr", table="people")).reason == "STREAMS_FULL"


def test_a_full_server_is_asked_again_when_it_says_so(client, served):
    served.service.fail["generate"] = [full(), full()]
    served.service.fail["get_dataset"] = [full(), full()]
    begin = time.monotonic()
    assert client.read("hr", table="pets").num_rows == 2_500
    assert client.get_dataset("hr").name == "datasets/hr"
    assert time.monotonic() - begin >= 0.2


def test_patience_with_a_full_server_ends(served):
    served.service.fail["get_dataset"] = [full(30)]
    with Client(served.address, patience_seconds=1) as hasty:
        error = failure(lambda: hasty.get_dataset("hr"))
    assert (error.code, error.retry_after_seconds) == ("RESOURCE_EXHAUSTED", 30)


def test_an_error_tells_what_the_server_told(client, served):
    served.service.fail["get_dataset"] = [
        InvalidArgumentError(
            "No.",
            reason="NOPE",
            violations=(Violation("seed", "seed must not be negative"),),
            metadata={"table": "people"},
        )
    ]
    error = failure(lambda: client.get_dataset("hr"))
    assert (error.code, error.reason, error.message) == ("INVALID_ARGUMENT", "NOPE", "No.")
    assert [(v.field, v.rule) for v in error.violations] == [("seed", "seed must not be negative")]
    assert error.metadata == {"table": "people"}


def test_a_server_that_is_not_there_is_told_in_one_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Client(address) as nobody:
        for call in (lambda: nobody.get_dataset("hr"), lambda: list(nobody.generate("hr"))):
            error = failure(call)
            assert error.reason == "SERVER_UNREACHABLE"
            assert address in error.message
            assert "syntheflow serve" in error.message


def test_names_are_ids_or_full_names(client):
    assert client.get_dataset("hr") == client.get_dataset("datasets/hr")
    assert client.get_model("models/hr").id == "hr"


def test_a_dataset_comes_with_its_schema_and_findings(client):
    found = client.get_dataset("hr")
    assert found.create_time == scripted.NOW
    assert found.tables[0].findings == ("CSV, separator ','",)
    assert found.schema.tables[1].primary_key == ("id",)
    assert found.schema.tables[0].columns[1].semantic_type == "text"
    assert found.schema.foreign_keys[0].parent_table == "people"


def test_a_model_comes_with_its_cards(client):
    model = client.get_model("hr")
    assert (model.seed, model.versions, model.tables[0].train_rows) == (7, {"torch": "2"}, 2_250)


def test_lists_read_all_pages(client, served):
    for number in range(120):
        name = f"datasets/d{number}"
        served.service.datasets[name] = scripted.dataset(name)
    assert len({found.name for found in client.list_datasets()}) == 121
    asked = [detail for method, detail in served.service.calls if method == "list_datasets"]
    assert [token for _, token in asked] == ["", "50", "100"]


def test_all_kinds_are_listed_and_deleted(client, served):
    served.service.jobs["jobs/one"] = [scripted.job(state=JobState.SUCCEEDED)]
    assert [len(list(listed())) for listed in (
        client.list_datasets, client.list_models, client.list_jobs, client.list_reports
    )] == [1, 2, 1, 1]  # fmt: skip
    client.delete_dataset("hr")
    client.delete_model("hr")
    client.delete_job("one")
    client.delete_report("one")
    service = served.service
    assert not service.datasets
    assert not service.jobs
    assert not service.reports
    assert failure(lambda: client.delete_model("hr")).code == "NOT_FOUND"


def test_a_schema_is_replaced_under_its_etag(client, served):
    before = client.get_dataset("hr")
    fields = before.schema.to_dict()
    fields["tables"][0]["columns"][1]["semantic_type"] = "category"
    after = client.update_schema("hr", fields, etag=before.etag)
    assert after.schema.tables[0].columns[1].semantic_type == "category"
    assert after.etag != before.etag
    assert client.update_schema("hr", after.schema).schema == after.schema


def states(*states, **last):
    return [scripted.job(state=state) for state in states[:-1]] + [
        scripted.job(state=states[-1], **last)
    ]


def test_training_waits_for_the_end_and_tells_of_the_way(client, served):
    served.service.jobs["jobs/one"] = states(
        JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED, result="models/hr", progress=1.0
    )
    heard = []
    job = client.train("hr", model="m", time_limit_seconds=1.5, on_progress=heard.append)
    assert (job.result, job.ended) == ("models/hr", True)
    assert [now.state for now in heard] == ["queued", "running", "succeeded"]
    settings = served.service.calls[0][1][1]
    assert (settings["model_id"], settings["time_limit_seconds"]) == ("m", 1.5)
    assert len(settings["request_id"]) == 32


def test_training_need_not_be_waited_for(client):
    assert client.train("hr", wait=False).state == "queued"


def test_a_failed_job_raises_its_error(client, served):
    served.service.jobs["jobs/one"] = states(
        JobState.FAILED,
        error=Failure(code="INVALID_ARGUMENT", message="Table people is empty.", reason="EMPTY"),
    )
    error = failure(lambda: client.validate("hr"))
    assert (error.code, error.reason, error.message) == (
        "INVALID_ARGUMENT",
        "EMPTY",
        "Table people is empty.",
    )


def test_a_cancelled_job_raises(client, served):
    served.service.jobs["jobs/one"] = states(JobState.QUEUED, JobState.CANCELLED)
    assert failure(lambda: client.train("hr")).code == "CANCELLED"


def test_a_job_is_cancelled_and_watched(client):
    assert client.cancel("one").state == "queued"
    assert [job.state for job in client.watch_job("one")] == ["cancelled"]


def test_a_report_is_read_and_rendered(client):
    report = client.get_report("one")
    assert (report.quality, report.parts[0].detail) == (0.9, "Hard to tell apart.")
    assert client.render_report("one", "json") == b"<json>" * 300_000
    assert client.render_report("one").startswith(b"<html>")


def test_values_become_dictionaries_that_json_takes(client):
    import json

    for value in (client.get_dataset("hr"), client.get_model("hr"), client.get_report("one")):
        assert json.loads(json.dumps(value.to_dict()))["name"] == value.name


def test_files_are_uploaded_by_path(client, served, tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(b"a\n" * 1_500_000)
    heard = []
    made = client.upload("new", [path], on_bytes=heard.append)
    assert made.name == "datasets/new"
    assert served.service.uploads[0][1] == {"people.csv": path.read_bytes()}
    assert (sum(heard), max(heard)) == (3_000_000, 1 << 20)


def test_tables_in_memory_are_uploaded_as_arrow(client, served):
    table = pa.table({"n": range(200_000), "t": ["x" * 30] * 200_000})
    client.upload("new", {"numbers": table})
    staged, contents = served.service.uploads[0]
    assert [(f.table, f.format) for f in staged.files] == [("numbers", "arrow")]
    assert pa.ipc.open_stream(contents["numbers.arrow"]).read_all().equals(table)


def test_whatever_speaks_arrow_is_uploaded(client, served):
    class Frame:
        def __arrow_c_stream__(self, schema=None):
            return pa.table({"n": [1, 2]}).__arrow_c_stream__(schema)

    client.upload("new", {"frame": Frame()})
    contents = served.service.uploads[0][1]["frame.arrow"]
    assert pa.ipc.open_stream(contents).read_all()["n"].to_pylist() == [1, 2]


def test_a_partial_schema_goes_along(client, served):
    hint = {"tables": [{"name": "t", "columns": [{"name": "zip", "type": "string"}]}]}
    client.upload("new", {"t": pa.table({"zip": ["1"]})}, schema=hint)
    (table,) = served.service.uploads[0][0].schema.tables
    assert (table.name, table.columns[0].type, table.columns[0].semantic_type) == (
        "t",
        "string",
        None,
    )


@pytest.mark.parametrize("data", [[], {}, 7, ["nowhere.csv"], {"t": 7}, [pa.table({"a": [1]})]])
def test_what_cannot_be_uploaded_is_refused_before_a_call(client, served, data):
    assert failure(lambda: client.upload("new", data)).code == "INVALID_ARGUMENT"
    assert served.service.calls == []


def test_a_file_that_cannot_be_read_ends_the_upload_with_its_reason(client, served):
    class Broken:
        def __arrow_c_stream__(self, schema=None):
            raise ValueError("the frame is torn")

    error = failure(lambda: client.upload("new", {"t": Broken()}))
    assert "the frame is torn" in error.message
    assert served.service.uploads == []


def test_a_retried_upload_sends_the_same_request_id(client, served, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    served.service.fail["upload"] = [full()]
    client.upload("new", path)
    ids = [detail[1] for method, detail in served.service.calls if method == "precheck_upload"]
    assert len(ids) == 2
    assert len(set(ids)) == 1
