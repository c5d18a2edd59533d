"""Runs of single_table.py: its tables, its child processes, and what it prints of them."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import _tables
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from _single_report import summary, table
from peers.launch import end_all, launch

CORE = 0


def _run(tmp_path: Path, text: str, time_limit: float = 30) -> str:
    (tmp_path / "told.py").write_text(text)
    return launch(
        Path(sys.executable),
        "told",
        {"word": "yes"},
        tmp_path / "run",
        core=CORE,
        time_limit=time_limit,
        home=tmp_path,
    )


def test_a_child_gets_its_job_one_thread_and_none_of_our_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_WORD", "hidden")
    said = _run(
        tmp_path,
        "import json, os, sys\n"
        "assert json.load(open(sys.argv[1])) == {'word': 'yes', 'core': 0}\n"
        "assert os.environ['OMP_NUM_THREADS'] == '1' and 'SECRET_WORD' not in os.environ\n",
    )
    assert said == ""


def test_a_child_that_fails_is_given_with_its_last_words(tmp_path):
    assert _run(tmp_path, "raise ValueError('no such column')") == "ValueError: no such column"


def test_a_child_that_takes_too_long_is_ended_with_all_it_started(tmp_path):
    began = time.monotonic()
    said = _run(
        tmp_path,
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n",
        time_limit=0.5,
    )
    assert said == "stopped at the time limit of 0.5 s"
    assert time.monotonic() - began < 20


def test_no_child_goes_on_when_the_benchmark_is_ended(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(_run, tmp_path, "import time; print(1, flush=True); time.sleep(60)")
        log = tmp_path / "run" / "log.txt"
        while not log.exists() or not log.read_text():
            time.sleep(0.02)
        end_all()
        assert said.result(20).startswith("killed by signal SIGKILL")


def test_a_stored_set_tells_its_key_and_target(tmp_path):
    (tmp_path / "shop").mkdir()
    rows = pa.table({"no": range(10), "paid": [True, False] * 5})
    pq.write_table(rows, tmp_path / "shop/s.parquet")
    facts = {"file": "s.parquet", "primary_key": "no"}
    meta = {"tables": {"s": facts}, "target": "paid", "task": "classification"}
    (tmp_path / "shop/meta.json").write_text(json.dumps(meta))
    case = _tables.stored(tmp_path, "shop")
    assert (case.identifiers, case.target, case.task) == (("no",), "paid", "classification")
    assert _tables.single_tables(tmp_path) == ["shop"]
    facts["primary_key"] = ["no", "paid"]
    (tmp_path / "shop/meta.json").write_text(json.dumps(meta))
    assert _tables.stored(tmp_path, "shop").identifiers == ()


def test_a_split_parts_all_rows_and_depends_on_the_seed_alone():
    case = _tables.orders(rows=100)
    train, holdout = case.split(3)
    assert (train.num_rows, holdout.num_rows) == (80, 20)
    numbers = [*train["order_id"].to_pylist(), *holdout["order_id"].to_pylist()]
    assert sorted(numbers) == list(range(1, 101))
    assert case.split(3)[0] == train
    assert case.split(4)[0] != train


def test_an_unknown_table_is_refused_with_the_names_there_are():
    with pytest.raises(_tables.UnknownTableError, match="breast_cancer"):
        _tables.quick("nothing")


def _line(system: str, seed: int, **figures: object) -> dict[str, object]:
    return {"set": "shop", "system": system, "seed": seed, "rows": 9, "columns": 2, **figures}


def _scored(system: str, seed: int, auc: float, **figures: object) -> dict[str, object]:
    told = {"columns_auc": {"price": auc}, "drops": {"price": 0.1}}
    return _line(system, seed, c2st_hgb=auc, **told, **figures)


def test_medians_over_seeds_means_over_sets_and_ratios_to_a_peer():
    ours = [_scored("syntheflow", s, a, train_cpu_s=2.0) for s, a in enumerate((0.5, 0.9, 0.6))]
    theirs = [_scored("tvae", 0, 0.8, train_cpu_s=8.0)]
    summed = summary(ours + theirs)
    assert [line["c2st_hgb"] for line in summed["sets"]] == [0.6, 0.8]
    against = summed["against"]["tvae"]
    assert against["training_times_faster"] == 4.0
    assert against["c2st_lower_on"] == 1
    assert against["c2st_difference"] == pytest.approx(-0.2)


def test_a_peer_that_fails_stays_in_the_table_with_its_reason():
    runs = [_scored("syntheflow", 0, 0.5), _line("ctgan", 0, reason="stopped at the time limit")]
    printed = table(runs, summary(runs))
    line = next(line for line in printed.splitlines() if " ctgan " in line)
    assert line.startswith("shop 9 x 2")
    assert line.endswith("stopped at the time limit")
    assert "shop, ctgan: stopped at the time limit" in printed
