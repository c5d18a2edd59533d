"""What MySQL's own ways ask of a load: LOAD DATA, no file, no transaction around tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from support.loading import Home, home_of, load, loader_of, people
from syntheflow_server.connect.databases import open_database
from syntheflow_server.domain.errors import FailedPreconditionError, SyntheflowError
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.export.databases.progress import Progress


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return home_of("mariadb", request, tmp_path)


ODD = "a\\b\tc\nd'e\"f\r\0g\x1aü😀\\N"
NATIVE = {
    "tiny": ("tinyint", "int64", -7, -7),
    "bits": ("bit(1)", "bool", True, b"\x01"),
    "truth": ("boolean", "bool", True, 1),
    "exact": ("decimal(6, 2)", "float64", 1.239, "1.24"),
    "mood": ("enum('so so', 'fine')", "string", "so so", "so so"),
    "tree": ("json", "string", '{"a": "\\n\\t"}', '{"a": "\\n\\t"}'),
    "odd": (
        "longtext",
        "string",
        "a\\b\tc\nd'e\"f\r\0g\x1aü😀\\N",
        "a\\b\tc\nd'e\"f\r\0g\x1aü😀\\N",
    ),
    "none": ("varchar(9)", "string", "", ""),
    "moment": ("datetime(6)", "timestamp[us]", 1, "1970-01-01 00:00:00.000001"),
    "zoned": ("timestamp", "timestamp[us, tz=UTC]", 10**15, "2001-09-09 01:46:40"),
    "span": ("time", "duration[us]", -90_000_000, "-00:01:30"),
}


@pytest.mark.parametrize("again", [True, False])
def test_a_load_that_broke_while_its_tables_were_made_leaves_none_of_them(
    home: Home, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "start", crash)
        with pytest.raises(OSError):
            loader_of(home, LoadMode.CREATE, load="jobs/7").begin()
    assert {"person", "visit"} < home.tables()
    loader = loader_of(home, LoadMode.CREATE, load="jobs/7")
    if again:
        assert loader.begin() == {"visit": 0, "person": 0}
        loader.finish()
        assert home.tables() == {"person", "visit"}
    else:
        loader.discard()
        assert home.tables() == set()


@pytest.mark.parametrize("files", ["ON", "OFF"])
def test_every_type_of_a_column_takes_its_values(home: Home, files: str) -> None:
    columns = ", ".join(f"{name} {native}" for name, (native, *_) in NATIVE.items())
    home.run(f"CREATE TABLE things ({columns}) DEFAULT CHARACTER SET utf8mb4")
    table = Table(
        name="things",
        columns=tuple(
            Column(name=name, type=kind, semantic_type=SemanticType.TEXT)
            for name, (_, kind, *_) in NATIVE.items()
        ),
    )
    rows = pa.table(
        [
            pa.array([value, None], field.type)
            for (_, _, value, _), field in zip(NATIVE.values(), table.arrow, strict=True)
        ],
        names=list(NATIVE),
    )
    home.run(f"SET GLOBAL local_infile = {files}")
    try:
        loaded = load(home, {"things": rows}, LoadMode.APPEND, Schema(tables=(table,)))
    finally:
        home.run("SET GLOBAL local_infile = ON")
    assert [bool(note) for note in loaded.notes] == [True] * (files == "OFF")
    home.run("SET SESSION time_zone = '+00:00'")
    first, second = home.rows("SELECT * FROM things ORDER BY tiny DESC")
    told = {
        name: value if isinstance(value, bytes | int) else str(value)
        for name, value in zip(NATIVE, first, strict=True)
    }
    expected = {name: value[3] for name, value in NATIVE.items()} | {"span": told["span"]}
    assert told == expected
    assert set(second) == {None}
    assert home.rows("SELECT CAST(span AS char) FROM things WHERE tiny = -7") == [("-00:01:30",)]


def test_texts_beyond_the_bytes_of_their_type_are_cut_between_characters(home: Home) -> None:
    home.run("CREATE TABLE things (a tinytext CHARACTER SET utf8mb4)")
    column = Column(name="a", type="string", semantic_type=SemanticType.TEXT)
    schema = Schema(tables=(Table(name="things", columns=(column,)),))
    rows = pa.table({"a": ["ü" * 127, None, "x" * 254 + "ü", "😀" * 70]})
    loaded = load(home, {"things": rows}, LoadMode.APPEND, schema)
    found = sorted(len(text) for (text,) in home.rows("SELECT a FROM things") if text)
    assert found == [63, 127, 254]
    assert loaded.notes == (
        "column 'a' of table 'things': 2 texts were cut to 255 bytes (tinytext)",
    )


def test_a_server_that_asks_for_a_file_gets_none(home: Home) -> None:
    home.run("CREATE TABLE things (line varchar(900))")
    with open_database(home.address) as database:
        connection = database.connect()
        with pytest.raises(Exception, match="asked for a file"):
            connection.cursor().execute("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE things")
        connection.close()
    assert home.count("things") == 0


def test_tables_are_replaced_at_once_and_only_at_the_end(home: Home) -> None:
    load(home, people(3, 6))
    loader = loader_of(home, LoadMode.REPLACE)
    loader.begin()
    loader.write("person", 0, people(5, 5)["person"].to_batches()[0])
    assert (home.count("person"), home.count("visit")) == (3, 6)
    loader.finish()
    assert (home.count("person"), home.count("visit")) == (5, 0)
    assert home.tables() == {"person", "visit"}
    with pytest.raises(Exception, match="foreign key"):
        home.run("INSERT INTO visit (person_id) VALUES (77)")


def test_tables_that_others_refer_to_are_not_replaced(home: Home) -> None:
    load(home, people(3, 6))
    home.run("CREATE TABLE note (person_id bigint REFERENCES person (id))")
    with pytest.raises(FailedPreconditionError, match="'note' of the database refers to 'person'"):
        loader_of(home, LoadMode.REPLACE).begin()
    assert home.tables() == {"person", "visit", "note"}


def test_rows_that_others_refer_to_are_not_lost(home: Home) -> None:
    load(home, people(30, 6))
    home.run(
        "CREATE TABLE note (person_id bigint REFERENCES person (id))",
        "INSERT INTO note VALUES (30)",
    )
    with pytest.raises(FailedPreconditionError, match="of table 'note'"):
        load(home, people(29, 6), LoadMode.TRUNCATE)
    assert home.count("person") == 30


@pytest.mark.parametrize(
    ("native", "told"),
    [
        ("varchar(20) CHECK (name <> 'secret')", "CHECK_BROKEN"),
        ("enum('a', 'b')", "VALUE_REFUSED"),
        ("integer", "VALUE_REFUSED"),
        ("varchar(20) UNIQUE", "KEYS_MEET"),
    ],
)
@pytest.mark.parametrize("files", ["ON", "OFF"])
def test_what_a_server_refuses_is_told_without_its_value(
    home: Home, native: str, told: str, files: str
) -> None:
    home.run(f"CREATE TABLE things (name {native})")
    column = Column(name="name", type="string", semantic_type=SemanticType.TEXT)
    schema = Schema(tables=(Table(name="things", columns=(column,)),))
    rows = pa.table({"name": [None, "secret", "secret"]})
    home.run(f"SET GLOBAL local_infile = {files}")
    try:
        with pytest.raises(SyntheflowError) as raised:
            load(home, {"things": rows}, LoadMode.APPEND, schema)
    finally:
        home.run("SET GLOBAL local_infile = ON")
    assert raised.value.reason == told
    assert "things" in raised.value.message
    text = f"{raised.value.message} {raised.value.violations} {raised.value.metadata}"
    assert "secret" not in text
    assert home.count("things") == 0
