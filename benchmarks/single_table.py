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
import platform
import queue
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from _single_report import summary, table
from _tables import QUICK, Case, UnknownTableError, quick, single_tables, stored
from peers.environments import InstallError, default_cache, python_of, versions
from peers.launch import end_all, launch
from peers.registry import REAL, SCORER, SYSTEMS, System

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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    plan = _plan(asked)
    pairs = [(case, seed) for case in plan.cases for seed in plan.seeds]
    free: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0), reverse=True)[: asked.jobs]:
        free.put(core)

    def run(pair: tuple[Case, int]) -> list[dict[str, Any]]:
        core = free.get()
        try:
            return [run_one(plan, *pair, system, core) for system in plan.systems]
        finally:
            free.put(core)

    began = time.monotonic()
    with ThreadPoolExecutor(asked.jobs) as pool:
        runs = [line for lines in pool.map(run, pairs) for line in lines]
    summed = summary(runs)
    result = {
        "machine": _machine(asked.jobs),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "settings": {"seeds": plan.seeds, "time_limit_s": plan.time_limit, "jobs": asked.jobs},
        "absent": plan.absent,
        "environments": _installed(plan),
        "summary": summed,
        "runs": runs,
    }
    path = asked.json or asked.out / "single_table.json"
    path.write_text(json.dumps(result, indent=1))
    print(table(runs, summed))
    print(f"\n{len(runs)} runs in {result['minutes']} min; all figures: {path}")


def _stop(number: int, _: object) -> None:
    """End with all children at once; --resume goes on from here."""
    end_all()
    os._exit(128 + number)


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
    chosen = asked.systems.split(",") if asked.systems else list(SYSTEMS) if asked.data else cheap
    unknown = [name for name in chosen if name not in SYSTEMS]
    if unknown:
        raise SystemExit(f"no system {unknown[0]!r}; there are {', '.join(SYSTEMS)}")
    pythons: dict[str, Path] = {}
    absent: dict[str, str] = {}
    for name in chosen:
        environment = SYSTEMS[name].environment
        try:
            pythons[name] = (
                python_of(environment, asked.cache) if environment else Path(sys.executable)
            )
        except InstallError as error:
            absent[name] = f"could not be installed: {error}"
    try:
        scorer = python_of(SCORER, asked.cache)
    except InstallError as error:
        raise SystemExit(f"the scorer could not be installed: {error}") from error
    return Plan(
        cases=cases,
        seeds=tuple(int(seed) for seed in asked.seeds.split(",")),
        systems=(REAL, *chosen),
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


def _installed(plan: Plan) -> dict[str, list[str]]:
    """Return the exact packages of each environment."""
    pythons = {"scorer": plan.scorer, **plan.pythons}
    known: dict[Path, list[str]] = {}
    for python in pythons.values():
        if python not in known:
            known[python] = versions(python)
    return {name: known[python] for name, python in pythons.items()}


def _machine(jobs: int) -> dict[str, Any]:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "cores_used": jobs,
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
    }


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
