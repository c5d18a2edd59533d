"""Statements for SQL Server and Oracle, for which the tests have no server."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

from syntheflow_server.export.databases.mssql import mssql_inserts, mssql_slot
from syntheflow_server.export.databases.oracle import oracle_insert, oracle_rows, oracle_slot
from syntheflow_server.export.databases.slots import Slot

SLOTS = [Slot("Id", "int", "int", source="id"), Slot("a]b", "nvarchar", "nvarchar", source="text")]


def test_sql_server_gets_a_thousand_rows_a_statement_with_every_quote_doubled() -> None:
    rows = pa.table({"id": range(1_500), "text": ["it's ü", None, "x"] * 500})
    first, second = mssql_inserts("[dbo].[t]", SLOTS, rows, numbered=False)
    assert first.startswith(
        "INSERT INTO [dbo].[t] ([Id], [a]]b]) VALUES (0, N'it''s ü'),(1, NULL),(2, N'x'),"
    )
    assert first.count("),(") == 999
    assert second.count("),(") == 499
    assert second.endswith("(1499, N'x')")


def test_sql_server_takes_numbers_of_its_own_columns_where_they_are_switched() -> None:
    rows = pa.table({"id": [7], "text": ["x"]})
    (only,) = mssql_inserts("[t]", SLOTS, rows, numbered=True)
    assert only == (
        "SET IDENTITY_INSERT [t] ON; INSERT INTO [t] ([Id], [a]]b]) VALUES (7, N'x'); "
        "SET IDENTITY_INSERT [t] OFF"
    )


def test_sql_server_s_columns_are_read_from_its_catalogue() -> None:
    text = mssql_slot(("name", "nvarchar", "nvarchar", True, False, 0, False, 20))
    assert (text.longest, text.nullable, text.filled) == (10, True, False)
    endless = mssql_slot(("note", "varchar", "varchar", True, False, 0, False, -1))
    assert endless.longest is None
    number = mssql_slot(("id", "int", "int", False, True, 0, False, 4))
    assert (number.base, number.filled, number.longest) == ("identity", True, None)


def test_oracle_gets_rows_as_its_driver_takes_them() -> None:
    batch = pa.record_batch(
        {
            "truth": pa.array([True, None]),
            "clock": pa.array([3_600_000_001, None], pa.time64("us")),
            "span": pa.array([-1_000_000, None], pa.duration("us")),
            "day": pa.array([1, None], pa.date32()),
            "moment": pa.array([1, None], pa.timestamp("us")),
            "price": pa.array([Decimal("1.50"), None]),
            "text": pa.array(["ü", None]),
        }
    )
    assert oracle_rows(batch) == [
        (
            *(1, "01:00:00.000001", "-00:00:01", datetime.fromisoformat("1970-01-02")),
            *(datetime.fromisoformat("1970-01-01T00:00:00.000001"), Decimal("1.50"), "ü"),
        ),
        (None,) * 7,
    ]
    assert batch.column("day").to_pylist()[0] == date(1970, 1, 2)
    statement = oracle_insert('"t"', [Slot("a", "", ""), Slot("b c", "", "")])
    assert statement == 'INSERT INTO "t" ("a", "b c") VALUES (:1, :2)'


def test_oracle_s_columns_are_read_from_its_catalogue() -> None:
    text = oracle_slot(("NAME", "VARCHAR2", "N", "NO", None, "NO", 30))
    assert (text.longest, text.nullable, text.filled) == (30, False, False)
    number = oracle_slot(("ID", "NUMBER", "N", "YES", 20, "NO", 0))
    assert (number.longest, number.filled, number.computed) == (None, True, False)
