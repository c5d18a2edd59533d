"""One table: ours and the peers learn the same rows on the same core, and one judge scores all.

    python benchmarks/single_table.py                                    # the quick form
    python benchmarks/single_table.py --data DIR --sets adult,magic --seeds 0,1,2

DIR holds one folder for each data set: one Parquet file and a meta.json. Without --data,
tables that the project makes or that scikit-learn carries are learned. Every system runs in
a virtual environment of its own, made on first use and kept in the cache. docs/benchmarks.md
explains each figure. The table is printed, everything is written as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from _runs import chosen, end_with_children, installed, machine, on_cores, pythons_of
from _single_report import summary, table
from _tables import QUICK, Case, UnknownTableError, quick, single_tables, stored
from peers.environments import default_cache
from peers.launch import launch
from peers.registry import REAL, SYSTEMS, System

SCORE_LIMIT = 3_600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does, and with what."""

    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    systems: tuple[str, ...]
    pythons: dict[str, Path]
    absent: dict[str, str]
    scorer: Path
    out: Path
    time_limit: float
    speed_rows: int
    resume: bool


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    end_with_children()
    plan = _plan(asked)
    pairs = [(case, seed) for case in plan.cases for seed in plan.seeds]

    def run(pair: tuple[Case, int], core: int) -> list[dict[str, Any]]:
        return [run_one(plan, *pair, system, core) for system in plan.systems]

    began = time.monotonic()
    runs = on_cores(asked.jobs, pairs, run)
    summed = summary(runs)
    result = {
        "machine": machine(asked.jobs),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "settings": {"seeds": plan.seeds, "time_limit_s": plan.time_limit, "jobs": asked.jobs},
        "absent": plan.absent,
        "environments": installed({"scorer": plan.scorer, **plan.pythons}),
        "summary": summed,
        "runs": runs,
    }
    path = asked.json or asked.out / "single_table.json"
    path.write_text(json.dumps(result, indent=1))
    print(table(runs, summed))
    print(f"\n{len(runs)} runs in {result['minutes']} min; all figures: {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of data sets; without it, our own tables")
    parser.add_argument("--sets", default="", help="names, by commas; 'all' with --data")
    parser.add_argument("--seeds", default="0", help="by commas; figures are medians over them")
    parser.add_argument("--systems", default="", help=f"of {', '.join(SYSTEMS)}; default: all")
    parser.add_argument("--time-limit", type=float, default=1_800, help="wall seconds of a run")
    parser.add_argument("--speed-rows", type=int, default=100_000, help="rows drawn for speed")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each on its own core")
    parser.add_argument("--resume", action="store_true", help="keep finished runs of --out")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--out", type=Path, help="rows, logs and scores of every run")
    parser.add_argument("--json", type=Path, help="default: OUT/single_table.json")
    asked = parser.parse_args()
    asked.jobs = max(1, min(asked.jobs, len(os.sched_getaffinity(0))))
    asked.cache = asked.cache.resolve()
    asked.out = (asked.out or asked.cache / "runs" / time.strftime("%Y%m%d-%H%M%S")).resolve()
    return asked


def _plan(asked: argparse.Namespace) -> Plan:
    """Load the tables and make the environments; a peer that cannot be installed is noted."""
    try:
        cases = _cases(asked.data, asked.sets)
    except UnknownTableError as error:
        raise SystemExit(str(error)) from error
    cheap = [name for name, system in SYSTEMS.items() if system.cheap]
    names = chosen(SYSTEMS, asked.systems, SYSTEMS if asked.data else cheap)
    pythons, absent, scorer = pythons_of(SYSTEMS, names, asked.cache)
    return Plan(
        cases=cases,
        seeds=tuple(int(seed) for seed in asked.seeds.split(",")),
        systems=(REAL, *names),
        pythons=pythons,
        absent=absent,
        scorer=scorer,
        out=asked.out,
        time_limit=asked.time_limit,
        speed_rows=asked.speed_rows,
        resume=asked.resume,
    )


def _cases(data: Path | None, sets: str) -> tuple[Case, ...]:
    if data is None:
        return tuple(quick(name) for name in (sets.split(",") if sets else QUICK))
    names = single_tables(data) if sets in {"", "all"} else sets.split(",")
    return tuple(stored(data, name) for name in names)


def run_one(plan: Plan, case: Case, seed: int, name: str, core: int) -> dict[str, Any]:
    """Learn, draw and judge once; return all figures, or the `reason` why there are none."""
    folder = plan.out / case.name / f"seed{seed}" / name
    kept = folder / "run.json"
    if plan.resume and kept.exists():
        done: dict[str, Any] = json.loads(kept.read_text())
        return done
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    line: dict[str, Any] = {
        "set": case.name,
        "seed": seed,
        "system": name,
        "rows": case.rows.num_rows,
        "columns": case.rows.num_columns,
    }
    train, holdout = _split_files(plan, case, seed)
    if name in plan.absent:
        line["reason"] = plan.absent[name]
    elif name == REAL:
        shutil.copy(train, folder / "rows.parquet")
    else:
        line |= _learned(plan, case, seed, SYSTEMS[name], train, folder, core)
    if (folder / "rows.parquet").exists():
        line |= _judged(plan, case, train, holdout, folder, core)
    kept.write_text(json.dumps(line))
    _tell(line)
    return line


def _split_files(plan: Plan, case: Case, seed: int) -> tuple[Path, Path]:
    folder = plan.out / case.name / f"seed{seed}"
    paths = folder / "train.parquet", folder / "holdout.parquet"
    if not all(path.exists() for path in paths):
        for path, rows in zip(paths, case.split(seed), strict=True):
            pq.write_table(rows, path)
    return paths


def _learned(
    plan: Plan, case: Case, seed: int, system: System, train: Path, folder: Path, core: int
) -> dict[str, Any]:
    """Run the system's own process; figures that came before a failure are kept."""
    job = {
        "system": system.name,
        "train": str(train),
        "out": str(folder),
        "seed": seed,
        "rows": pq.read_metadata(train).num_rows,
        "speed_rows": plan.speed_rows,
        "primary_key": case.identifiers[0] if case.identifiers else "",
    }
    reason = launch(
        plan.pythons[system.name],
        system.module,
        job,
        folder,
        core=core,
        time_limit=plan.time_limit,
    )
    found = folder / "figures.json"
    figures: dict[str, Any] = json.loads(found.read_text()) if found.exists() else {}
    return figures | ({"reason": reason} if reason else {})


def _judged(
    plan: Plan, case: Case, train: Path, holdout: Path, folder: Path, core: int
) -> dict[str, Any]:
    question = {
        "train": str(train),
        "holdout": str(holdout),
        "synthetic": str(folder / "rows.parquet"),
        "identifiers": case.identifiers,
        "target": case.target,
        "task": case.task,
        "relations": case.relations,
    }
    judging = folder / "judging"
    reason = launch(
        plan.scorer, "scoring.judge", question, judging, core=core, time_limit=SCORE_LIMIT
    )
    if reason:
        return {"reason": f"judging: {reason}"}
    scores: dict[str, Any] = json.loads((judging / "scores.json").read_text())
    return scores


def _tell(line: dict[str, Any]) -> None:
    """Print one line when a run has ended, for who waits."""
    named = (("c2st_hgb", "C2ST {:.3f}"), ("train_cpu_s", "trained in {:.1f} CPU s"))
    words: Sequence[str] = [text.format(line[key]) for key, text in named if key in line]
    print(
        f"{line['set']} seed {line['seed']} {line['system']}:",
        ", ".join([*words, *([line["reason"]] if "reason" in line else [])]),
        flush=True,
    )


if __name__ == "__main__":
    main()
