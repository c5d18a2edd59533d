"""Places on the command line: what a user means, and no password left in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from syntheflow.cli.places import given_place, refuse_password


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "clean", "password"),
    [
        ("postgresql://u:p@h:5433/d?x=y", "postgresql://u@h:5433/d?x=y", "p"),
        ("mysql://u:p%40%2Fx@h/d", "mysql://u@h/d", "p@/x"),
        ("mysql://u:a@b@h/d", "mysql://u@h/d", "a@b"),
        ("postgresql://u@h/d", "postgresql://u@h/d", None),
        ("postgresql://:p@h/d", "postgresql://h/d", "p"),
        ("s3://bucket/prefix?region=eu", "s3://bucket/prefix?region=eu", None),
        ("warehouse", "warehouse", None),
    ],
)  # fmt: skip
def test_a_password_is_taken_out_and_not_shown(text, clean, password):
    place = given_place(text)
    assert (place.text, place.password) == (clean, password)
    assert "password" not in repr(place)


def test_paths_become_full_urls(here: Path):
    (here / "data").mkdir()
    (here / "shop.sqlite").write_bytes(b"")
    assert given_place("./data").text == f"file://{here}/data"
    assert given_place("./new folder").text == f"file://{here}/new%20folder"
    assert given_place("shop.sqlite").text == f"sqlite://{here}/shop.sqlite"
    assert given_place("a/new.duckdb").text == f"duckdb://{here}/a/new.duckdb"
    assert given_place("sqlite:///shop.sqlite").text == f"sqlite://{here}/shop.sqlite"
    assert given_place("sqlite://a/shop.sqlite").text == f"sqlite://{here}/a/shop.sqlite"
    assert given_place("sqlite:////srv/a.sqlite").text == "sqlite:///srv/a.sqlite"
    assert given_place("sqlite:///srv/a.sqlite").text == "sqlite:///srv/a.sqlite"
    assert given_place("sqlite:///srv/a.sqlite").is_database
    assert given_place("./data").is_database is False
    # A plain word is a connection's name, also where a folder of that name lies.
    assert given_place("data").text == "data"
    assert given_place("data").is_database is None


def test_a_file_that_is_no_database_is_told_what_to_do(here: Path):
    (here / "people.csv").write_text("id\n1\n")
    with pytest.raises(typer.BadParameter, match="syntheflow upload"):
        given_place("people.csv")


def test_a_password_never_goes_to_a_server_of_others():
    place = given_place("postgresql://u:hush-hush@h/d")
    with pytest.raises(typer.BadParameter, match="SYNTHEFLOW_CONNECTIONS") as caught:
        refuse_password(place, "A")
    assert "hush" not in str(caught.value)
    assert refuse_password(given_place("postgresql://u@h/d"), "A").text == "postgresql://u@h/d"
