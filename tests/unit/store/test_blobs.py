from __future__ import annotations

import pytest

from syntheflow_server.domain.errors import AlreadyExistsError, DataLossError
from syntheflow_server.store.blobs import Blobs


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "blobs")


def put(blobs: Blobs, name: str, text: str = "content") -> None:
    with blobs.staging() as staged:
        (staged / "sub").mkdir()
        (staged / "sub" / "file").write_text(text)
        blobs.commit(staged, name)


def test_a_committed_folder_appears_whole(blobs):
    put(blobs, "datasets/a")
    assert (blobs.path("datasets/a") / "sub" / "file").read_text() == "content"
    assert blobs.size("datasets/a") == 7
    assert blobs.read("datasets/a", "sub/file") == b"content"


def test_a_staged_folder_that_is_not_committed_leaves_nothing(blobs, tmp_path):
    def crash_half_way() -> None:
        with blobs.staging() as staged:
            (staged / "file").write_text("half")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash_half_way()
    assert not [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()]


def test_a_taken_place_is_refused_and_kept(blobs):
    put(blobs, "models/a", "first")
    with pytest.raises(AlreadyExistsError):
        put(blobs, "models/a", "second")
    assert blobs.read("models/a", "sub/file") == b"first"


def test_delete_removes_all_and_may_be_repeated(blobs, tmp_path):
    put(blobs, "reports/a")
    blobs.delete("reports/a")
    blobs.delete("reports/a")
    assert not [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()]


def test_an_open_file_survives_its_deletion(blobs):
    put(blobs, "models/a")
    with (blobs.path("models/a") / "sub" / "file").open() as file:
        blobs.delete("models/a")
        assert file.read() == "content"


def test_the_sweep_removes_leftovers_and_folders_without_a_document(blobs, tmp_path):
    put(blobs, "datasets/known")
    put(blobs, "datasets/orphan")
    leftover = tmp_path / "blobs" / ".staging" / "crashed"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    removed = blobs.sweep(lambda kind: {f"{kind}/known"})
    assert removed == ["datasets/orphan"]
    assert not leftover.exists()
    assert blobs.read("datasets/known", "sub/file") == b"content"


def test_a_missing_file_is_data_loss(blobs):
    put(blobs, "reports/a")
    with pytest.raises(DataLossError):
        blobs.read("reports/a", "none")


@pytest.mark.parametrize("name", ["datasets/..", "datasets/a/b", "other/a", "datasets/", "x"])
def test_names_never_lead_out_of_the_store(blobs, name):
    with pytest.raises(ValueError, match="no resource name"):
        blobs.path(name)
