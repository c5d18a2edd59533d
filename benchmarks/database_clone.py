"""Clones real databases into empty ones, and asks both the same questions.

    python benchmarks/database_clone.py --data DIR                    # into PostgreSQL
    python benchmarks/database_clone.py --data DIR --sets sakila --dialect mysql --scale 2
    python benchmarks/database_clone.py --data DIR --json out.json

DIR holds a folder a data set: Parquet files and meta.json with keys. Each set is loaded into a
database of a server started from the machine's packages, with all keys and references; then
`syntheflow clone` fills an empty database from it. Told are: references and keys that do not
hold (counted by SQL), constraints that the database declares, rows beside those asked for, the
seconds of each step, and how much the answers of an application's queries (joins along each
reference, grouped by a column of the parent whose values have three rows each) differ: half the
sum of the differences of the groups' shares, 0 is the same, 1 nothing in common.
"""

# ruff: noqa: S608 - names are quoted, and the databases are made for this
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from _bench import COMMAND, print_table
from real_tables import known_reference, names

from support.servers import TestDatabase, address_of, mariadb_server, postgresql_server
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import open_loader
from syntheflow_server.export.ddl import quoted_name
from syntheflow_server.ingest import ingest

SETS = ("sakila", "chinook", "northwind")
SERVERS = {"postgresql": postgresql_server, "mysql": mariadb_server}
FEW = 40
"""Most groups of a question."""
_GROUPED = {"string", "int64", "bool", "date32"}


def main() -> None:
    """Clone every set asked for and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--dialect", choices=SERVERS, default="postgresql")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    found = []
    with SERVERS[asked.dialect]() as server:
        for name in asked.sets:
            with ExitStack() as homes:
                real, made = (homes.enter_context(server.new_database()) for _ in range(2))
                found.append(cloned(asked.data / name, real, made, asked))
                show(found[-1])
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def cloned(
    folder: Path, real: TestDatabase, made: TestDatabase, asked: argparse.Namespace
) -> dict[str, Any]:
    """Load a set, clone it, and compare the databases."""
    schema = load(folder, real)
    began = time.perf_counter()
    words = [real.url_with_password, "--into", made.url_with_password]
    words += ["--scale", str(asked.scale), "--output", "json"]
    done = subprocess.run([COMMAND, "clone", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{folder.name}: clone failed\n{done.stderr}")
    seconds = time.perf_counter() - began
    rows = {t: (count(real, t), count(made, t)) for t in schema.table_names}
    differences = [
        {"question": text, "difference": apart(real.rows(query), made.rows(query))}
        for text, query in questions(schema, real)
    ]
    return {
        "set": folder.name,
        "seconds": round(seconds, 1),
        "told": json.loads(done.stdout),
        "rows": rows,
        "constraints": [constraints(real), constraints(made)],
        "broken": broken(schema, made),
        "questions": differences,
    }


def load(folder: Path, home: TestDatabase) -> Schema:
    """Put a set into a database by the project's own loader, keys and all."""
    meta = json.loads((folder / "meta.json").read_text())
    with tempfile.TemporaryDirectory() as work:
        stored = {
            name: pq.read_table(
                ingest(
                    folder / facts["file"],
                    file_name=facts["file"],
                    table=name,
                    format="parquet",
                    out=Path(work),
                )[0].path
            )
            for name, facts in meta["tables"].items()
        }
    schema = schema_of(meta, stored)
    loader = open_loader(address_of(home), Target(schema, schema.table_names), LoadMode.CREATE)
    loader.begin()
    for table in schema.table_names:
        first = 0
        for batch in stored[table].to_batches(max_chunksize=16_384):
            loader.write(table, first, batch)
            first += batch.num_rows
    loader.finish()
    return schema


def schema_of(meta: dict[str, Any], stored: dict[str, pa.Table]) -> Schema:
    """Return the schema that meta.json declares, references that hold only."""
    tables = tuple(
        Table(
            name=name,
            columns=tuple(
                Column(
                    name=field.name,
                    type={"double": "float64", "date32[day]": "date32"}.get(
                        str(field.type), str(field.type)
                    ),
                    semantic_type=SemanticType.TEXT,
                    nullable=values.column(field.name).null_count > 0,
                )
                for field in values.schema
            ),
            primary_key=names(meta["tables"][name].get("primary_key")),
        )
        for name, values in stored.items()
    )
    references = tuple(
        ForeignKey(**known_reference(key))
        for key in meta.get("foreign_keys", ())
        if not key.get("orphans")
    )
    return Schema(tables=tables, foreign_keys=references)


def count(home: TestDatabase, table: str) -> int:
    """Return the rows of a table."""
    return number(home, f"SELECT count(*) FROM {quoted(home, table)}")


def quoted(home: TestDatabase, name: str) -> str:
    """Return a name as the database's SQL has it."""
    return quoted_name(Dialect(home.server.dialect), name)


def constraints(home: TestDatabase) -> dict[str, int]:
    """Count the constraints that the database declares and keeps, by kind."""
    # To PostgreSQL this view shows the database's own, to MySQL those of all databases.
    own = "'public'" if home.server.dialect == "postgresql" else "DATABASE()"
    listed = home.rows(
        "SELECT constraint_type, count(*) FROM information_schema.table_constraints "
        f"WHERE table_schema = {own} AND constraint_type <> 'CHECK' GROUP BY constraint_type"
    )
    return {str(kind): int(number) for kind, number in listed}


def broken(schema: Schema, home: TestDatabase) -> int:
    """Count rows whose reference meets no row, and keys that come twice."""
    faults = 0
    for key in schema.foreign_keys:
        given = " AND ".join(f"c.{quoted(home, a)} IS NOT NULL" for a in key.child_columns)
        parent = quoted(home, key.parent_table)
        none = f"NOT EXISTS (SELECT 1 FROM {parent} p WHERE {same(key, home)})"
        child = quoted(home, key.child_table)
        faults += number(home, f"SELECT count(*) FROM {child} c WHERE {given} AND {none}")
    for table in schema.tables:
        if table.primary_key:
            listed = ", ".join(quoted(home, name) for name in table.primary_key)
            keys = f"SELECT {listed} FROM {quoted(home, table.name)} GROUP BY {listed}"
            faults += number(home, f"SELECT count(*) FROM ({keys} HAVING count(*) > 1) twice")
    return faults


def questions(schema: Schema, home: TestDatabase) -> Iterator[tuple[str, str]]:
    """Yield an application's questions: children grouped by a column of their parent."""
    # What identifies or refers is numbered anew: its groups have other names in the clone.
    numbered = {
        (table, column)
        for key in schema.foreign_keys
        for table, columns in (
            (key.child_table, key.child_columns),
            (key.parent_table, key.parent_columns),
        )
        for column in columns
    }
    for key in schema.foreign_keys:
        child, parent = quoted(home, key.child_table), quoted(home, key.parent_table)
        joined = f"FROM {child} c JOIN {parent} p ON {same(key, home)}"
        for column in schema.table(key.parent_table).columns:
            if (key.parent_table, column.name) in numbered or column.type not in _GROUPED:
                continue
            name = f"p.{quoted(home, column.name)}"
            groups = number(home, f"SELECT count(DISTINCT {name}) {joined}")
            # What names a single row is made anew; only groups of rows can be compared.
            if 2 <= groups <= min(FEW, count(home, key.parent_table) / 3):
                text = f"{key.child_table} by {key.parent_table}.{column.name}"
                yield text, f"SELECT {name}, count(*) {joined} GROUP BY {name}"


def same(key: ForeignKey, home: TestDatabase) -> str:
    """Return SQL that is true where child c refers to parent p."""
    pairs = zip(key.child_columns, key.parent_columns, strict=True)
    return " AND ".join(f"c.{quoted(home, a)} = p.{quoted(home, b)}" for a, b in pairs)


def number(home: TestDatabase, query: str) -> int:
    """Return the only number of an answer."""
    return int(home.rows(query)[0][0])


def apart(left: list[Any], right: list[Any]) -> float:
    """Return the total variation distance of two answers of groups and counts."""
    sides = [Counter({str(group): int(number) for group, number in rows}) for rows in (left, right)]
    totals = [max(1, side.total()) for side in sides]
    groups = set(sides[0]) | set(sides[1])
    return sum(abs(sides[0][g] / totals[0] - sides[1][g] / totals[1]) for g in groups) / 2


def show(found: dict[str, Any]) -> None:
    """Print one set's figures."""
    print(f"\n{found['set']}: cloned in {found['seconds']} s, {found['broken']} keys broken")
    print(f"constraints, real and clone: {found['constraints'][0]} and {found['constraints'][1]}")
    print_table(["TABLE", "REAL", "CLONE"], [[t, *pair] for t, pair in found["rows"].items()])
    print_table(
        ["QUESTION", "DIFFERENCE"],
        [[q["question"], f"{q['difference']:.3f}"] for q in found["questions"]],
    )


if __name__ == "__main__":
    main()
