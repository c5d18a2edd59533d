"""Judges one file of synthetic rows: `python -m scoring.judge job.json` writes scores.json.

Runs in an environment of its own (scikit-learn, xgboost, pyarrow), the same for all systems.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scoring import copying, detection, marginals
from scoring.frames import Frame, MissingColumnError, kinds_of, read
from scoring.relations import broken_shares, relations
from scoring.utility import utility


@dataclass(frozen=True, slots=True)
class Question:
    """What is judged: three files of rows, and what the data set says about its columns."""

    train: str
    holdout: str
    synthetic: str
    identifiers: Sequence[str]
    target: str
    task: str
    relations: Sequence[Mapping[str, Any]]
    learners: Sequence[str] = ("hgb", "xgb")
    core: int = -1


def main() -> None:
    path = Path(sys.argv[1])
    question = Question(**json.loads(path.read_text()))
    if question.core >= 0:
        os.sched_setaffinity(0, {question.core})
    try:
        scores = judge(question) | {"judge_cpu_s": time.process_time()}
    except (MissingColumnError, pa.ArrowException) as error:
        raise SystemExit(f"the rows cannot be judged: {error}") from error
    path.with_name("scores.json").write_text(json.dumps(scores, indent=1))


def judge(question: Question) -> dict[str, Any]:
    """Return all scores; identifiers are left out of all but those that say so."""
    kinds = kinds_of(Path(question.train))
    paths = (question.train, question.holdout, question.synthetic)
    all_train, all_holdout, all_made = (read(Path(path), kinds) for path in paths)
    ids = list(question.identifiers)
    train, holdout, made = (frame.without(ids) for frame in (all_train, all_holdout, all_made))
    scores: dict[str, Any] = {
        f"c2st_{name}": detection.c2st(holdout, made, learner=name) for name in question.learners
    }
    if ids:
        scores["c2st_with_ids"] = detection.c2st(all_holdout, all_made)
        scores["ids_reused"] = _ids_reused(all_train, all_made, ids)
    columns = detection.column_aucs(holdout, made)
    worst = list(columns)[: detection.TOLD]
    scores["columns_auc"] = columns
    scores["drops"] = detection.drops(holdout, made, scores["c2st_hgb"], worst)
    scores["shapes"] = marginals.shapes(holdout, made)
    scores["trends"] = marginals.trends(holdout, made)
    if question.target:
        scores["utility"] = utility(made, holdout, question.target, question.task)
        scores["utility_real"] = utility(train, holdout, question.target, question.task)
    scores |= _copying(train, holdout, made)
    return scores | _exactness(question, train, holdout, made)


def _ids_reused(train: Frame, made: Frame, ids: Sequence[str]) -> float:
    """Share of synthetic identifiers that a training row has."""
    return copying.copies(train.only(ids), made.only(ids))


def _copying(train: Frame, holdout: Frame, made: Frame) -> dict[str, Any]:
    ours, own = copying.reused(train, made), copying.reused(train, holdout)
    scores: dict[str, Any] = {
        "nearer": copying.nearer_to_train(train, holdout, made),
        "copies": copying.copies(train, made),
        "copies_holdout": copying.copies(train, holdout),
        "reuse_columns": {name: [ours[name], own[name]] for name in ours},
    }
    if ours:  # the column whose values come back most beyond what held-out rows do by nature
        worst = max(ours, key=lambda name: ours[name] - own[name])
        scores |= {"reuse": ours[worst], "reuse_holdout": own[worst], "reuse_worst": worst}
    return scores


def _exactness(question: Question, train: Frame, holdout: Frame, made: Frame) -> dict[str, Any]:
    rules = relations(train.joined(holdout), question.relations)
    share, each = broken_shares(rules, made)
    scores: dict[str, Any] = {"relations": len(rules), "relations_broken": each}
    return scores | ({"broken": share} if rules else {})


if __name__ == "__main__":
    main()
