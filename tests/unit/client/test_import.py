"""Importing the client is cheap and pulls nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import syntheflow

HEAVY = ("torch", "pandas", "numpy", "pyarrow", "typer", "rich", "yaml", "syntheflow_server")


def python(program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return ended.stdout


@pytest.mark.parametrize("module", ["syntheflow", "syntheflow.cli.main"])
def test_nothing_heavy_is_imported(module):
    light = HEAVY if module == "syntheflow" else ("torch", "pandas", "numpy", "pyarrow")
    loaded = python(f"import {module}, sys; print(*[m for m in {light} if m in sys.modules])")
    assert loaded.split() == []


def test_the_import_takes_less_than_300_ms():
    # Processor time: how busy the machine is must not matter.
    clock = "from time import process_time as now; t = now(); import syntheflow; print(now() - t)"
    assert min(float(python(clock)) for _ in range(3)) < 0.3


def test_the_public_names_are_these():
    assert set(syntheflow.__all__) == {
        "Client", "Column", "Condition", "Dataset", "ForeignKey", "Fragment", "Job", "JobFailure",
        "Model", "PrivacySpending", "Report", "Schema", "Score", "SyntheflowError", "Table",
        "TableCard", "TableScores", "TableSummary", "Violation", "WrittenFile",
    }  # fmt: skip
    assert all(hasattr(syntheflow, name) for name in syntheflow.__all__)
