"""A place is read strictly: one spelling, no secret, no option that means something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.connect.places import PlaceKind, parse_place
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.writing import Dialect


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("postgresql://reader@DB.Example.com:5432/shop", "postgresql://reader@db.example.com/shop"),
        ("postgres://db./shop", "postgresql://db/shop"),
        ("mysql://db:3307/shop?sslmode=require", "mysql://db:3307/shop?sslmode=require"),
        ("mariadb://[::1]:3306/shop", "mariadb://[::1]/shop"),
        ("mariadb://[0:0:0:0:0:0:0:1]/shop", "mariadb://[::1]/shop"),
        ("mssql://sa@10.0.0.1/my%20shop", "mssql://sa@10.0.0.1/my%20shop"),
        ("oracle://db/xe", "oracle://db/xe"),
        ("sqlite:///data/x.db", "sqlite:///data/x.db"),
        ("sqlite:////data//x.db", "sqlite:///data/x.db"),
        ("duckdb:///data/x.db", "duckdb:///data/x.db"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket"),
        ("gcs://bucket/a", "gs://bucket/a"),
        ("abfss://box@acc.blob.core.windows.net/a", "abfs://box@acc.dfs.core.windows.net/a"),
        ("file:///data/sets", "file:///data/sets"),
        ("/data/sets/", "file:///data/sets"),
        ("/data/50%", "file:///data/50%25"),
        (
            "s3://b3b/p?region=eu-west-1&endpoint_override=http://localhost:5000",
            "s3://b3b/p?endpoint_override=http://localhost:5000&region=eu-west-1",
        ),
    ],
)
def test_every_form_has_one_spelling_that_reads_back(text: str, url: str) -> None:
    place = parse_place(text)
    assert place.url == url
    assert parse_place(url) == place


def test_parts_are_told_apart() -> None:
    server = parse_place("mysql://ann%40corp@db.example.com/shop?connect_timeout=5")
    assert (server.kind, server.dialect) == (PlaceKind.DATABASE, Dialect.MYSQL)
    assert (server.user, server.host, server.port, server.name) == (
        "ann@corp",
        "db.example.com",
        3306,
        "shop",
    )
    store = parse_place("abfs://box@account/a/b")
    assert (store.kind, store.account, store.name, store.path) == (
        PlaceKind.STORE,
        "account",
        "box",
        "a/b",
    )
    file = parse_place("sqlite:///data/x.db")
    assert (file.kind, file.dialect, file.path) == (
        PlaceKind.DATABASE,
        Dialect.SQLITE,
        "/data/x.db",
    )


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:hunter2@db/shop",
        "postgresql://ann:@db/shop",
        "postgresql://:hunter2@db/shop",
        "mysql://db/shop?password=hunter2",
        "s3://key:hunter2@bucket/p",
        "s3://bucket/p?secret_key=hunter2",
        "sqlite://u:hunter2@/data/x.db",
    ],
)
def test_a_password_in_the_text_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        parse_place(text)
    assert refused.value.reason == "PASSWORD_IN_URL"
    assert "hunter2" not in repr(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        # hosts that other readers take for an address inside
        "postgresql://2130706433/shop",
        "postgresql://127.1/shop",
        "postgresql://0177.0.0.1/shop",
        "postgresql://0x7f000001/shop",
        "postgresql://127.0.0.0x1/shop",
        "postgresql://[fe80::1%25eth0]/shop",
        "postgresql://[fe80::1%eth0]/shop",
        "postgresql://[127.0.0.1]/shop",
        "postgresql://::1/shop",
        "postgresql://①②⑦.0.0.1/shop",
        "postgresql://localhost。/shop",
        # two hosts, or where the host ends
        "postgresql://good,127.0.0.1/shop",
        "postgresql://good@evil@inside/shop",
        "postgresql://good\\@inside/shop",
        "postgresql://good#@inside/shop",
        "postgresql://good:5432:22/shop",
        "postgresql://good:0/shop",
        "postgresql://good:99999/shop",
        "postgresql://good:/shop",
        "postgresql://go od/shop",
        "postgresql://good\n/shop",
        "postgresql://good\t/shop",
        # sockets and options of the drivers
        "postgresql:///shop",
        "postgresql://%2Fvar%2Frun/shop",
        "postgresql://good/shop?host=127.0.0.1",
        "postgresql://good/shop?hostaddr=127.0.0.1",
        "postgresql://good/shop?sslrootcert=/etc/passwd",
        "postgresql://good/shop?sslkey=/etc/ssl/key",
        "postgresql://good/shop?service=x",
        "postgresql://good/shop?passfile=/etc/passwd",
        "postgresql://good/shop?options=-c%20x",
        "postgresql://good/shop?sslmode=require&sslmode=disable",
        "postgresql://good/shop?sslmode=require%26host=inside",
        "mysql://good/shop?local_infile=1",
        "mysql://good/shop?unix_socket=/run/x",
        "mysql://good/shop?read_default_file=/etc/my.cnf",
        "mysql://good/shop?init_command=drop",
        # a database's name that is read as settings
        "postgresql://good/host%3Dinside",
        "postgresql://good/postgresql%3A%2F%2Finside%2Fx",
        "postgresql://good/",
        "postgresql://good/a/b",
        # files
        "sqlite://",
        "sqlite:///",
        "sqlite:///x.db?mode=rwc",
        "sqlite:///x.db?uri=true",
        "sqlite:///../x.db",
        "sqlite:///a/%2e%2e/x.db",
        "sqlite:///a%00b",
        "sqlite://host/x.db",
        "duckdb:///x.db?access_mode=READ_WRITE",
        "duckdb:///md:x?motherduck_token=t",
        "file://host/data",
        "file:///data/../etc",
        "/data/../etc",
        "/data/a\0b",
        "data/relative",
        "./x",
        "~/x",
        "",
        " ",
        # stores
        "s3://",
        "s3://UPPER/p",
        "s3://bu/../x",
        "s3://bucket/a//b",
        "s3://bucket/a/../b",
        "s3://bucket/a/%2e%2e/b",
        "s3://bucket/a%00",
        "s3://key@bucket/p",
        "s3://bucket:80/p",
        "s3://bucket.evil.com@x/p",
        "s3://bucket/p?region=eu.evil.com%23",
        "s3://bucket/p?endpoint_override=http://a@b",
        "s3://bucket/p?endpoint_override=file:///etc",
        "s3://bucket/p?endpoint_override=http://127.1",
        "s3://bucket/p?role_arn=x",
        "s3://bucket/p?proxy_options=x",
        "abfs://box/p",
        "abfs://box@acc.evil.com/p",
        "abfs://box@acc/p?sas_token=x",
        # other schemes
        "http://good/x",
        "ftp://good/x",
        "gopher://good/x",
        "postgresql+psycopg2://good/x",
        "jdbc:postgresql://good/x",
        "host=inside dbname=x",
    ],
)
def test_what_is_not_exactly_a_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        parse_place(text)
    assert refused.value.reason in {"PLACE_INVALID", "PASSWORD_IN_URL"}


@given(st.text(max_size=80).map(lambda end: "postgresql://" + end) | st.text(max_size=60))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        place = parse_place(text)
    except InvalidArgumentError:
        return
    assert parse_place(place.url) == place
    assert place.url.isascii()
