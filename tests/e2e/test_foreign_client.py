"""A client made by plain protoc from proto/ alone reads rows with a stock Arrow reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.cli import clean_environment
from support.company import MODEL

ROOT = Path(__file__).parents[2]


def test_stubs_from_the_contract_alone_read_a_stream(server, tmp_path: Path):
    made = tmp_path / "stubs"
    made.mkdir()
    protos = sorted((ROOT / "proto").glob("syntheflow/v1/*.proto"))
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}"]
    flags = [f"--python_out={made}", f"--grpc_python_out={made}"]
    subprocess.run([*compiler, *flags, *map(str, protos)], check=True, timeout=60)
    # A package without __init__ would lose against the installed client's.
    for folder in ("syntheflow", "syntheflow/v1"):
        (made / folder / "__init__.py").write_text("")
    program = ROOT / "examples" / "foreign_client.py"
    ended = subprocess.run(
        [sys.executable, "-v", str(program), server.address, f"models/{MODEL}", "employees"],
        env=clean_environment() | {"PYTHONPATH": str(made)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "rows of employees: employee_id, first_name" in ended.stdout
    imported = [line for line in ended.stderr.splitlines() if "'syntheflow" in line]
    assert imported
    assert not [line for line in imported if "client_py" in line], "our own client was used"
