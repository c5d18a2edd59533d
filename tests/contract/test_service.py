"""What the contract says of every call, held against the real server over the wire."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from support.company import DATASET, MODEL, ORDERS
from support.wire import connected, jobs, synthesis
from syntheflow import Client, SyntheflowError, schemas
from syntheflow.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    job_service_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
)
from syntheflow.v1.synthesis_service_pb2 import (
    FORMAT_ARROW,
    FORMAT_CSV,
    FORMAT_JSON,
    FORMAT_JSON_LINES,
    FORMAT_PARQUET,
    Condition,
    GenerateRequest,
    PrivacyBudget,
    RowRange,
    Scalar,
    TrainRequest,
    UploadFileStart,
    UploadHeader,
    UploadRequest,
    ValidateRequest,
    ValueRange,
    ValueSet,
)

LARGEST_MESSAGE = 3.5 * 2**20


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


@pytest.fixture
def channel(server) -> Iterator[grpc.Channel]:
    with connected(server.address) as channel:
        yield channel


def error_of(call) -> SyntheflowError:
    with pytest.raises(SyntheflowError) as seen:
        call()
    return seen.value


def missing(channel):
    """One call of every method that names a resource, each naming one that is not there."""
    datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    reports = report_service_pb2_grpc.ReportServiceStub(channel)
    return {
        "Train": lambda: synthesis(channel).Train(TrainRequest(dataset="datasets/none")),
        "Generate": lambda: list(synthesis(channel).Generate(GenerateRequest(model="models/none"))),
        "Validate": lambda: synthesis(channel).Validate(ValidateRequest(model="models/none")),
        "GetDataset": lambda: datasets.GetDataset(
            dataset_service_pb2.GetDatasetRequest(name="datasets/none")
        ),
        "DeleteDataset": lambda: datasets.DeleteDataset(
            dataset_service_pb2.DeleteDatasetRequest(name="datasets/none")
        ),
        "GetModel": lambda: models.GetModel(model_service_pb2.GetModelRequest(name="models/none")),
        "DeleteModel": lambda: models.DeleteModel(
            model_service_pb2.DeleteModelRequest(name="models/none")
        ),
        "GetJob": lambda: jobs(channel).GetJob(job_service_pb2.GetJobRequest(name="jobs/none")),
        "CancelJob": lambda: jobs(channel).CancelJob(
            job_service_pb2.CancelJobRequest(name="jobs/none")
        ),
        "WatchJob": lambda: list(
            jobs(channel).WatchJob(job_service_pb2.WatchJobRequest(name="jobs/none"))
        ),
        "DeleteJob": lambda: jobs(channel).DeleteJob(
            job_service_pb2.DeleteJobRequest(name="jobs/none")
        ),
        "GetReport": lambda: reports.GetReport(
            report_service_pb2.GetReportRequest(name="reports/none")
        ),
        "RenderReport": lambda: list(
            reports.RenderReport(report_service_pb2.RenderReportRequest(name="reports/none"))
        ),
        "DeleteReport": lambda: reports.DeleteReport(
            report_service_pb2.DeleteReportRequest(name="reports/none")
        ),
    }


def test_every_call_on_what_is_not_there_says_so_with_details(channel):
    for method, call in missing(channel).items():
        with pytest.raises(grpc.RpcError) as seen:
            call()
        assert seen.value.code() is grpc.StatusCode.NOT_FOUND, method
        info, resource = error_details_pb2.ErrorInfo(), error_details_pb2.ResourceInfo()
        for detail in rpc_status.from_call(seen.value).details:
            detail.Unpack(info)
            detail.Unpack(resource)
        assert (info.domain, info.reason) == ("syntheflow", "NOT_FOUND"), method
        assert resource.resource_name.endswith("/none"), method


def test_fragments_are_small_and_their_rows_follow_one_another(channel):
    request = GenerateRequest(model=f"models/{MODEL}", seed=2, scale=2)
    following: dict[str, int] = {}
    for fragment in synthesis(channel).Generate(request):
        assert fragment.ByteSize() <= LARGEST_MESSAGE
        if fragment.row_count:
            assert fragment.first_row == following.get(fragment.table, 0)
            following[fragment.table] = fragment.first_row + fragment.row_count
    assert min(following.values()) > 0
    assert len(following) == 7


def test_a_window_is_a_part_of_the_whole(client):
    whole = client.read(MODEL, table="reviews", seed=5)
    size = whole.num_rows
    for start, count in ((0, 1), (7, size // 2), (size - 1, 1), (3, 0)):
        window = client.read(MODEL, table="reviews", seed=5, start_row=start, rows=count or None)
        assert window.equals(whole.slice(start, count or size)), (start, count)


def test_a_window_beyond_the_end_is_out_of_range(client):
    size = client.read(MODEL, table="reviews").num_rows
    error = error_of(lambda: client.read(MODEL, table="reviews", start_row=size, rows=5))
    assert error.code == "OUT_OF_RANGE"


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest(model=f"models/{MODEL}", tables=["cars"]),
        GenerateRequest(model=f"models/{MODEL}", range=RowRange(table="cars")),
        GenerateRequest(model=f"models/{MODEL}", rows=[{"table": "cars", "rows": 1}]),
    ],
    ids=["tables", "range", "rows"],
)
def test_an_unknown_table_is_an_invalid_argument(channel, request_):
    with pytest.raises(grpc.RpcError, match="cars") as seen:
        list(synthesis(channel).Generate(request_))
    assert seen.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"values": ValueSet(values=[Scalar(text="Atlantis")])}, "knows no such value"),
        ({"range": ValueRange(low=Scalar(text="A"), high=Scalar(missing=True))}, "missing"),
        ({}, "values, a range or shares"),
    ],
    ids=["unknown", "missing", "nothing"],
)
def test_a_condition_that_cannot_be_kept_names_table_and_column(channel, rule, told):
    condition = Condition(table=ORDERS, column="country", **rule)
    request = GenerateRequest(model=f"models/{ORDERS}", conditions=[condition])
    with pytest.raises(grpc.RpcError) as seen:
        list(synthesis(channel).Generate(request))
    assert seen.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert all(word in seen.value.details() for word in ("'orders'", "'country'", told))


def test_a_training_that_cannot_be_is_refused_before_it_is_queued(channel):
    before = len(jobs(channel).ListJobs(job_service_pb2.ListJobsRequest()).jobs)
    budget = PrivacyBudget(epsilon=1)
    for told, fields in {
        "base_model": {"base_model": f"models/{MODEL}"},
        "privacy": {"base_model": f"models/{ORDERS}", "privacy": budget},
        "rare_holders": {"rare_holders": 0},
    }.items():
        with pytest.raises(grpc.RpcError) as seen:
            synthesis(channel).Train(TrainRequest(dataset=f"datasets/{ORDERS}", **fields))
        assert seen.value.code() is grpc.StatusCode.INVALID_ARGUMENT, told
        assert told in seen.value.details()
    assert len(jobs(channel).ListJobs(job_service_pb2.ListJobsRequest()).jobs) == before


@pytest.mark.parametrize(
    "form", [FORMAT_ARROW, FORMAT_CSV, FORMAT_JSON, FORMAT_JSON_LINES, FORMAT_PARQUET]
)
def test_rows_are_counted_the_same_in_every_format(channel, form):
    request = GenerateRequest(model=f"models/{MODEL}", tables=["salaries"], seed=2, format=form)
    counted = sum(fragment.row_count for fragment in synthesis(channel).Generate(request))
    arrow = GenerateRequest(model=f"models/{MODEL}", tables=["salaries"], seed=2)
    assert counted == sum(fragment.row_count for fragment in synthesis(channel).Generate(arrow))


def test_a_dataset_that_is_there_is_not_replaced(client):
    error = error_of(lambda: client.upload(DATASET, {"t": pa.table({"a": [1]})}))
    assert (error.code, error.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    assert len(client.get_dataset(DATASET).tables) == 7


def test_an_upload_that_cannot_be_read_leaves_nothing(client, tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 this is not one")
    error = error_of(lambda: client.upload("broken", path))
    assert error.code == "INVALID_ARGUMENT"
    assert "table 'broken'" in error.message
    assert error_of(lambda: client.get_dataset("broken")).code == "NOT_FOUND"
    client.upload("broken", {"t": pa.table({"a": [1, 2, 3]})})
    client.delete_dataset("broken")


def test_a_type_that_the_user_knows_is_kept(client):
    table = pa.table({"zip": ["01234", "99999", "00001"] * 9, "n": list(range(27))})
    hint = {
        "tables": [
            {"name": "t", "columns": [{"name": "n", "semantic_type": "integer"}]},
        ]
    }
    made = client.upload("hinted", {"t": table}, schema=hint)
    try:
        columns = {c.name: c for c in made.schema.tables[0].columns}
        assert (columns["zip"].type, columns["n"].type) == ("string", "int64")
        assert columns["n"].semantic_type == "integer"
    finally:
        client.delete_dataset("hinted")


def test_a_repeated_request_gives_the_first_answer(channel, server):
    request = TrainRequest(
        dataset=f"datasets/{DATASET}", model_id="again", request_id="contract-train"
    )
    first = synthesis(channel).Train(request).job.name
    try:
        assert synthesis(channel).Train(request).job.name == first
        other = TrainRequest(dataset=f"datasets/{DATASET}", request_id="contract-train")
        with pytest.raises(grpc.RpcError) as seen:
            synthesis(channel).Train(other)
        assert seen.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with Client(server.address) as client:
            busy = error_of(lambda: client.delete_job(first))
            assert busy.code == "FAILED_PRECONDITION"
    finally:
        with Client(server.address) as client:
            client.cancel(first)
            assert error_of(lambda: client.wait(first)).code == "CANCELLED"
            client.delete_job(first)
            assert error_of(lambda: client.get_job(first)).code == "NOT_FOUND"


def test_lists_come_in_pages(channel):
    everything = jobs(channel).ListJobs(job_service_pb2.ListJobsRequest()).jobs
    paged, token = [], ""
    while True:
        request = job_service_pb2.ListJobsRequest(page_size=1, page_token=token)
        page = jobs(channel).ListJobs(request)
        assert len(page.jobs) <= 1
        paged += page.jobs
        token = page.next_page_token
        if not token:
            break
    assert [job.name for job in paged] == [job.name for job in everything]
    times = [job.create_time.ToNanoseconds() for job in everything]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("fields", [{"page_size": -1}, {"page_token": "not one of ours"}])
def test_a_bad_page_is_an_invalid_argument(channel, fields):
    with pytest.raises(grpc.RpcError) as seen:
        jobs(channel).ListJobs(job_service_pb2.ListJobsRequest(**fields))
    assert seen.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_old_etag_is_refused(client):
    fields = schemas.to_dict(client.get_dataset(DATASET).schema)
    error = error_of(lambda: client.update_schema(DATASET, fields, etag="0123456789abcdef"))
    assert (error.code, error.reason) == ("ABORTED", "ETAG_MISMATCH")


@pytest.mark.parametrize("fault", ["column", "key", "reference"])
def test_a_schema_that_the_data_contradict_is_refused(client, fault):
    before = client.get_dataset(DATASET)
    fields = schemas.to_dict(before.schema)
    tables = {table["name"]: table for table in fields["tables"]}
    if fault == "column":
        tables["employees"]["columns"][0]["name"] = "nobody"
    elif fault == "key":
        tables["employees"]["primary_key"] = ["department_id"]
    else:
        fields["foreign_keys"].append(
            {
                "child_table": "reviews",
                "child_columns": ["employee_id"],
                "parent_table": "employees",
                "parent_columns": ["department_id"],  # not unique
            }
        )
    error = error_of(lambda: client.update_schema(DATASET, fields))
    assert error.code == "INVALID_ARGUMENT"
    assert error.violations
    assert client.get_dataset(DATASET) == before


def test_an_upload_that_breaks_off_is_data_loss(channel):
    messages = [
        UploadRequest(header=UploadHeader(dataset_id="cut")),
        UploadRequest(file_start=UploadFileStart(file_name="t.csv")),
        UploadRequest(chunk=b"a,b\n"),
    ]
    with pytest.raises(grpc.RpcError) as seen:
        synthesis(channel).Upload(iter(messages))
    assert seen.value.code() is grpc.StatusCode.DATA_LOSS
