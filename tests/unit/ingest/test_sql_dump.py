"""SQL dumps of four databases: declared tables and their rows, read without a database."""

# ruff: noqa: E501 - lines of dumps as they are written
from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest, sql_text

POSTGRESQL = r"""--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;
CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $_$
BEGIN INSERT INTO public.land VALUES ('no', 'no'); RETURN NEW; END $_$;
CREATE TYPE public.mood AS ENUM ('a;b', 'c');
CREATE TABLE public.land (code character(2) NOT NULL, name text);
CREATE TABLE public.kunde (
    id integer NOT NULL,
    land character(2),
    born date,
    seen timestamp with time zone DEFAULT now() NOT NULL,
    credit numeric(10,2),
    ok boolean DEFAULT true,
    note text,
    CONSTRAINT kunde_credit_check CHECK ((credit >= (0)::numeric))
);
ALTER TABLE public.kunde ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.kunde_id_seq START WITH 1
);
COPY public.land (code, name) FROM stdin;
DE	D\tland; it's
FR	\N
\.


COPY public.kunde (id, land, born, seen, credit, ok, note) FROM stdin;
1	DE	1990-01-02	2024-01-02 03:04:05.5+01	1.50	t	a\\b\nc
2	\N	\N	2024-01-02 00:00:00+00	\N	f	\N
\.

SELECT pg_catalog.setval('public.kunde_id_seq', 2, true);
ALTER TABLE ONLY public.land
    ADD CONSTRAINT land_pkey PRIMARY KEY (code);
ALTER TABLE ONLY public.land ADD CONSTRAINT land_name_key UNIQUE (name);
ALTER TABLE ONLY public.kunde ADD CONSTRAINT kunde_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.kunde
    ADD CONSTRAINT kunde_land_fkey FOREIGN KEY (land) REFERENCES public.land(code) ON DELETE CASCADE;
"""

MYSQL = r"""-- MySQL dump 10.13
/*!40101 SET NAMES utf8 */;
DROP TABLE IF EXISTS `land`;
CREATE TABLE `land` (
  `code` char(2) NOT NULL,
  `name` varchar(40) DEFAULT NULL,
  PRIMARY KEY (`code`),
  UNIQUE KEY `by_name` (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `land` VALUES ('DE','D\tland; it\'s'),('FR',NULL);
CREATE TABLE `kunde` (
  `id` int NOT NULL AUTO_INCREMENT,
  `land` char(2) DEFAULT NULL,
  `born` date DEFAULT NULL,
  `seen` datetime(6) NOT NULL,
  `credit` decimal(10,2) DEFAULT NULL CHECK (`credit` >= 0),
  `ok` bit(1) DEFAULT b'1',
  `note` text,
  `pic` blob,
  PRIMARY KEY (`id`),
  KEY `by_land` (`land`),
  CONSTRAINT `fk_land` FOREIGN KEY (`land`) REFERENCES `land` (`code`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4;
DELIMITER ;;
CREATE TRIGGER t BEFORE INSERT ON kunde FOR EACH ROW BEGIN INSERT INTO land VALUES ('x','y'); END ;;
DELIMITER ;
INSERT INTO `kunde` VALUES (1,'DE','1990-01-02','2024-01-02 02:04:05.500000',1.50,b'1','a\\b\nc',
_binary '\0x'),
(2,NULL,NULL,'2024-01-02 00:00:00',NULL,b'0',NULL,NULL);
"""

SQLITE = """PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE land (code CHAR(2) PRIMARY KEY NOT NULL, name TEXT UNIQUE);
INSERT INTO land VALUES('DE','D\tland; it''s');
INSERT INTO land VALUES('FR',NULL);
CREATE TABLE kunde (id INTEGER PRIMARY KEY AUTOINCREMENT, land CHAR(2) REFERENCES land(code),
  born DATE, seen DATETIME NOT NULL, credit DECIMAL(10,2) CHECK (credit >= 0), ok BOOLEAN, note TEXT);
INSERT INTO kunde VALUES(1,'DE','1990-01-02','2024-01-02 02:04:05.5',1.5,1,'a\\b
c');
INSERT INTO kunde VALUES(2,NULL,NULL,'2024-01-02 00:00:00',NULL,0,NULL);
CREATE TRIGGER t AFTER INSERT ON kunde BEGIN INSERT INTO land VALUES('x','y'); END;
COMMIT;
"""

MSSQL = """USE [db]
GO
CREATE TABLE [dbo].[land]([code] [nchar](2) NOT NULL, [name] [nvarchar](40) NULL,
 CONSTRAINT [PK_land] PRIMARY KEY CLUSTERED ([code] ASC), CONSTRAINT [U] UNIQUE ([name]))
GO
CREATE PROCEDURE [dbo].[p] AS BEGIN INSERT INTO land VALUES ('x', 'y'); END
GO
INSERT [dbo].[land] ([code], [name]) VALUES (N'DE', N'D\tland; it''s')
INSERT [dbo].[land] ([name], [code]) VALUES (NULL, N'FR')
GO
CREATE TABLE [dbo].[kunde]([id] [int] IDENTITY(1,1) NOT NULL PRIMARY KEY, [land] [nchar](2) NULL,
 [born] [date] NULL, [seen] [datetime2](7) NOT NULL, [credit] [decimal](10, 2) NULL, [ok] [bit] NULL,
 [note] [nvarchar](max) NULL, CHECK ([credit] >= 0))
GO
SET IDENTITY_INSERT [dbo].[kunde] ON
INSERT [dbo].[kunde] VALUES (1, N'DE', CAST(N'1990-01-02' AS Date),
 CAST(N'2024-01-02T02:04:05.500' AS DateTime2), CAST(1.50 AS Decimal(10, 2)), 1, N'a\\b
c')
INSERT [dbo].[kunde] VALUES (2, NULL, NULL, N'2024-01-02 00:00:00', NULL, 0, NULL)
GO
ALTER TABLE [dbo].[kunde] WITH CHECK ADD CONSTRAINT [FK] FOREIGN KEY([land])
REFERENCES [dbo].[land] ([code])
GO
"""
DUMPS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE, "mssql": MSSQL}


def read(
    folder: Path, text: str, **options: Any
) -> dict[str, tuple[IngestedTable, dict[str, list[Any]]]]:
    folder.mkdir(exist_ok=True)
    path = folder / "upload"
    path.write_text(text, "utf-8")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(
        path, file_name="dump.sql", table="", format=None, out=out, options=ReadOptions(**options)
    )
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    return {m.name: (m, pq.read_table(m.path).to_pydict()) for m in made}


@pytest.mark.parametrize("dialect", list(DUMPS))
def test_dumps_keep_rows_types_and_keys(tmp_path: Path, dialect: str) -> None:
    made = read(tmp_path, DUMPS[dialect])
    seen = [dt.datetime(2024, 1, 2, 2, 4, 5, 500_000), dt.datetime(2024, 1, 2)]  # noqa: DTZ001
    if dialect == "postgresql":
        seen = [moment.replace(tzinfo=dt.UTC) for moment in seen]
    assert {name: rows for name, (_, rows) in made.items()} == {
        "land": {"code": ["DE", "FR"], "name": ["D\tland; it's", None]},
        "kunde": {
            "id": [1, 2],
            "land": ["DE", None],
            "born": [dt.date(1990, 1, 2), None],
            "seen": seen,
            "credit": [decimal.Decimal("1.50"), None],
            "ok": [True, False],
            "note": ["a\\b\nc", None],
        },
    }
    kunde, land = made["kunde"][0], made["land"][0]
    assert kunde.dialect == dialect
    assert kunde.hint is not None
    assert land.hint is not None
    assert (kunde.hint.primary_key, land.hint.primary_key) == (("id",), ("code",))
    assert land.hint.unique_keys == (("name",),)
    assert len(kunde.hint.checks) == 1
    assert [c.name for c in kunde.hint.columns if c.identity] == ["id"]
    assert [c.name for c in kunde.hint.columns if not c.nullable] == ["id", "seen"]
    assert [str(r) for r in kunde.references] == ["kunde(land) -> land(code)"]
    assert kunde.hint.columns[4].native_type.upper().replace(" ", "").endswith("(10,2)")


def test_tables_can_be_chosen(tmp_path: Path) -> None:
    assert set(read(tmp_path, MYSQL, tables=("la*",))) == {"land"}
    with pytest.raises(InvalidArgumentError, match="'x\\*'"):
        read(tmp_path / "again", MYSQL, tables=("x*",))


def test_rows_without_a_declaration_are_guessed(tmp_path: Path) -> None:
    text = "INSERT INTO t (a, b, c) VALUES (1, 'x', '2024-01-02'), (2.5, NULL, NULL);"
    assert read(tmp_path, text)["t"][1] == {
        "a": [1.0, 2.5],
        "b": ["x", None],
        "c": [dt.date(2024, 1, 2), None],
    }


def test_many_rows_in_one_statement_are_read_in_pieces(tmp_path: Path) -> None:
    rows = ",\n".join(f"({i}, 'it''s {i}; ({i})', {i}.25)" for i in range(150_000))
    text = f"CREATE TABLE t (a BIGINT, b TEXT, c DOUBLE PRECISION);\nINSERT INTO t VALUES\n{rows};"
    made = read(tmp_path, text)["t"][1]
    assert made["a"] == list(range(150_000))
    assert made["b"][-1] == "it's 149999; (149999)"


@pytest.mark.parametrize("chunk", [1, 2, 3, 17, 64])
def test_rows_are_whole_wherever_the_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(sql_text, "_CHUNK", chunk)
    monkeypatch.setattr(sql_text, "_HEAD", 64)
    rows = ",\n".join(f"({i}, 'a''b, ({i})', NULL)" for i in range(60))
    text = f"INSERT INTO t (a, b, c) VALUES\n{rows};\nINSERT INTO t (a, b, c) VALUES {rows};"
    made = read(tmp_path, text)["t"][1]
    assert made["a"] == [*range(60), *range(60)]
    assert made["b"] == [f"a'b, ({i})" for i in made["a"]]


def test_floats_of_a_sqlite_dump_are_what_was_meant(tmp_path: Path) -> None:
    text = (
        "PRAGMA foreign_keys=OFF;\nCREATE TABLE [t] ([p] NUMERIC(10,2), [n] NVARCHAR(9));\n"
        "INSERT INTO t VALUES(0.98999999999999999112,'x');"
    )
    made, rows = read(tmp_path, text)["t"]
    assert (made.dialect, rows["p"]) == ("sqlite", [decimal.Decimal("0.99")])


def test_values_outside_of_a_statement_are_refused(tmp_path: Path) -> None:
    text = "INSERT INTO t (a) VALUES (1);\n(2), (3);"
    with pytest.raises(InvalidArgumentError, match="values stand where"):
        read(tmp_path, text)


def test_bad_rows_are_named_or_left_out(tmp_path: Path) -> None:
    text = (
        "CREATE TABLE t (a INT, b INT);\nINSERT INTO t VALUES (1, 2),\n(3),\n(4, now()),\n(5, 6);"
    )
    with pytest.raises(InvalidArgumentError) as caught:
        read(tmp_path, text)
    assert caught.value.violations[0].table == "t"
    made, rows = read(tmp_path, text, on_bad_row=OnBadRow.SKIP)["t"]
    assert rows == {"a": [1, 5], "b": [2, 6]}
    assert made.rejected == 2


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (1);",
        "INSERT INTO t (a) VALUES ('" + "x" * (1 << 25),
        "INSERT INTO t (a) VALUES (" + "(" * 100_000,
        "CREATE TABLE t (a INT);\nCOPY t (a) FROM stdin;\n1\n2",
        "CREATE TABLE t (" + ",".join(f"c{i} INT" for i in range(5_000)) + ");",
        "-- only a comment\nINSERT INTO",
        "PGDMP\0\0",
    ],
    ids=["no columns", "giant", "brackets", "cut", "wide", "nothing", "custom"],
)
def test_hostile_or_broken_scripts_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        read(tmp_path, text)


def test_what_was_said_of_reading_can_be_given_back(tmp_path: Path) -> None:
    said = ReadOptions(tables=("l[a]nd",), on_bad_row=OnBadRow.SKIP)
    (made, rows) = read(tmp_path, MYSQL, **said.said())["land"]
    given = ReadOptions.from_texts(made.read_as)
    assert given == said
    made.path.unlink()
    again, same = read(tmp_path, MYSQL, **given.said())["land"]
    assert (again.read_as, same) == (made.read_as, rows)


def test_changes_and_rows_of_a_query_are_told(tmp_path: Path) -> None:
    text = (
        "CREATE TABLE t (a INT);\nINSERT INTO t VALUES (1);\nINSERT INTO t SELECT 5;\n"
        "UPDATE t SET a = 'secret';"
    )
    made, rows = read(tmp_path, text)["t"]
    assert rows == {"a": [1]}
    told = [finding for finding in made.findings if "passed over" in finding]
    assert [finding.split(" of the script")[0] for finding in told] == [
        "INSERT in line 3",
        "UPDATE in line 4",
    ]
    assert "secret" not in str(told)


def test_a_definition_that_does_not_end_is_refused(tmp_path: Path) -> None:
    text = "CREATE TABLE t (a INT\nINSERT INTO t (a) VALUES (1);\nINSERT INTO u (a) VALUES (1);"
    with pytest.raises(InvalidArgumentError, match="line 1 does not end"):
        read(tmp_path, text)
