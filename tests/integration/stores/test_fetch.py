"""Files of a folder or a store come in as tables: as they are, whole, and none from outside."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.s3 import Store
from syntheflow_server.connect.access import Access, Address
from syntheflow_server.domain.errors import (
    CancelledError,
    ExhaustedError,
    FailedPreconditionError,
    SyntheflowError,
)
from syntheflow_server.export.files import Delivery
from syntheflow_server.ingest.ingest import ingest
from syntheflow_server.ingest.stores import FetchLimits, fetch_files

LIMITS = FetchLimits()


def folder_address(folder: Path) -> Address:
    return Access(allowed_folders=[folder]).resolve(str(folder), writing=False)


def quiet(share: float, doing: str) -> None:
    assert 0 <= share <= 1
    assert doing


def fetched(
    address: Address, into: Path, *patterns: str, limits: FetchLimits = LIMITS
) -> dict[str, bytes]:
    into.mkdir()
    return {p.name: p.read_bytes() for p in fetch_files(address, patterns, into, limits, quiet)}


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_csv", ".csv").replace("_jsonl", ".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_each_file_of_a_folder_is_a_table(tmp_path: Path) -> None:
    source = written(tmp_path / "in", a_csv="x\n1\n", b_csv="x\n2\n", deep__c_csv="y\n3\n")
    (source / "readme.md").write_text("no table")
    (source / ".hidden.csv").write_text("no")
    (source / "_SUCCESS").write_text("")
    assert fetched(folder_address(source), tmp_path / "into") == {
        "a.csv": b"x\n1\n",
        "b.csv": b"x\n2\n",
        "c.csv": b"y\n3\n",
    }


def test_patterns_choose_files_by_name_or_path(tmp_path: Path) -> None:
    source = written(tmp_path / "in", a_csv="x\n1\n", sub__b_csv="x\n2\n", sub__c_jsonl="{}\n")
    address = folder_address(source)
    assert set(fetched(address, tmp_path / "1", "*.csv")) == {"a.csv", "b.csv"}
    assert set(fetched(address, tmp_path / "2", "sub/*")) == {"b.csv", "c.jsonl"}
    with pytest.raises(FailedPreconditionError) as refused:
        fetched(address, tmp_path / "3", "*.xml")
    assert refused.value.reason == "NO_FILES"


def test_files_with_one_header_in_a_folder_are_one_table(tmp_path: Path) -> None:
    source = written(
        tmp_path / "in", orders__p0_csv="id,what\n1,a\n2,b", orders__p1_csv="\ufeffid,what\n3,c\n"
    )
    (source / "orders" / "p2.csv.gz").write_bytes(gzip.compress(b"id,what\n4,d\n"))
    assert fetched(folder_address(source), tmp_path / "into") == {
        "orders.csv": b"id,what\n1,a\n2,b\n3,c\n4,d\n"
    }


def test_files_of_other_columns_stay_tables_of_their_own(tmp_path: Path) -> None:
    source = written(tmp_path / "in", x__a_csv="id\n1\n", x__b_csv="name\nn\n", y__a_csv="z\n1\n")
    assert set(fetched(folder_address(source), tmp_path / "into")) == {"a.csv", "b.csv", "y_a.csv"}


def test_files_without_header_keep_all_their_lines(tmp_path: Path) -> None:
    source = written(tmp_path / "in", x__a_csv="0,a\n1,b\n", x__b_csv="0,a\n2,c\n")
    assert fetched(folder_address(source), tmp_path / "into") == {
        "a.csv": b"0,a\n1,b\n",
        "b.csv": b"0,a\n2,c\n",
    }


def test_parts_of_json_lines_are_put_together(tmp_path: Path) -> None:
    source = written(tmp_path / "in", log__a_jsonl='{"x": 1}', log__b_jsonl='{"x": 2, "y": 3}\n')
    assert fetched(folder_address(source), tmp_path / "into") == {
        "log.jsonl": b'{"x": 1}\n{"x": 2, "y": 3}\n'
    }


def test_partitioned_parquet_is_one_table_with_the_folders_values(tmp_path: Path) -> None:
    for year in (2023, 2024):
        folder = tmp_path / "in" / "sales" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"amount": [year * 1.0, 2.0]}), folder / "part-0.parquet")
    into, out = tmp_path / "into", tmp_path / "out"
    into.mkdir()
    out.mkdir()
    (path,) = fetch_files(folder_address(tmp_path / "in"), (), into, LIMITS, quiet)
    (table,) = ingest(path, file_name=path.name, table="", format=None, out=out)
    assert (table.name, table.rows) == ("sales", 4)
    assert pq.read_table(table.path).to_pydict() == {
        "amount": [2023.0, 2.0, 2024.0, 2.0],
        "year": [2023, 2023, 2024, 2024],
    }


def test_what_is_delivered_to_a_store_comes_back_as_it_was(s3: Store, tmp_path: Path) -> None:
    table = pa.table({"id": range(50_000), "text": [f"row {n}" for n in range(50_000)]})
    pq.write_table(table, tmp_path / "t.parquet")
    delivery = Delivery(s3.address("sets/one"))
    delivery.write("big.parquet", (tmp_path / "t.parquet").read_bytes())
    delivery.write("names/0.csv", b"id,name\n1,Ann\n")
    delivery.write("names/1.csv", b"id,name\n2,Bob\n")
    delivery.finish()
    into, out = tmp_path / "into", tmp_path / "out"
    into.mkdir()
    out.mkdir()
    paths = fetch_files(s3.address("sets/one", writing=False), (), into, LIMITS, quiet)
    tables = [
        ingest(path, file_name=path.name, table="", format=None, out=out)[0] for path in paths
    ]
    assert [(t.name, t.rows) for t in tables] == [("big", 50_000), ("names", 2)]
    assert pq.read_table(tables[0].path).equals(table)


def test_a_place_may_be_one_object(s3: Store, tmp_path: Path) -> None:
    s3.put("sets/a.csv", b"x\n1\n")
    s3.put("sets/b.csv", b"x\n2\n")
    assert fetched(s3.address("sets/a.csv"), tmp_path / "into") == {"a.csv": b"x\n1\n"}


def test_keys_with_awkward_names_stay_in_the_folder(s3: Store, tmp_path: Path) -> None:
    for key in ("s/../../evil.csv", "s/a\\b.csv", "s//x.csv", "s/ok.csv"):
        s3.put(key, b"x\n1\n")
    into = tmp_path / "into"
    into.mkdir()
    try:
        paths = fetch_files(s3.address("s"), ("*.csv",), into, LIMITS, quiet)
    except SyntheflowError:
        paths = []
    assert all(path.resolve().is_relative_to(into) for path in paths)
    assert {path.name for path in tmp_path.iterdir()} == {"into"}


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "in", a_csv="x\n1\n")
    (tmp_path / "secret.csv").write_text("secret")
    (source / "b.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(FailedPreconditionError) as refused:
        fetched(folder_address(source), tmp_path / "into")
    assert refused.value.reason == "PLACE_NOT_ALLOWED"
    (source / "b.csv").unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.csv").write_text("secret")
    (source / "folder").symlink_to(tmp_path / "other")
    assert set(fetched(folder_address(source), tmp_path / "into2")) == {"a.csv"}


def test_devices_and_pipes_do_not_hang_it(tmp_path: Path) -> None:
    source = written(tmp_path / "in", a_csv="x\n1\n")
    os.mkfifo(source / "b.csv")
    assert set(fetched(folder_address(source), tmp_path / "into")) == {"a.csv"}


@pytest.mark.parametrize(
    "limits",
    [FetchLimits(bytes=1_000), FetchLimits(files=2), FetchLimits(entries=2), FetchLimits(depth=1)],
)
def test_places_beyond_the_limits_are_refused(tmp_path: Path, limits: FetchLimits) -> None:
    source = written(
        tmp_path / "in", a_csv="x\n" + "1\n" * 999, b_csv="x\n1\n", one__two__c_csv="x\n1\n"
    )
    with pytest.raises(ExhaustedError) as refused:
        fetched(folder_address(source), tmp_path / "into", limits=limits)
    assert refused.value.reason == "PLACE_TOO_LARGE"


def test_a_packed_part_cannot_fill_the_disk(tmp_path: Path) -> None:
    (tmp_path / "in" / "t").mkdir(parents=True)
    for name in ("a", "b"):
        bomb = gzip.compress(b"x\n" + b"1\n" * 5_000_000)
        (tmp_path / "in" / "t" / f"{name}.csv.gz").write_bytes(bomb)
    with pytest.raises(ExhaustedError):
        fetched(folder_address(tmp_path / "in"), tmp_path / "o", limits=FetchLimits(bytes=1 << 20))
    assert sum(p.stat().st_size for p in (tmp_path / "o").rglob("*") if p.is_file()) < 8 << 20


def test_fetching_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    source = written(tmp_path / "in", a_csv="x\n1\n", b_csv="x\n2\n")

    def report(share: float, doing: str) -> None:
        if doing == "fetching b.csv":
            raise CancelledError("stop", reason="CANCELLED")

    (tmp_path / "into").mkdir()
    with pytest.raises(CancelledError):
        fetch_files(folder_address(source), (), tmp_path / "into", LIMITS, report)
