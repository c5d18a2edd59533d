"""The demo tells its story to the end and leaves what it promises."""

from __future__ import annotations

import re
import subprocess

import psutil
from pyarrow import parquet

from support.cli import COMMAND, clean_environment


def test_the_demo_runs_from_nothing_to_a_report(tmp_path):
    ended = subprocess.run(
        [COMMAND, "demo", "--employees", "60", "--time-limit", "8"],
        cwd=tmp_path,
        env=clean_environment() | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    out = tmp_path / "demo-output"
    for words in (
        "employees",
        "manager_id → employees",
        "key_integrity",
        "rows/s",
        "None of these",
    ):
        assert words in ended.stdout
    assert re.search(r"Quality +0\.\d\d of 1", ended.stdout)
    assert "demo-output/report.html" in ended.stdout
    assert (out / "report.html").stat().st_size > 1000
    made = {path.stem: parquet.read_table(path) for path in (out / "synthetic/parquet").iterdir()}
    assert len(made) == 7
    assert len(list((out / "synthetic/csv").iterdir())) == 7
    assert made["employees"].num_rows > 20
    left = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])]
    assert not left, "the demo's server outlived it"


def test_a_company_too_small_to_learn_from_is_refused(tmp_path):
    ended = subprocess.run(
        [COMMAND, "demo", "--employees", "3"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert not list(tmp_path.iterdir())
