"""One conformance test for all implementations of the metadata store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
)
from syntheflow_server.domain.resources import Dataset, Job, JobKind, JobState, Model
from syntheflow_server.domain.schema import Schema
from syntheflow_server.store import documents as faces
from syntheflow_server.store.documents import Documents, LedgerEntry
from syntheflow_server.store.etag import etag_of
from syntheflow_server.store.memory import MemoryDocuments
from syntheflow_server.store.sql import SqlDocuments

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["memory", "sql"])
def store(request, tmp_path):
    if request.param == "memory":
        documents: Documents = MemoryDocuments()
    else:
        documents = SqlDocuments.in_file(tmp_path / "meta.sqlite")
    yield documents
    documents.close()


def dataset(name: str) -> Dataset:
    return Dataset(
        name=f"datasets/{name}",
        create_time=NOW,
        update_time=NOW,
        data_schema=Schema(tables=()),
        tables=(),
    )


def job(name: str) -> Job:
    return Job(name=f"jobs/{name}", create_time=NOW, kind=JobKind.TRAIN, target="datasets/a")


def test_what_is_created_can_be_read_back(store):
    store.create(dataset("a"))
    assert store.get(Dataset, "datasets/a") == dataset("a")


def test_a_name_is_given_once(store):
    store.create(dataset("a"))
    with pytest.raises(AlreadyExistsError) as caught:
        store.create(dataset("a"))
    assert caught.value.metadata == {"resource": "datasets/a"}


def test_reading_what_is_not_there_is_not_found(store):
    with pytest.raises(NotFoundError):
        store.get(Dataset, "datasets/none")
    with pytest.raises(NotFoundError):
        store.replace(dataset("none"))
    with pytest.raises(NotFoundError):
        store.delete("datasets/none")


def test_a_name_of_another_kind_is_not_found(store):
    store.create(job("a"))
    with pytest.raises(NotFoundError):
        store.get(Dataset, "jobs/a")


def test_lists_are_newest_first_and_of_one_kind(store):
    store.create(dataset("b"))
    store.create(job("j"))
    store.create(dataset("a"))
    page = store.list(Dataset)
    assert [d.name for d in page.items] == ["datasets/a", "datasets/b"]
    assert page.next_page_token == ""
    assert list(store.names(Dataset)) == ["datasets/a", "datasets/b"]
    assert list(store.names(Model)) == []


def test_pages_cover_all_entries_once_even_if_one_is_added_or_deleted_in_between(store):
    for number in range(7):
        store.create(dataset(f"d{number}"))
    first = store.list(Dataset, 3)
    store.create(dataset("new"))
    store.delete("datasets/d4")  # the token's own entry
    second = store.list(Dataset, 3, first.next_page_token)
    third = store.list(Dataset, 3, second.next_page_token)
    names = [d.name for page in (first, second, third) for d in page.items]
    assert names == [f"datasets/d{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert third.next_page_token == ""


def test_a_full_last_page_has_no_next_token(store):
    for number in range(4):
        store.create(dataset(f"d{number}"))
    assert store.list(Dataset, 4).next_page_token == ""


def test_a_page_size_of_0_means_50_and_a_huge_one_means_1000(store):
    for number in range(51):
        store.create(job(f"j{number}"))
    assert len(store.list(Job).items) == 50
    assert len(store.list(Job, 10**9).items) == 51


@pytest.mark.parametrize("token", ["x", "!!", "WyJqb2JzIiwzXQ", "bnVsbA", "é"])
def test_a_foreign_page_token_is_refused(store, token):
    with pytest.raises(InvalidArgumentError) as caught:
        store.list(Dataset, 1, token)
    assert caught.value.violations[0].field == "page_token"


def test_a_negative_page_size_is_refused(store):
    with pytest.raises(InvalidArgumentError):
        store.list(Dataset, -1)


def test_replace_changes_the_document_and_keeps_its_place(store):
    store.create(job("a"))
    store.create(job("b"))
    store.replace(job("a").model_copy(update={"state": JobState.RUNNING}))
    assert store.get(Job, "jobs/a").state is JobState.RUNNING
    assert [j.name for j in store.list(Job).items] == ["jobs/b", "jobs/a"]


def test_an_old_etag_is_a_conflict_and_changes_nothing(store):
    store.create(dataset("a"))
    old = etag_of(dataset("a"))
    later = dataset("a").model_copy(update={"update_time": NOW + timedelta(seconds=1)})
    store.replace(later, etag=old)
    with pytest.raises(ConflictError):
        store.replace(dataset("a"), etag=old)
    assert store.get(Dataset, "datasets/a") == later


def test_delete_removes(store):
    store.create(dataset("a"))
    store.delete("datasets/a")
    assert store.list(Dataset).items == ()


def test_the_ledger_remembers_each_kind_of_change(store):
    entries = [LedgerEntry("verb", f"r{n}", "f" * 64, "datasets/a") for n in range(3)]
    store.create(dataset("a"), entry=entries[0])
    store.replace(dataset("a"), entry=entries[1])
    store.delete("datasets/a", entry=entries[2])
    assert [store.answered("verb", f"r{n}") for n in range(3)] == entries
    assert store.answered("verb", "r3") is None
    assert store.answered("other", "r0") is None


def test_a_change_that_fails_leaves_no_ledger_entry(store):
    entry = LedgerEntry("verb", "r", "f", "datasets/a")
    store.create(dataset("a"))
    with pytest.raises(AlreadyExistsError):
        store.create(dataset("a"), entry=entry)
    with pytest.raises(ConflictError):
        store.replace(dataset("a"), etag="old", entry=entry)
    with pytest.raises(NotFoundError):
        store.delete("datasets/b", entry=entry)
    assert store.answered("verb", "r") is None


def test_the_ledger_forgets_after_its_time(store, monkeypatch):
    entry = LedgerEntry("verb", "r", "f", "datasets/a")
    for module in ("memory", "sql"):
        monkeypatch.setattr(f"syntheflow_server.store.{module}.LEDGER_TIME", timedelta(0))
    store.create(dataset("a"), entry=entry)
    assert store.answered("verb", "r") is None
    store.create(dataset("b"), entry=entry)  # the old entry makes room


def test_the_store_says_that_it_works(store):
    store.check()


def test_an_sql_store_outlives_its_process(tmp_path):
    path = tmp_path / "meta.sqlite"
    first = SqlDocuments.in_file(path)
    first.create(dataset("a"), entry=LedgerEntry("verb", "r", "f", "datasets/a"))
    first.close()
    second = SqlDocuments.in_file(path)
    assert second.get(Dataset, "datasets/a") == dataset("a")
    assert second.answered("verb", "r") is not None
    second.close()


def test_a_store_that_lost_its_table_does_not_say_that_it_works(tmp_path):
    store = SqlDocuments.in_file(tmp_path / "meta.sqlite")
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE documents")
    with pytest.raises(Exception, match="no such table"):
        store.check()
    store.close()


def test_page_limits_are_those_of_the_contract():
    assert (faces.DEFAULT_PAGE, faces.LARGEST_PAGE) == (50, 1_000)
    assert faces.checked_page_size(5_000) == 1_000
