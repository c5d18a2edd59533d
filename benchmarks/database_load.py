"""Loading rows that are there already into databases, beside the database's own bulk command.

    python benchmarks/database_load.py                     # 10 million rows, all databases
    python benchmarks/database_load.py --rows 1000000 --only postgresql --json out.json

Two tables of a shop (customers, and nine times as many orders that refer to them) are made
once as Arrow files. Each database gets them twice, in new tables of the same statements: by
its own command from files of its own format (COPY, LOAD DATA, .import, COPY of a CSV file),
and by the loader, in a process of its own as on a server, block by block in turns. The
loader's figure counts everything: tables made, rows, keys, references checked, counters,
commit. `raw` is the bare command, into tables without keys where the database can add them
later (PostgreSQL, DuckDB); `+ keys` has all keys and references in the end. Servers are
started from the machine's packages, with the settings of the tests' servers, and ended.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from _load_rows import BARE, SHOP, TABLES, batches, in_turns, make_rows

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.servers import TestDatabase, address_of, mariadb_server, postgresql_server
from syntheflow_server.connect.access import Address
from syntheflow_server.connect.databases import open_database
from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.csv_text import CsvEncoder
from syntheflow_server.export.databases import open_loader
from syntheflow_server.export.databases.mysql_rows import load_lines
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.ddl import add_constraints, create_tables


@dataclass
class Figure:
    """Seconds of one database; `share` is the loader's rate over the bare command's."""

    database: str
    rows: int
    raw_seconds: float
    raw_with_keys_seconds: float | None
    loader_seconds: float
    loader_megabytes: float

    @property
    def share(self) -> float:
        return self.raw_seconds / self.loader_seconds


# The loader


def _load(
    address: Address, folder: Path, ended: multiprocessing.Queue[tuple[float, float]]
) -> None:
    began = time.perf_counter()
    # Under a name, as an export job makes new tables.
    loader = open_loader(address, Target(SHOP, TABLES), LoadMode.CREATE, load="benchmark")
    loader.begin()
    for name, first, batch in in_turns(folder):
        loader.write(name, first, batch)
    loader.finish()
    seconds = time.perf_counter() - began
    ended.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))


def timed_load(address: Address, folder: Path) -> tuple[float, float]:
    """Return seconds and peak megabytes of a load in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ended: multiprocessing.Queue[tuple[float, float]] = context.Queue()
    process = context.Process(target=_load, args=(address, folder, ended))
    process.start()
    told = ended.get()
    process.join()
    return told


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# The databases' own commands


def csv_files(folder: Path) -> None:
    """Write the rows as CSV without a header, once for all that read it."""
    target = Target(SHOP, TABLES)
    for name in TABLES:
        path = folder / f"{name}.csv"
        if path.exists():
            continue
        encoder = CsvEncoder(target, name)
        with path.open("wb") as file:
            for batch in batches(folder, name):
                for data in encoder.batch(batch, first=False):
                    file.write(data)


def statements(schema: Schema, dialect: Dialect) -> list[str]:
    """Return the statements that make the tables, without references."""
    return create_tables(schema, TABLES, dialect)


def postgresql(folder: Path, stack: ExitStack) -> tuple[Address, float, float | None]:
    """Time psql's COPY from CSV files."""
    server = stack.enter_context(postgresql_server())
    raw, own = (stack.enter_context(server.new_database()) for _ in range(2))
    csv_files(folder)

    def copy() -> None:
        psql(raw, "BEGIN; " + "; ".join(statements(BARE, Dialect.POSTGRESQL)) + "; "
             + "".join(f"\n\\copy {t} from '{folder}/{t}.csv' csv\n" for t in TABLES)
             + "COMMIT;")  # fmt: skip

    seconds = timed(copy)
    keys = [f"ALTER TABLE {t} ADD PRIMARY KEY (id)" for t in TABLES]
    keys += add_constraints(SHOP, TABLES, Dialect.POSTGRESQL)
    more = timed(lambda: psql(raw, "; ".join(keys) + ";"))
    psql(raw, f"DROP TABLE {', '.join(TABLES)}")
    return address_of(own), seconds, seconds + more


def psql(database: TestDatabase, script: str) -> None:
    """Run a script by PostgreSQL's own client."""
    server = database.server
    subprocess.run(
        [
            *("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-h", server.host),
            *("-p", str(server.port), "-U", server.user, database.name),
        ],
        input=script.encode(),
        env={"PGPASSWORD": server.password, "PATH": "/usr/bin:/bin"},
        check=True,
    )


def mariadb(folder: Path, stack: ExitStack) -> tuple[Address, float, float | None]:
    """Time the client's LOAD DATA LOCAL of files in the server's default format."""
    server = stack.enter_context(mariadb_server())
    raw, own = (stack.enter_context(server.new_database()) for _ in range(2))
    for name in TABLES:
        slots = [Slot(c.name, "", "", source=c.name) for c in SHOP.table(name).columns]
        with (folder / f"{name}.tsv").open("wb") as file:
            for batch in batches(folder, name):
                file.writelines(load_lines(pa.Table.from_batches([batch]), slots))
    made = statements(SHOP.model_copy(update={"foreign_keys": ()}), Dialect.MYSQL)

    def load() -> None:
        script = "; ".join(made) + "; " + "; ".join(
            f"LOAD DATA LOCAL INFILE '{folder}/{t}.tsv' INTO TABLE {t} CHARACTER SET utf8mb4"
            for t in reversed(TABLES)
        )  # fmt: skip
        mysql(raw, script)

    seconds = timed(load)
    more = timed(lambda: mysql(raw, "; ".join(add_constraints(SHOP, TABLES, Dialect.MYSQL))))
    raw.run(f"DROP TABLE {', '.join(reversed(TABLES))}")
    return address_of(own), seconds, seconds + more


def mysql(database: TestDatabase, script: str) -> None:
    """Run a script by MariaDB's own client."""
    server = database.server
    subprocess.run(
        [
            *("mariadb", "--no-defaults", "--local-infile=1", "-h", server.host),
            *("-P", str(server.port), "-u", server.user, database.name),
        ],
        input=script.encode(),
        env={"MYSQL_PWD": server.password, "PATH": "/usr/bin:/bin"},
        check=True,
    )


def sqlite(folder: Path, stack: ExitStack) -> tuple[Address, float, float | None]:
    """Time sqlite3's .import of CSV files, into tables with keys: they cannot come later."""
    del stack
    csv_files(folder)
    path = folder / "raw.sqlite"
    script = "; ".join(statements(SHOP, Dialect.SQLITE)) + ";\n.mode csv\n"
    script += "".join(f".import {folder}/{t}.csv {t}\n" for t in TABLES)
    seconds = timed(lambda: subprocess.run(["sqlite3", path], input=script.encode(), check=True))
    with sqlite3.connect(path) as base:
        began = time.perf_counter()
        assert base.execute("PRAGMA foreign_key_check").fetchone() is None
        checked = time.perf_counter() - began
    base.close()
    path.unlink()
    return address_of(f"sqlite://{folder}/own.sqlite"), seconds, seconds + checked


def duckdb(folder: Path, stack: ExitStack) -> tuple[Address, float, float | None]:
    """Time DuckDB's COPY of CSV files: without keys, and into tables with keys."""
    del stack
    import duckdb

    csv_files(folder)
    seconds = []
    for schema in (BARE, SHOP):
        path = folder / "raw.duckdb"
        base = duckdb.connect(path)

        def copy(base: duckdb.DuckDBPyConnection = base, schema: Schema = schema) -> None:
            for statement in statements(schema, Dialect.DUCKDB):
                base.execute(statement)
            for table in TABLES:
                base.execute(f"COPY {table} FROM '{folder}/{table}.csv' (HEADER false)")
            base.execute("CHECKPOINT")

        seconds.append(timed(copy))
        base.close()
        path.unlink()
    return address_of(f"duckdb://{folder}/own.duckdb"), *seconds


KINDS = {"postgresql": postgresql, "mariadb": mariadb, "sqlite": sqlite, "duckdb": duckdb}


def measure(kind: str, folder: Path) -> Figure:
    """Measure one database."""
    with ExitStack() as stack:
        address, raw, keyed = KINDS[kind](folder, stack)
        seconds, megabytes = timed_load(address, folder)
        rows = 0
        with open_database(address) as database:
            connection = database.connect()
            for table in TABLES:
                cursor = connection.cursor()
                cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
                rows += int(cursor.fetchone()[0])
            connection.close()
        if address.path:
            address.path.unlink()
    return Figure(kind, rows, raw, keyed, seconds, megabytes)


def main() -> None:
    """Run as the command line asks."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--rows", type=int, default=10_000_000)
    asked.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    asked.add_argument("--work", type=Path, help="folder for files (some GB)")
    asked.add_argument("--json", type=Path, help="write the figures here, too")
    words = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=words.work))
    try:
        make_rows(words.rows, folder)
        figures = []
        print(f"{'database':<12}{'rows':>12}{'raw rows/s':>14}{'+ keys':>12}{'loader':>12}"
              f"{'of raw':>9}{'peak MB':>9}")  # fmt: skip
        for kind in words.only:
            made = measure(kind, folder)
            assert made.rows == words.rows, made
            keyed = made.rows / made.raw_with_keys_seconds if made.raw_with_keys_seconds else 0
            print(f"{kind:<12}{made.rows:>12,}{made.rows / made.raw_seconds:>14,.0f}{keyed:>12,.0f}"
                  f"{made.rows / made.loader_seconds:>12,.0f}{made.share:>9.0%}"
                  f"{made.loader_megabytes:>9.0f}", flush=True)  # fmt: skip
            figures.append(asdict(made) | {"share": made.share})
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))
    if words.json:
        words.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
