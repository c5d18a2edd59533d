"""Files appear whole or not at all, under names that are safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from syntheflow import Fragment, SyntheflowError
from syntheflow.files import ENDINGS, file_stem, write_files
from syntheflow_server.domain.errors import DataLossError
from syntheflow_server.export import BOOKS, ENCODERS


def test_every_table_becomes_a_file(client, tmp_path):
    written = client.generate_files("hr", tmp_path / "out", "parquet")
    assert [(w.table, w.rows) for w in written] == [("people", 2_500), ("pets", 2_500)]
    for one in written:
        assert parquet.read_table(one.path).num_rows == 2_500
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "people.parquet",
        "pets.parquet",
    ]


@pytest.mark.parametrize("form", [form for form in ENDINGS if form in {*ENCODERS, *BOOKS}])
def test_every_format_has_its_ending(client, tmp_path, form):
    files = client.generate_files("alone", tmp_path, form, rows={"people": 3})
    (written,) = [file for file in files if not file.path.endswith(".xsd")]
    assert written.path.endswith(ENDINGS[form])
    assert (written.table, written.rows) == ("people", 3)
    assert written.bytes > 0


def test_an_error_in_the_middle_leaves_nothing(client, served, tmp_path):
    served.service.cut_after = 2_000
    served.service.fail["cut"] = [DataLossError("The model is damaged.", reason="DAMAGED")]
    with pytest.raises(SyntheflowError, match="damaged"):
        client.generate_files("hr", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupt_leaves_the_files_of_before(client, tmp_path):
    client.generate_files("hr", tmp_path, "csv", rows={"people": 1, "pets": 1})
    before = (tmp_path / "people.csv").read_bytes()

    def interrupt(table: str, rows: int) -> None:
        if rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.generate_files("hr", tmp_path, "csv", on_rows=interrupt)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["people.csv", "pets.csv"]
    assert (tmp_path / "people.csv").read_bytes() == before


def test_files_are_named_by_the_server(tmp_path):
    fragments = [
        Fragment("people", 0, 2, b"a", "shop.sql"),
        Fragment("", 0, 0, b"b", "shop.sql"),
        Fragment("pets", 0, 1, b"c", "shop.sql"),
        Fragment("people", 0, 1, b"d", "people/country=DE/part-0.parquet"),
    ]
    whole, part = write_files(fragments, tmp_path, ".sql")
    assert (tmp_path / "shop.sql").read_bytes() == b"abc"
    assert (whole.table, whole.rows, whole.tables) == ("", 3, {"people": 2, "pets": 1})
    assert (tmp_path / "people/country=DE/part-0.parquet").read_bytes() == b"d"
    assert (part.table, part.rows) == ("people", 1)


def test_folders_of_before_are_not_mixed_with_new_ones(tmp_path):
    fragments = [Fragment("people", 0, 1, b"d", "people/country=DE/part-0.parquet")]
    write_files(fragments, tmp_path, ".parquet")
    with pytest.raises(SyntheflowError, match="not empty") as caught:
        write_files(fragments, tmp_path, ".parquet")
    assert caught.value.reason == "FOLDER_NOT_EMPTY"
    assert [p.name for p in tmp_path.iterdir()] == ["people"]


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/../b", "a//b", "a/", "c:\\a", "a\\b", ".", "a\0", "a\nb", "x/.."]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(SyntheflowError, match="lead out") as caught:
        write_files([Fragment("people", 0, 1, b"d", name)], tmp_path / "out", ".csv")
    assert caught.value.reason == "FILE_NAME_UNSAFE"
    assert list((tmp_path / "out").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_more_tables_than_files_may_be_open_are_written(tmp_path):
    names = [f"t{n}" for n in range(450)]
    fragments = [Fragment(n, 0, 1, f"{n} {part}\n".encode()) for part in range(3) for n in names]
    assert len(write_files(fragments, tmp_path, ".csv")) == 450
    assert (tmp_path / "t7.csv").read_text() == "t7 0\nt7 1\nt7 2\n"


@pytest.mark.parametrize(
    ("table", "stem"),
    [
        ("people", "people"),
        ("Größe der Stadt", "Größe der Stadt"),
        ("a/b", "a%2Fb"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("", "%"),
        ("100%", "100%25"),
        ("new\nline", "new%0Aline"),
    ],
)
def test_unsafe_names_are_escaped(table, stem):
    assert file_stem(table) == stem


@given(st.text(max_size=1_000), st.text(max_size=1_000))
def test_names_stay_apart_and_fit_a_folder(one, two):
    stems = [file_stem(one), file_stem(two)]
    for stem in stems:
        assert 0 < len(stem.encode()) <= 220
        assert not set(stem) & set("/\\\0")
        assert not stem.startswith(".")
    assert (stems[0] == stems[1]) == (one == two)
