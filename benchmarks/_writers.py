"""The writers that benchmarks/writers.py compares: ours and what others would use instead.

Each peer gets the rows in the form that it likes best, made before the clock starts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

BATCH_ROWS = 16_384
Work = Callable[[], None]
Writer = Callable[[pa.Table, Path], Work]


def ours(form: str) -> Writer:
    """Return the project's own writer of a format: batches as the engine hands them over."""

    def prepare(rows: pa.Table, out: Path) -> Work:
        from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
        from syntheflow_server.domain.writing import WriteOptions
        from syntheflow_server.export import BOOKS, ENCODERS, Target

        words = {"date32[day]": "date32", "double": "float64"}
        columns = tuple(
            Column(
                name=field.name,
                type=words.get(str(field.type), str(field.type)),
                semantic_type=SemanticType.TEXT,
            )
            for field in rows.schema
        )
        schema = Schema(tables=(Table(name="rows", columns=columns),))
        target = Target(schema, ("rows",), "rows", WriteOptions())
        batches = rows.to_batches(BATCH_ROWS)

        def parts() -> Iterator[tuple[str, bytes]]:
            if form in BOOKS:
                book = BOOKS[form](target, out)
                for batch in batches:
                    yield from ((part.file, part.data) for part in book.add("rows", batch))
                yield from ((part.file, part.data) for part in book.end())
                return
            kind = ENCODERS[form]
            yield from ((part.file, part.data) for part in kind.opening(target))
            encoder, file = kind(target, "rows"), kind.file_of(target, "rows")
            for at, batch in enumerate(batches):
                yield from ((file, data) for data in encoder.batch(batch, first=at == 0))
            yield from ((part.file, part.data) for part in kind.closing(target))

        def work() -> None:
            files: dict[str, Any] = {}
            for name, data in parts():
                if name not in files:
                    files[name] = (out / name).open("wb")
                files[name].write(data)
            for file in files.values():
                file.close()

        return work

    return prepare


def pandas_writer(method: str, file: str, **settings: object) -> Writer:
    """Return a writer that calls a method of a DataFrame."""

    def prepare(rows: pa.Table, out: Path) -> Work:
        import pandas as pd

        del pd
        frame = rows.to_pandas()
        return lambda: getattr(frame, method)(out / file, **settings)

    return prepare


def pandas_sql(rows: pa.Table, out: Path) -> Work:
    """Write a table of a SQLite file by DataFrame.to_sql."""
    import pandas as pd

    del pd
    # Arrow's types as Python's own: to_sql cannot bind NumPy's booleans or dates otherwise.
    frame = rows.to_pandas()

    def work() -> None:
        with sqlite3.connect(out / "peer.sqlite") as base:
            frame.to_sql("rows", base, index=False, chunksize=BATCH_ROWS)

    return work


def arrow_stream(rows: pa.Table, out: Path) -> Work:
    """Write an Arrow IPC stream by pyarrow."""

    def work() -> None:
        with pa.ipc.new_stream(out / "peer.arrow", rows.schema) as writer:
            writer.write_table(rows, max_chunksize=BATCH_ROWS)

    return work


def arrow_parquet(rows: pa.Table, out: Path) -> Work:
    """Write Parquet by pyarrow, packed as ours."""
    import pyarrow.parquet as pq

    settings = {"compression": "zstd", "row_group_size": 131_072}
    return lambda: pq.write_table(rows, out / "peer.parquet", **settings)


def arrow_csv(rows: pa.Table, out: Path) -> Work:
    """Write CSV by pyarrow."""
    import pyarrow.csv

    return lambda: pyarrow.csv.write_csv(rows, out / "peer.csv")


def duckdb_copy(ending: str, options: str) -> Writer:
    """Return a writer that lets DuckDB copy the rows into a file."""

    def prepare(rows: pa.Table, out: Path) -> Work:
        import duckdb

        base = duckdb.connect(config={"threads": "1"})
        base.register("source", rows)
        return lambda: base.execute(f"COPY source TO '{out}/peer.{ending}' ({options})") and None

    return prepare


def duckdb_table(rows: pa.Table, out: Path) -> Work:
    """Write a DuckDB file by one CREATE TABLE AS."""
    import duckdb

    def work() -> None:
        with duckdb.connect(str(out / "peer.duckdb"), config={"threads": "1"}) as base:
            base.register("source", rows)
            base.execute("CREATE TABLE rows AS SELECT * FROM source")

    return work


def sqlite_rows(rows: pa.Table, out: Path) -> Work:
    """Write a SQLite file by one executemany of Python tuples that are there already."""
    import pyarrow.compute as pc

    kinds = {pa.date32(), pa.timestamp("us")}
    columns = [
        (pc.cast(column, pa.string()) if column.type in kinds else column).to_pylist()
        for column in rows.columns
    ]
    tuples = list(zip(*columns, strict=True))
    names = ", ".join(f'"{name}"' for name in rows.schema.names)
    marks = ", ".join("?" * len(columns))

    def work() -> None:
        with sqlite3.connect(out / "peer.sqlite") as base:
            base.execute("PRAGMA journal_mode = OFF")
            base.execute("PRAGMA synchronous = OFF")
            base.execute(f"CREATE TABLE rows ({names})")
            base.executemany(f"INSERT INTO rows VALUES ({marks})", tuples)  # noqa: S608

    return work


def xlsxwriter_sheet(rows: pa.Table, out: Path) -> Work:
    """Write a workbook by XlsxWriter's constant_memory mode."""
    import xlsxwriter

    columns = [column.to_pylist() for column in rows.columns]

    def work() -> None:
        options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        book = xlsxwriter.Workbook(str(out / "peer.xlsx"), {**options, "tmpdir": str(out)})
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, rows.schema.names)
        for number, row in enumerate(zip(*columns, strict=True), start=1):
            sheet.write_row(number, 0, row)
        book.close()

    return work


def openpyxl_sheet(rows: pa.Table, out: Path) -> Work:
    """Write a workbook by openpyxl's write-only mode."""
    import openpyxl

    columns = [column.to_pylist() for column in rows.columns]

    def work() -> None:
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        sheet.append(rows.schema.names)
        for row in zip(*columns, strict=True):
            sheet.append(row)
        book.save(out / "peer.xlsx")

    return work


OURS = "syntheflow"
WRITERS: dict[str, dict[str, Writer]] = {
    "arrow": {"pyarrow": arrow_stream, "pandas": pandas_writer("to_feather", "peer.feather")},
    "parquet": {
        "pyarrow": arrow_parquet,
        "pandas": pandas_writer("to_parquet", "peer.parquet", compression="zstd"),
        "duckdb": duckdb_copy("parquet", "FORMAT parquet, COMPRESSION zstd"),
    },
    "csv": {
        "pyarrow": arrow_csv,
        "pandas": pandas_writer("to_csv", "peer.csv", index=False),
        "duckdb": duckdb_copy("csv", "FORMAT csv, HEADER"),
    },
    "json": {
        "pandas": pandas_writer("to_json", "peer.json", orient="records", date_format="iso"),
        "duckdb": duckdb_copy("json", "FORMAT json, ARRAY true"),
    },
    "jsonl": {
        "pandas": pandas_writer(
            "to_json", "peer.jsonl", orient="records", lines=True, date_format="iso"
        ),
        "duckdb": duckdb_copy("jsonl", "FORMAT json"),
    },
    "excel": {
        "XlsxWriter": xlsxwriter_sheet,
        "pandas": pandas_writer("to_excel", "peer.xlsx", index=False, engine="xlsxwriter"),
        "openpyxl": openpyxl_sheet,
    },
    "xml": {"pandas": pandas_writer("to_xml", "peer.xml", index=False)},
    "sql": {},
    "sqlite": {"pandas": pandas_sql, "sqlite3": sqlite_rows},
    "duckdb": {"duckdb": duckdb_table},
}
"""Peers by format; `sql` has none: neither pandas nor pyarrow writes scripts."""
SLOW = frozenset({"excel", "xml"})
"""Formats whose peers take minutes for what others do in seconds: they get fewer rows."""
