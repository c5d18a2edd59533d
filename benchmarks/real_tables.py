"""The whole way on real tables, through the command line, on a fresh server for each.

    python benchmarks/real_tables.py --data DIR [--only adult,sakila] [--time-limit 300]

DIR holds one folder for each data set: a Parquet file for each table and a meta.json
that names the true primary and foreign keys; the keys that the server infers are
held against them. With --known-keys the true ones are given with the upload.
Prints a table for each data set and, as the last line, everything as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from _bench import MEGABYTE, CommandError, MemoryWatch, print_table, run, run_json, timed
from pyarrow import parquet

from syntheflow.local import LocalServer

SETS = ("adult", "diamonds", "nycflights13_clean", "northwind", "chinook", "sakila")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SETS))
    parser.add_argument("--time-limit", type=int, default=0, help="seconds; 0: until it is done")
    parser.add_argument("--known-keys", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder that reports and rows are kept in")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    results = {}
    for name in asked.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            try:
                results[name] = whole_way(asked.data / name, Path(folder), asked)
            except CommandError as error:
                results[name] = {"refused": str(error)}
            show(name, results[name])
            if asked.keep:
                keep(Path(folder), asked.keep / name)
    print(json.dumps(results))


def whole_way(source: Path, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Upload, train, generate and validate one data set; return all figures."""
    meta = json.loads((source / "meta.json").read_text())
    limit = ["--time-limit", f"{asked.time_limit}s"] if asked.time_limit else []
    hint: list[object] = []
    if asked.known_keys:
        (folder / "schema.json").write_text(json.dumps(known_schema(meta)))
        hint = ["--schema", folder / "schema.json"]
    figures: dict[str, Any] = {}
    with (
        LocalServer(folder / "data") as server,
        MemoryWatch(server.pid) as watch,
    ):
        to = server.address
        with timed() as upload_seconds:
            run(to, "upload", "real", *sorted(source.glob("*.parquet")), *hint)
        schema = json.loads(run(to, "schema", "show", "real", "--format", "json"))
        figures["keys"] = compare_keys(schema, meta)
        with timed() as train_seconds:
            run(to, "train", "real", "--model", "real", "--seed", asked.seed, *limit)
        figures["train_peak_mb"] = peaks(watch)
        watch.reset()
        with timed() as generate_seconds:
            run(to, "generate", "real", "--out", folder / "rows", "--seed", asked.seed)
        figures["generate_peak_mb"] = peaks(watch)
        with timed() as validate_seconds:
            words = ("--json", folder / "report.json", "--report", folder / "report.html")
            run(to, "validate", "real", *words)
        model = run_json(to, "models", "show", "real")
    made = {path.stem: parquet.read_table(path) for path in (folder / "rows").glob("*.parquet")}
    rows = sum(table.num_rows for table in made.values())
    figures |= {
        "upload_seconds": round(upload_seconds[0], 1),
        "train_seconds": round(train_seconds[0], 1),
        "generate_seconds": round(generate_seconds[0], 1),
        "validate_seconds": round(validate_seconds[0], 1),
        "rows": rows,
        "rows_per_second": round(rows / generate_seconds[0]),
        "model_mb": round(model["bytes"] / MEGABYTE, 1),
        "orphans": orphans(schema, made),
        "repeated_keys": repeated_keys(schema, made),
        "report": json.loads((folder / "report.json").read_text()),
    }
    return figures


def known_schema(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the true keys of a data set in the form of a schema file."""
    tables = [
        {"name": name, "primary_key": names(facts["primary_key"]), "columns": []}
        for name, facts in meta["tables"].items()
    ]
    return {"tables": tables, "foreign_keys": [known_reference(k) for k in meta["foreign_keys"]]}


def known_reference(key: dict[str, Any]) -> dict[str, Any]:
    return {
        "child_table": key["child"],
        "child_columns": names(key["child_column"]),
        "parent_table": key["parent"],
        "parent_columns": names(key["parent_column"]),
    }


def names(value: Any) -> list[str]:
    """Return a list of names out of one name, several, or none."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def compare_keys(schema: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    """Return which true keys and references were not found, and which found are not true."""

    def flat(key: dict[str, Any]) -> str:
        child, parent = "+".join(key["child_columns"]), "+".join(key["parent_columns"])
        return f"{key['child_table']}.{child} -> {key['parent_table']}.{parent}"

    found = {flat(key) for key in schema["foreign_keys"]}
    true = {flat(known_reference(key)) for key in meta["foreign_keys"]}
    wrong = [
        table["name"]
        for table in schema["tables"]
        if set(table["primary_key"]) != set(names(meta["tables"][table["name"]]["primary_key"]))
    ]
    return {
        "references_true": len(true),
        "references_missed": sorted(true - found),
        "references_extra": sorted(found - true),
        "primary_keys_other": wrong,
    }


def orphans(schema: dict[str, Any], made: dict[str, pa.Table]) -> dict[str, int]:
    """Count generated rows whose reference has no parent row, by reference; 0s are left out."""
    counts = {}
    for key in schema["foreign_keys"]:
        child = made[key["child_table"]].select(key["child_columns"])
        for column in key["child_columns"]:  # a reference with a missing part refers to nothing
            child = child.filter(pc.is_valid(child[column]))
        parent = made[key["parent_table"]].select(key["parent_columns"])
        parent = parent.rename_columns(key["child_columns"])
        lost = child.join(parent, keys=key["child_columns"], join_type="left anti").num_rows
        if lost:
            counts[f"{key['child_table']}({', '.join(key['child_columns'])})"] = lost
    return counts


def repeated_keys(schema: dict[str, Any], made: dict[str, pa.Table]) -> dict[str, int]:
    """Count generated rows that repeat a primary key, by table; 0s are left out."""
    counts = {}
    for table in schema["tables"]:
        if table["primary_key"]:
            keys = made[table["name"]].select(table["primary_key"])
            extra = keys.num_rows - keys.group_by(table["primary_key"]).aggregate([]).num_rows
            if extra:
                counts[table["name"]] = extra
    return counts


def peaks(watch: MemoryWatch) -> dict[str, int]:
    return {
        "server": round(watch.peak_server / MEGABYTE),
        "all_children": round(watch.peak_children / MEGABYTE),
        "largest_child": round(watch.peak_child / MEGABYTE),
    }


def show(name: str, figures: dict[str, Any]) -> None:
    print(f"\n== {name}")
    if "refused" in figures:
        print(f"refused: {figures['refused']}")
        return
    report = figures["report"]
    for key in ("train_seconds", "generate_seconds", "validate_seconds", "rows", "rows_per_second"):
        print(f"{key}: {figures[key]:,}")
    for key in ("train_peak_mb", "generate_peak_mb", "keys", "orphans", "repeated_keys"):
        print(f"{key}: {figures[key]}")
    print(f"quality {report['quality']:.3f}")
    print_table(
        ("part", "value", "raw"),
        [(part["name"], f"{part['value']:.3f}", f"{part['raw']:.3f}") for part in report["parts"]],
    )
    scores = [
        {"table": table["table"]} | {s["name"]: f"{s['raw']:.3f}" for s in table["scores"]}
        for table in report["tables"]
    ]
    headings = list(dict.fromkeys(name for line in scores for name in line))
    print_table(headings, [[line.get(name, "") for name in headings] for line in scores])


def keep(folder: Path, target: Path) -> None:
    """Copy reports and rows out of the temporary folder."""
    target.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("report.*"), folder / "rows"):
        if path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy(path, target)


if __name__ == "__main__":
    main()
