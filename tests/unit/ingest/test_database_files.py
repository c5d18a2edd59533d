"""SQLite and DuckDB files: tables come with the keys and types that are declared."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest, sqlite_file

SHARED = """
CREATE TABLE "Land" (code CHAR(2) PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE kunde (
  id INTEGER PRIMARY KEY,
  land CHAR(2) REFERENCES "Land"(code),
  born DATE, seen TIMESTAMP, credit NUMERIC(10,2) CHECK (credit >= 0), ok BOOLEAN, pic BLOB
);
CREATE TABLE bond (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
CREATE TABLE bond_note (a INTEGER, b INTEGER, note TEXT, FOREIGN KEY (a, b) REFERENCES bond(a, b));
INSERT INTO "Land" VALUES ('DE', 'Österreich''s Nachbar'), ('FR', 'France');
INSERT INTO kunde VALUES (1, 'DE', '1990-01-02', '2024-01-02 03:04:05.5', 1.5, true, NULL),
                         (2, NULL, NULL, '2024-01-02 00:00:00', NULL, false, NULL);
INSERT INTO bond VALUES (1, 2);
INSERT INTO bond_note VALUES (1, 2, 'x'), (NULL, NULL, NULL);
CREATE VIEW rich AS SELECT id FROM kunde WHERE credit > 1;
"""


def sqlite_of(path: Path, script: str) -> None:
    con = sqlite3.connect(path)
    con.executescript(script)
    con.close()


def duckdb_of(path: Path, script: str) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute(script)


MAKERS = {"sqlite": sqlite_of, "duckdb": duckdb_of}


def read(path: Path, **options: Any) -> dict[str, tuple[IngestedTable, dict[str, list[Any]]]]:
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    made = ingest(
        path, file_name="x", table="", format=None, out=out, options=ReadOptions(**options)
    )
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    tables = {m.name: (m, pq.read_table(m.path).to_pydict()) for m in made}
    for m in made:
        m.path.unlink()
    return tables


@pytest.fixture(params=list(MAKERS))
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    MAKERS[request.param](path, SHARED)
    return path


def test_tables_keep_types_keys_and_references(shared: Path) -> None:
    made = read(shared)
    assert {name: rows for name, (_, rows) in made.items()} == {
        "Land": {"code": ["DE", "FR"], "name": ["Österreich's Nachbar", "France"]},
        "kunde": {
            "id": [1, 2],
            "land": ["DE", None],
            "born": [dt.date(1990, 1, 2), None],
            "seen": [dt.datetime(2024, 1, 2, 3, 4, 5, 500_000), dt.datetime(2024, 1, 2)],  # noqa: DTZ001
            "credit": [decimal.Decimal("1.50"), None],
            "ok": [True, False],
        },
        "bond": {"a": [1], "b": [2]},
        "bond_note": {"a": [1, None], "b": [2, None], "note": ["x", None]},
    }
    kunde, land = made["kunde"][0], made["Land"][0]
    assert kunde.hint is not None
    assert land.hint is not None
    assert kunde.hint.primary_key == ("id",)
    assert made["bond"][0].hint is not None
    assert made["bond"][0].hint.primary_key == ("a", "b")
    assert land.hint.unique_keys[-1:] == (("name",),)
    assert [c.nullable for c in land.hint.columns] == [False, False]
    assert len(kunde.hint.checks) == 1
    assert "credit" in kunde.hint.checks[0]
    assert str(kunde.references[0]) == "kunde(land) -> Land(code)"
    assert str(made["bond_note"][0].references[0]) == "bond_note(a, b) -> bond(a, b)"
    assert kunde.dialect in MAKERS
    assert "column 'pic': bytes, left out" in kunde.findings
    assert any("not read: rich" in note for m, _ in made.values() for note in m.findings)


def test_tables_and_views_can_be_chosen(shared: Path) -> None:
    assert set(read(shared, tables=("bond*", "rich"))) == {"bond", "bond_note", "rich"}
    with pytest.raises(InvalidArgumentError, match="'none\\*'"):
        read(shared, tables=("none*",))


@pytest.mark.parametrize("form", list(MAKERS))
def test_damaged_files_are_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "upload"
    MAKERS[form](path, SHARED)
    data = bytearray(path.read_bytes())
    data[100:9000] = b"\xa5" * 8900
    path.write_bytes(data)
    with pytest.raises(InvalidArgumentError):
        read(path)


def test_sqlite_values_that_break_their_declared_type_are_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    sqlite_of(
        path,
        "CREATE TABLE t (n INTEGER, d DATE, m DECIMAL(5,2), b INT, free);"
        "INSERT INTO t VALUES (1, '2024-01-02', 1.239, x'00', 5), ('x', 7, 2, 1, 6)",
    )
    made, rows = read(path)["t"]
    assert rows == {"n": ["1", "x"], "d": ["2024-01-02", "7"], "m": [1.239, 2.0], "free": [5, 6]}
    assert "column 'n': declared INTEGER, 1 values do not fit, kept as text" in made.findings
    assert "column 'b': bytes, left out" in made.findings
    assert made.hint is not None
    assert [c.native_type for c in made.hint.columns] == ["INTEGER", "DATE", "DECIMAL(5,2)", ""]


def test_views_of_a_duckdb_file_reach_no_other_file(tmp_path: Path) -> None:
    path, other = tmp_path / "upload", tmp_path / "other.csv"
    other.write_text("a\n1\n")
    duckdb_of(path, f"CREATE TABLE t (a INT); CREATE VIEW v AS SELECT * FROM '{other}'")
    assert set(read(path)) == {"t"}
    with pytest.raises(InvalidArgumentError):
        read(path, tables=("v",))


def test_nested_and_wide_types_of_duckdb_are_read(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    duckdb_of(
        path,
        "CREATE TABLE t (id INT PRIMARY KEY, s STRUCT(a INT), l TEXT[], u UUID, h HUGEINT, "
        "e ENUM('x', 'y'), z TIMESTAMPTZ, ub UBIGINT); INSERT INTO t VALUES (1, {'a': 2}, "
        "['p', 'q'], '00000000-0000-0000-0000-000000000001', 3, 'y', '2024-01-02 03:00:00+01', 4)",
    )
    made = read(path)
    rows = made["t"][1]
    assert rows["s.a"] == [2]
    assert rows["u"] == ["00000000-0000-0000-0000-000000000001"]
    assert (rows["h"], rows["e"], rows["ub"]) == ([3], ["y"], [4])
    assert rows["z"][0].astimezone(dt.UTC) == dt.datetime(2024, 1, 2, 2, tzinfo=dt.UTC)
    assert made["t_l"][1]["value"] == ["p", "q"]
    assert str(made["t_l"][0].references[0]) == "t_l(t_id) -> t(t_id)"


@pytest.mark.parametrize("ends", ["SELECT n FROM c", "SELECT count(*) AS n FROM c"])
def test_views_of_sqlite_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(sqlite_file, "_IDLE_LOOKS", 3)
    monkeypatch.setattr(sqlite_file, "_VIEW_FREE", 1 << 16)
    path = tmp_path / "upload"
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
    sqlite_of(path, f"CREATE TABLE t (a); CREATE VIEW v AS {endless} {ends};")
    with pytest.raises(InvalidArgumentError) as caught:
        ingest(
            path,
            file_name="t.db",
            table="t",
            format=None,
            out=tmp_path,
            options=ReadOptions(tables=("v",)),
        )
    assert (caught.value.reason, caught.value.metadata["table"]) == ("FILE_TOO_LARGE", "v")
    assert list(tmp_path.iterdir()) == [path]
