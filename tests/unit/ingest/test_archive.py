"""Zip archives: members become tables, bombs and archives within are refused."""

from __future__ import annotations

import gzip
import io
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest


def packed(members: dict[str, bytes | str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def read(folder: Path, data: bytes, **options: Any) -> dict[str, IngestedTable]:
    folder.mkdir(exist_ok=True)
    path = folder / "upload"
    path.write_bytes(data)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    try:
        made = ingest(
            path,
            file_name="all.zip",
            table="",
            format=None,
            out=out,
            options=ReadOptions(**options),
        )
    except InvalidArgumentError:
        assert list(out.iterdir()) == []
        raise
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    return {m.name: m for m in made}


def rows(made: dict[str, IngestedTable]) -> dict[str, list[Any]]:
    return {name: pq.read_table(m.path).to_pylist() for name, m in made.items()}


def test_each_member_is_read_as_its_own_format(tmp_path: Path) -> None:
    base = tmp_path / "db"
    con = sqlite3.connect(base)
    con.executescript("CREATE TABLE s (x INT); INSERT INTO s VALUES (5)")
    con.close()
    made = read(
        tmp_path,
        packed(
            {
                "data/": b"",
                "data/a.csv": "id,v\n1,x\n",
                "../../b.jsonl": '{"id": 2}\n',
                "C:\\c.csv.gz": gzip.compress(b"id\n3\n"),
                "base.sqlite": base.read_bytes(),
                "README.txt": "of no use",
                "__MACOSX/a.csv": b"\0",
                "picture.png": b"\x89PNG\r\n",
            }
        ),
    )
    assert rows(made) == {
        "a": [{"id": 1, "v": "x"}],
        "b": [{"id": 2}],
        "c": [{"id": 3}],
        "s": [{"x": 5}],
    }
    assert made["a"].file_name == "all.zip/a.csv"
    assert made["a"].findings[-1] == "not read: README.txt, picture.png"


def test_a_lone_member_is_called_after_the_archive(tmp_path: Path) -> None:
    assert rows(read(tmp_path, packed({"x.csv": "id\n1\n"}))) == {"all": [{"id": 1}]}


def test_members_of_one_name_are_told_apart_by_folder(tmp_path: Path) -> None:
    made = read(tmp_path, packed({"de/x.csv": "id\n1\n", "fr/x.csv": "id\n2\n"}))
    assert rows(made) == {"de_x": [{"id": 1}], "fr_x": [{"id": 2}]}


def test_members_can_be_chosen(tmp_path: Path) -> None:
    data = packed({"a.csv": "id\n1\n", "b.csv": "id\n2\n", "c.csv": "id\n3\n"})
    assert set(read(tmp_path, data, tables=("a", "b"))) == {"a", "b"}
    with pytest.raises(InvalidArgumentError, match="'z'"):
        read(tmp_path / "again", data, tables=("z",))


def test_a_bad_member_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(tmp_path, packed({"a.csv": "id\n1\n", "b.parquet": b"PAR1 and nothing"}))
    assert caught.value.violations[0].table == "b"


def lying() -> bytes:
    data = bytearray(packed({"a.csv": b"id\n" + b"1\n" * 1_000_000}))
    size = (3 + 2_000_000).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (1_000).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        packed({"a.csv": b"0" * (1 << 28)}),
        packed({f"{i}.csv": "id\n1\n" for i in range(2_001)}),
        packed({"in.zip": packed({"a.csv": "id\n1\n"}), "b.csv": "id\n1\n"}),
        packed({"a.csv": "id\n1\n"})[:-30],
        packed({"README.md": "x"}),
        lying(),
    ],
    ids=["ratio", "members", "nested", "cut", "nothing", "lying"],
)
def test_bombs_and_damage_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read(tmp_path, data)
