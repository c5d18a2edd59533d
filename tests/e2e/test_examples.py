"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.cli import clean_environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "whole_way.py"


def test_the_whole_way_in_python(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE), str(tmp_path / "work")],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "found: salaries -> employees" in ended.stdout
    assert "quality 0." in ended.stdout
    assert (tmp_path / "work" / "report.html").stat().st_size > 1000
