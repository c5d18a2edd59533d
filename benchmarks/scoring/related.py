"""Judges a data set of related tables: `python -m scoring.related job.json` writes scores.json.

Runs in the scorers' environment, the same for all systems.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.aggregates import aggregates
from scoring.database import (
    Database,
    below,
    database,
    entities,
    kinds_of_tables,
    stored,
)
from scoring.frames import Frame, MissingColumnError
from scoring.grouped import Groups, grouped_c2st, same_rows, told_by
from scoring.hops import hop_trends
from scoring.keys import NOTHING, ORPHAN, Ints, Keys, Reference, keys_of, repeated
from scoring.small import SMALL, nearest_ratio
from scoring.stories import in_order, sequences

FEWEST = 40
"""Rows that a C2ST needs on each side."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared: training half, held-out half, sampled rows; and the entities' table."""

    root: str
    train: Database
    holdout: Database
    made: Database

    @property
    def keys(self) -> Keys:
        return self.train.keys


def sides(
    keys: Keys,
    root: str,
    train: Mapping[str, pa.Table],
    holdout: Mapping[str, pa.Table],
    made: Mapping[str, pa.Table],
) -> Sides:
    """Link all three; a column's kind is that of the real rows of both halves."""
    parted = {root, *below(keys, root)}
    both = {
        name: pa.concat_tables([train[name], holdout[name]]) if name in parted else train[name]
        for name in keys.tables
    }
    kinds = kinds_of_tables(keys, both)
    return Sides(root, *(database(keys, part, kinds) for part in (train, holdout, made)))


def judge(asked: Sides) -> dict[str, Any]:
    """Return all scores; every one names the tables, references or columns that it is of."""
    groups = _groups(asked)
    scores = _integrity(asked) | _counts(asked)
    tables = {name: _told(_frames(asked, name), groups[name]) for name in asked.keys.tables}
    parents = {r.parent: None for r in asked.keys.references}
    whole = {name: _told(_aggregates(asked, name), groups[name]) for name in parents}
    scores["tables"] = {name: found for name, found in tables.items() if found}
    scores["aggregates"] = {name: found for name, found in whole.items() if found}
    scores["c2st_tables"] = _mean(scores["tables"], "auc")
    scores["c2st_tables_real"] = _mean(scores["tables"], "auc_real")
    scores["c2st_aggregates"] = _mean(scores["aggregates"], "auc")
    scores["c2st_aggregates_real"] = _mean(scores["aggregates"], "auc_real")
    return scores | _trends(asked) | _stories(asked) | _copying(asked)


def _mean(parts: Mapping[str, Mapping[str, Any]], key: str) -> float | None:
    """Mean AUC; one below 0.5 is chance, and no reward."""
    values = [max(part[key], 0.5) for part in parts.values() if part.get(key) is not None]
    return fmean(values) if values else None


def _groups(asked: Sides) -> dict[str, tuple[Groups, Groups]]:
    """Return by table how held-out rows are grouped beside sampled and beside learned rows.

    By entity; rows of tables that are whole on both sides by what they hold, so that a table
    kept as it is says nothing by its own columns.
    """
    parts = (asked.holdout, asked.made, asked.train)
    found = []
    for data in parts:
        sizes = {table: data.rows(table) for table in data.keys.tables}
        found.append(entities(data.keys, data.links, sizes, asked.root)[0])
    groups = {}
    for name in asked.keys.tables:
        whole = name not in found[0]
        each = same_rows([d.frames[name] for d in parts]) if whole else [f[name] for f in found]
        groups[name] = (
            Groups(each[0], each[1], shared=whole),
            Groups(each[0], each[2], shared=whole),
        )
    return groups


def _integrity(asked: Sides) -> dict[str, Any]:
    """References that resolve, keys that repeat, nulls, and whether the links are new."""
    made, train = asked.made, asked.train
    broken = {r.name: int((made.links[r] == ORPHAN).sum()) for r in asked.keys.references}
    given = sum(int((made.links[r] != NOTHING).sum()) for r in asked.keys.references)
    nulls = {r.name: 100 * (_nulls(made, r) - _nulls(train, r)) for r in asked.keys.references}
    keyed = {name: key for name, key in asked.keys.primary.items() if key}
    repeats = {name: repeated(made.tables[name], key) for name, key in keyed.items()}
    same = {r.name: _same_degrees(train, made, r) for r in asked.keys.references}
    telling = [known for known in same.values() if known is not None]
    return {
        "rows_made": sum(made.rows(name) for name in asked.keys.tables),
        "resolved": 1 - sum(broken.values()) / max(given, 1),
        "orphans": {name: count for name, count in broken.items() if count},
        "repeated_keys": sum(repeats.values()),
        "repeated": {name: count for name, count in repeats.items() if count},
        "null_points": nulls,
        "null_points_worst": max((abs(points) for points in nulls.values()), default=0.0),
        "fresh_links": sum(not known for known in telling) / len(telling) if telling else None,
        "links_as_learned": [name for name, known in same.items() if known],
    }


def _nulls(data: Database, reference: Reference) -> float:
    found = data.links[reference]
    return float((found == NOTHING).mean()) if len(found) else 0.0


def _degrees(data: Database, reference: Reference) -> Ints:
    found = data.links[reference]
    return np.bincount(found[found >= 0], minlength=data.rows(reference.parent))


def _same_degrees(train: Database, made: Database, reference: Reference) -> bool | None:
    """Are the numbers of children, sorted, exactly those learned? None if all are equal."""
    ours, theirs = (np.sort(_degrees(data, reference)) for data in (train, made))
    if len(np.unique(ours)) < 2:
        return None
    return bool(np.array_equal(ours, theirs))


def _counts(asked: Sides) -> dict[str, Any]:
    """1 - KS of the numbers of children of each parent; the training half's own beside it."""
    found, real = {}, {}
    for r in asked.keys.references:
        train, holdout, made = (
            _degrees(data, r) for data in (asked.train, asked.holdout, asked.made)
        )
        if not min(map(len, (train, holdout, made))):
            continue
        found[r.name], real[r.name] = 1 - _ks(holdout, made), 1 - _ks(holdout, train)
    worst = min(found, key=lambda name: found[name], default="")
    return {
        "child_counts": found,
        "child_counts_real": real,
        "child_counts_mean": fmean(found.values()) if found else None,
        "child_counts_real_mean": fmean(real.values()) if real else None,
        "child_counts_least": found.get(worst),
        "child_counts_least_real": real.get(worst),
        "child_counts_worst": worst,
    }


def _ks(ours: Ints, theirs: Ints) -> float:
    at = np.unique(np.concatenate([ours, theirs]))
    below_ = [np.searchsorted(np.sort(part), at, "right") / len(part) for part in (ours, theirs)]
    return float(np.abs(below_[0] - below_[1]).max())


Three = tuple[Frame, Frame, Frame]
"""Held-out, sampled and learned rows."""


def _frames(asked: Sides, name: str) -> Three:
    return asked.holdout.frames[name], asked.made.frames[name], asked.train.frames[name]


def _aggregates(asked: Sides, name: str) -> Three:
    holdout, made, train = (aggregates(d, name) for d in (asked.holdout, asked.made, asked.train))
    return holdout, made, train


def _told(frames: Three, groups: tuple[Groups, Groups]) -> dict[str, Any]:
    """AUC of sampled against held-out rows, of learned against held-out ones, and what tells.

    `whole`: both halves hold the same rows, so that learned and held-out differ only in what
    their children come to.
    """
    holdout, made, train = frames
    if min(holdout.rows, made.rows) < FEWEST:
        return {}
    auc = grouped_c2st(holdout, made, groups[0])
    if auc is None:
        return {}
    return {
        "rows": min(holdout.rows, made.rows),
        "whole": groups[0].shared,
        "auc": auc,
        "auc_real": grouped_c2st(holdout, train, groups[1]),
        "told_by": told_by(holdout, made, groups[0]),
    }


def _trends(asked: Sides) -> dict[str, Any]:
    found = hop_trends(asked.holdout, asked.made)
    real = hop_trends(asked.holdout, asked.train)
    every = [score for scores in found.values() for score in scores.values()]
    own = [score for scores in real.values() for score in scores.values()]
    return {
        "hops": {str(k): fmean(scores.values()) for k, scores in sorted(found.items())},
        "hops_real": {str(k): fmean(scores.values()) for k, scores in sorted(real.items())},
        "hop_paths": {name: s for scores in found.values() for name, s in scores.items()},
        "hop_trends": fmean(every) if every else None,
        "hop_trends_real": fmean(own) if own else None,
    }


def _stories(asked: Sides) -> dict[str, Any]:
    known = set(sequences(asked.train)) & set(sequences(asked.holdout))
    made = {f"{r.name}: {name}": in_order(asked.made, (r, name)) for r, name in known}
    real = {f"{r.name}: {name}": in_order(asked.holdout, (r, name)) for r, name in known}
    found = [share for share in made.values() if share is not None]
    return {
        "in_order": dict(sorted(made.items())),
        "in_order_real": dict(sorted(real.items())),
        "in_order_mean": fmean(found) if found else None,
        "in_order_least": min(found, default=None),
    }


def _copying(asked: Sides) -> dict[str, Any]:
    parted = {asked.root, *below(asked.keys, asked.root)}
    found = {}
    for name in asked.keys.tables:
        if asked.train.rows(name) < SMALL:
            other = asked.holdout.frames[name] if name in parted else None
            ratio = nearest_ratio(asked.train.frames[name], other, asked.made.frames[name])
            if ratio is not None:
                found[name] = ratio
    return {
        "nearest": found,
        "nearest_mean": fmean(found.values()) if found else None,
        "nearest_least": min(found.values(), default=None),
    }


def main() -> None:
    path = Path(sys.argv[1])
    job = json.loads(path.read_text())
    os.sched_setaffinity(0, {job["core"]})
    keys = keys_of(job["meta"])
    try:
        parts = [stored(Path(job[name]), keys) for name in ("train", "holdout", "made")]
        scores = judge(sides(keys, job["root"], *parts))
    except (MissingColumnError, pa.ArrowException) as error:
        raise SystemExit(f"the rows cannot be judged: {error}") from error
    scores["judge_cpu_s"] = time.process_time()
    path.with_name("scores.json").write_text(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
