"""Files are delivered whole or not at all, into folders and into a real store."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.s3 import KEY, SECRET, Store, access_to
from syntheflow_server.domain.errors import FailedPreconditionError, InvalidArgumentError
from syntheflow_server.export.files import Delivery

PART = b"0123456789abcdef" * (1 << 16)
"""One MiB."""


def test_files_appear_in_a_folder_only_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    delivery = Delivery(folder)
    delivery.write("a.csv", b"x\n")
    delivery.write("parts/b.csv", b"y\n")
    delivery.write("a.csv", b"1\n")
    delivery.write("empty.csv", b"")
    assert not [path for path in folder.iterdir() if not path.name.startswith(".")]
    assert delivery.finish() == ["a.csv", "parts/b.csv", "empty.csv"]
    assert (folder / "a.csv").read_bytes() == b"x\n1\n"
    assert (folder / "parts" / "b.csv").read_bytes() == b"y\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "empty.csv", "parts"]


def test_an_aborted_delivery_leaves_a_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes(b"old")
    delivery = Delivery(tmp_path)
    delivery.write("a.csv", PART)
    delivery.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_a_file_that_is_there_is_not_written_over_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"old")
    with pytest.raises(FailedPreconditionError) as refused:
        Delivery(tmp_path).write("a.csv", b"new")
    assert refused.value.reason == "FILE_EXISTS"
    delivery = Delivery(tmp_path, overwrite=True)
    delivery.write("a.csv", b"new")
    assert (tmp_path / "a.csv").read_bytes() == b"old"
    delivery.finish()
    assert (tmp_path / "a.csv").read_bytes() == b"new"


def test_if_one_file_cannot_be_completed_none_stays(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    delivery = Delivery(folder)
    delivery.write("a.csv", b"a")
    delivery.write("b.csv", b"b")
    (folder / "b.csv").mkdir()
    with pytest.raises(FailedPreconditionError, match=r"b\.csv is there already"):
        delivery.finish()
    assert [path.name for path in folder.iterdir()] == ["b.csv"]


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "/etc/a", "a/../../b", "a//b", "a\0b", "a\nb", "a\\b", "./a", "a/"]
)
def test_names_cannot_leave_the_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Delivery(tmp_path).write(name, b"x")
    assert refused.value.reason == "FILE_NAME_INVALID"
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_folder_does_not_lead_out_of_it(tmp_path: Path) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "parts").symlink_to(outside)
    delivery = Delivery(folder)
    delivery.write("parts/a.csv", b"x")
    with pytest.raises(FailedPreconditionError) as refused:
        delivery.finish()
    assert refused.value.reason == "PLACE_NOT_ALLOWED"
    assert not list(outside.iterdir())


def test_objects_appear_in_a_store_only_at_the_end(s3: Store) -> None:
    delivery = Delivery(s3.address("out"))
    for _ in range(12):  # more than one part of a multipart upload
        delivery.write("big.csv", PART)
    delivery.write("sub/small.csv", b"x\n1\n")
    delivery.write("empty.csv", b"")
    assert s3.keys() == {}
    assert delivery.finish() == ["big.csv", "sub/small.csv", "empty.csv"]
    assert s3.keys() == {
        "out/big.csv": 12 * len(PART),
        "out/sub/small.csv": 4,
        "out/empty.csv": 0,
    }
    assert s3.read("out/big.csv") == PART * 12


def test_an_aborted_delivery_leaves_no_object(s3: Store) -> None:
    delivery = Delivery(s3.address("out"))
    for _ in range(12):
        delivery.write("big.csv", PART)
    delivery.write("small.csv", b"x")
    delivery.abort()
    del delivery
    gc.collect()
    assert s3.keys() == {}


_DYING = """
import sys
from support.s3 import Store
from syntheflow_server.export.files import Delivery

def deliver(port, bucket, how):
    delivery = Delivery(Store(int(port), bucket).address("out"))
    delivery.write("big.csv", b"x" * (12 << 20))
    delivery.write("small.csv", b"x")
    print("written", flush=True)
    if how == "abort":
        delivery.abort()
    else:
        raise SystemExit("the body fails and nobody aborts")

deliver(*sys.argv[1:])
"""


@pytest.mark.parametrize("how", ["abort", "die"])
def test_a_process_that_ends_early_leaves_no_object(s3: Store, how: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _DYING, str(s3.port), s3.bucket, how],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.stdout == "written\n"
    assert s3.keys() == {}


def test_an_object_that_is_there_is_not_written_over_unless_asked(s3: Store) -> None:
    s3.put("out/a.csv", b"old")
    with pytest.raises(FailedPreconditionError) as refused:
        Delivery(s3.address("out")).write("a.csv", b"new")
    assert refused.value.reason == "FILE_EXISTS"
    delivery = Delivery(s3.address("out"), overwrite=True)
    delivery.write("a.csv", b"new")
    delivery.finish()
    assert s3.read("out/a.csv") == b"new"


def test_what_the_store_refuses_is_said_without_keys(s3: Store) -> None:
    absent = Store(s3.port, "absent-bucket")
    with pytest.raises(FailedPreconditionError) as refused:
        Delivery(absent.address("out"), overwrite=True).write("a.csv", b"x")
    assert refused.value.reason == "STORE_REFUSED"
    assert "the bucket does not exist" in refused.value.message
    assert KEY not in refused.value.message
    assert SECRET not in repr(refused.value)
    assert SECRET not in repr(access_to(s3))
