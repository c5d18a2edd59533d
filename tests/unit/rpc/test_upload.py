"""Uploads: what arrives is proved, what is wrong is refused, and nothing is left behind."""

from __future__ import annotations

import hashlib
import time

import grpc
import pytest

from support.wire import eventually, synthesis
from syntheflow.v1 import schema_pb2
from syntheflow.v1.synthesis_service_pb2 import (
    FORMAT_CSV,
    UploadFileEnd,
    UploadFileStart,
    UploadHeader,
    UploadRequest,
)
from syntheflow_server.domain.errors import AlreadyExistsError, InvalidArgumentError

DATA = b"a,b\n1,2\n"


def header(**fields):
    return UploadRequest(header=UploadHeader(**{"dataset_id": "new", **fields}))


def start(name="people.csv", **fields):
    return UploadRequest(file_start=UploadFileStart(file_name=name, **fields))


def chunk(data=DATA):
    return UploadRequest(chunk=data)


def end(data=DATA, **fields):
    right = {"size_bytes": len(data), "sha256": hashlib.sha256(data).digest()}
    return UploadRequest(file_end=UploadFileEnd(**{**right, **fields}))


def send(channel, *messages):
    return synthesis(channel).Upload(iter(messages), timeout=10)


def refused(channel, *messages) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as seen:
        send(channel, *messages)
    return seen.value


def left_over(served) -> list:
    return list(served.service.folder.iterdir())


def test_files_arrive_whole_and_in_order(served, channel):
    second = b"x" * 700_000
    answer = send(
        channel,
        header(request_id="r", schema=schema_pb2.Schema(tables=[schema_pb2.Table(name="t")])),
        start(table="t", format=FORMAT_CSV),
        chunk(DATA[:3]),
        chunk(DATA[3:]),
        end(),
        start("other.parquet"),
        chunk(second),
        end(second),
    )
    assert answer.dataset.name == "datasets/new"
    (staged, contents), = served.service.uploads  # fmt: skip
    assert contents == {"people.csv": DATA, "other.parquet": second}
    assert (staged.dataset_id, staged.request_id) == ("new", "r")
    assert [t.name for t in staged.schema.tables] == ["t"]
    assert [(f.table, f.format, f.size_bytes) for f in staged.files] == [
        ("t", "csv", len(DATA)),
        ("", None, len(second)),
    ]
    assert staged.files[0].sha256 == hashlib.sha256(DATA).hexdigest()
    assert left_over(served) == []


def test_an_upload_without_a_schema_has_no_hint(served, channel):
    send(channel, header(), start(), chunk(), end())
    assert served.service.uploads[0][0].schema is None


def test_an_empty_file_is_a_file(served, channel):
    send(channel, header(), start(), end(b""))
    assert served.service.uploads[0][1] == {"people.csv": b""}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"size_bytes": 7}, "bytes were sent"),
        ({"sha256": hashlib.sha256(b"").digest()}, "SHA-256 differs"),
    ],
)
def test_damage_on_the_way_is_data_loss(served, channel, wrong, reason):
    error = refused(channel, header(), start(), chunk(), end(**wrong))
    assert error.code() is grpc.StatusCode.DATA_LOSS
    assert reason in error.details()
    assert served.service.uploads == left_over(served) == []


def test_a_stream_that_ends_within_a_file_is_data_loss(served, channel):
    error = refused(channel, header(), start(), chunk())
    assert error.code() is grpc.StatusCode.DATA_LOSS
    assert left_over(served) == []


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [start()],
        [UploadRequest()],
        [header()],
        [header(), chunk()],
        [header(), header()],
        [header(), start(), start()],
        [header(), start(), header()],
        [header(), start(), chunk(), end(), chunk()],
        [header(dataset_id="No Good")],
        [header(request_id="x" * 129)],
        [header(schema=schema_pb2.Schema(tables=[schema_pb2.Table()]))],
        [header(), start(), chunk(), end(sha256=b"short")],
        [header(), start(format=99)],
    ],
)
def test_messages_out_of_order_or_out_of_rule_are_refused(served, channel, messages):
    error = refused(channel, *messages)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert served.service.uploads == left_over(served) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b.csv", "../b.csv", "a\\b.csv", "nul\0", "x" * 256]
)
def test_a_file_name_with_folders_is_refused(channel, name):
    error = refused(channel, header(), start(name))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "file_start.file_name" in error.details()


def test_more_bytes_than_allowed_are_refused_while_they_come(served, channel):
    many = [chunk(b"x" * 300_000)] * 4
    error = refused(channel, header(), start(), *many)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "1,000,000 bytes" in error.details()
    refusals = served.service.metrics.registry.get_sample_value(
        "syntheflow_rejections_total", {"reason": "upload_too_large"}
    )
    assert refusals == 1
    assert left_over(served) == []


def test_a_vain_upload_is_refused_before_its_bytes_come(served, channel):
    taken = AlreadyExistsError("There is one.", reason="ALREADY_EXISTS")
    served.service.fail["precheck_upload"] = [taken]

    def slow():
        yield header()
        time.sleep(5)
        yield start()

    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as seen:
        synthesis(channel).Upload(slow(), timeout=10)
    assert seen.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert time.monotonic() - begin < 4


def test_what_the_service_refuses_leaves_nothing(served, channel):
    served.service.fail["upload"] = [InvalidArgumentError("Row 7.", reason="ROW_INVALID")]
    error = refused(channel, header(), start(), chunk(), end())
    assert error.details() == "Row 7."
    assert left_over(served) == []


def test_a_client_that_breaks_off_leaves_nothing(served, channel):
    def broken():
        yield header()
        yield start()
        yield chunk()
        eventually(lambda: left_over(served))
        call.cancel()

    call = synthesis(channel).Upload.future(broken())
    with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
        call.result(timeout=10)
    eventually(lambda: not left_over(served))
    assert served.service.uploads == []
