"""Related tables: ours and the peers learn one half of the entities, one judge compares.

    python benchmarks/related_tables.py                       # the quick form: an invented shop
    python benchmarks/related_tables.py --data DIR --sets northwind,chinook --seeds 0,1

DIR holds one folder for each data set: one Parquet file a table and a meta.json. A data set is
split by entity (a customer with all that is hers): every system learns one half and draws as
much again, which is held against the other half. docs/benchmarks.md explains each figure.
The table is printed, everything is written as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from _related_report import summary, table
from _runs import chosen, end_with_children, installed, machine, on_cores, pythons_of
from _shop import shop
from _splits import root_of, split
from peers.environments import default_cache
from peers.launch import launch
from peers.registry import REAL, RELATED, System
from scoring.database import stored
from scoring.keys import keys_of

SCORE_LIMIT = 3_600.0
JUDGING = "judging:"
QUICK = "shop"
SYSTEMS = {**RELATED, REAL: System(REAL, "", None)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does, and with what."""

    data: Path | None
    systems: tuple[str, ...]
    pythons: dict[str, Path]
    absent: dict[str, str]
    scorer: Path
    out: Path
    time_limit: float
    share: float
    resume: bool
    rejudge: bool


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    end_with_children()
    cheap = [name for name, system in RELATED.items() if system.cheap]
    names = chosen(SYSTEMS, asked.systems, RELATED if asked.data else cheap)
    pythons, absent, scorer = pythons_of(SYSTEMS, names, asked.cache)
    plan = Plan(
        asked.data,
        tuple(names),
        pythons,
        absent,
        scorer,
        asked.out,
        asked.time_limit,
        asked.holdout_share,
        asked.resume,
        asked.rejudge,
    )
    pairs = [(name, seed) for name in _sets(asked) for seed in map(int, asked.seeds.split(","))]
    began = time.monotonic()
    runs = on_cores(asked.jobs, pairs, lambda pair, core: run_set(plan, *pair, core))
    summed = summary(runs)
    result = {
        "machine": machine(asked.jobs),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "settings": {"time_limit_s": plan.time_limit, "holdout_share": plan.share},
        "absent": absent,
        "environments": installed({"scorer": scorer, **pythons}),
        "summary": summed,
        "runs": runs,
    }
    path = asked.json or asked.out / "related_tables.json"
    path.write_text(json.dumps(result, indent=1))
    print(table(runs, summed))
    print(f"\n{len(runs)} runs in {result['minutes']} min; all figures: {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of data sets; without it, the shop")
    parser.add_argument("--sets", default="", help="names, by commas; default with --data: all")
    parser.add_argument("--seeds", default="0", help="by commas; figures are medians over them")
    parser.add_argument("--systems", default="", help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--holdout-share", type=float, default=0.5, help="entities never learned")
    parser.add_argument("--time-limit", type=float, default=1_800, help="wall seconds of a run")
    parser.add_argument("--jobs", type=int, default=1, help="sets at once, each on its own core")
    parser.add_argument("--resume", action="store_true", help="keep finished runs of --out")
    parser.add_argument("--rejudge", action="store_true", help="judge the kept rows once more")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--out", type=Path, help="rows, logs and scores of every run")
    parser.add_argument("--json", type=Path, help="default: OUT/related_tables.json")
    asked = parser.parse_args()
    asked.jobs = max(1, min(asked.jobs, len(os.sched_getaffinity(0))))
    asked.cache = asked.cache.resolve()
    asked.out = (asked.out or asked.cache / "runs" / time.strftime("%Y%m%d-%H%M%S")).resolve()
    return asked


def _sets(asked: argparse.Namespace) -> list[str]:
    """Return the names asked for; SystemExit if one is no set of related tables."""
    if asked.data is None:
        return [QUICK]
    there = [
        path.parent.name
        for path in sorted(asked.data.glob("*/meta.json"))
        if json.loads(path.read_text()).get("foreign_keys")
    ]
    names = asked.sets.split(",") if asked.sets else there
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SystemExit(f"no related tables {unknown[0]!r} in {asked.data}: {', '.join(there)}")
    return names


def run_set(plan: Plan, name: str, seed: int, core: int) -> list[dict[str, Any]]:
    """Split a data set, and have all systems learn and be judged, one after the other."""
    folder = plan.out / name / f"seed{seed}"
    facts = folder / "split.json"
    if not (plan.resume and facts.exists()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts.write_text(json.dumps(_divide(plan, name, seed, folder)))
    halves = json.loads(facts.read_text())
    return [run_one(plan, halves, system, folder, core) for system in plan.systems]


def _divide(plan: Plan, name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Write both halves; return what is said of the data set in every line."""
    if plan.data is None:
        meta, tables = shop()
    else:
        meta = json.loads((plan.data / name / "meta.json").read_text())
        tables = stored(plan.data / name, keys_of(meta))
    keys = keys_of(meta)
    root = root_of(keys, tables, name)
    parts = split(keys, tables, root, share=plan.share, seed=seed)
    _write(parts.train, folder / "train")
    _write(parts.holdout, folder / "holdout")
    return {
        "set": name,
        "seed": seed,
        "root": root,
        "table_count": len(keys.tables),
        "learned_rows": sum(part.num_rows for part in parts.train.values()),
        "dropped": parts.dropped,
        "cut": parts.cut,
        "meta": {key: meta[key] for key in ("tables", "foreign_keys")},
    }


def _write(tables: Mapping[str, pa.Table], folder: Path) -> None:
    folder.mkdir()
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet")


def run_one(
    plan: Plan, halves: dict[str, Any], name: str, folder: Path, core: int
) -> dict[str, Any]:
    """Learn, draw and judge once; return all figures, or the `reason` why there are none."""
    own = folder / name
    kept = own / "run.json"
    job = {"seed": halves["seed"], "root": halves["root"], "meta": halves["meta"]}
    line: dict[str, Any] = json.loads(kept.read_text()) if plan.resume and kept.exists() else {}
    unjudged = line.get("reason", "").startswith(JUDGING)
    if line and not unjudged and not (plan.rejudge and "reason" not in line):
        return line
    if not line:
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        line = {key: value for key, value in halves.items() if key != "meta"} | {"system": name}
        line |= _learned(plan, job, name, folder, core)
    if "reason" not in line or unjudged:
        line.pop("reason", None)
        rows = folder / "train" if name == REAL else own / "rows"
        line |= _judged(plan, job, folder, rows, own / "judging", core)
    kept.write_text(json.dumps(line))
    _tell(line)
    return line


def _learned(plan: Plan, job: dict[str, Any], name: str, folder: Path, core: int) -> dict[str, Any]:
    """Run the system's own process; figures that came before a failure are kept."""
    if name in plan.absent:
        return {"reason": plan.absent[name]}
    if name == REAL:
        return {}
    own = folder / name
    learned = {**job, "system": name, "train": str(folder / "train"), "out": str(own)}
    module, python = RELATED[name].module, plan.pythons[name]
    reason = launch(python, module, learned, own, core=core, time_limit=plan.time_limit)
    found = own / "figures.json"
    figures: dict[str, Any] = json.loads(found.read_text()) if found.exists() else {}
    return figures | ({"reason": reason} if reason else {})


def _judged(
    plan: Plan, job: dict[str, Any], folder: Path, rows: Path, judging: Path, core: int
) -> dict[str, Any]:
    question = {
        "train": str(folder / "train"),
        "holdout": str(folder / "holdout"),
        "made": str(rows),
        **job,
    }
    reason = launch(
        plan.scorer, "scoring.related", question, judging, core=core, time_limit=SCORE_LIMIT
    )
    if reason:
        return {"reason": f"{JUDGING} {reason}"}
    scores: dict[str, Any] = json.loads((judging / "scores.json").read_text())
    return scores


def _tell(line: dict[str, Any]) -> None:
    """Print one line when a run has ended, for who waits."""
    named = {
        "c2st_aggregates": "aggregates {:.3f}",
        "c2st_tables": "tables {:.3f}",
        "train_cpu_s": "trained in {:.1f} CPU s",
    }
    words = [text.format(line[key]) for key, text in named.items() if line.get(key) is not None]
    said = ", ".join([*words, *([line["reason"]] if "reason" in line else [])])
    print(f"{line['set']} seed {line['seed']} {line['system']}: {said}", flush=True)


if __name__ == "__main__":
    main()
