"""A client made by plain protoc from proto/ alone reads rows with a stock Arrow reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.cli import clean_environment
from support.company import MODEL

PROTO = Path(__file__).parents[2] / "proto"
PROGRAM = """
import sys
import grpc, pyarrow as pa
from syntheflow.v1 import synthesis_service_pb2 as messages
from syntheflow.v1 import synthesis_service_pb2_grpc as services

assert sys.argv[3] in messages.__file__, "the stubs are not those made here"
with grpc.insecure_channel(sys.argv[1]) as channel:
    service = services.SynthesisServiceStub(channel)
    request = messages.GenerateRequest(model=sys.argv[2], seed=1, tables=["employees"])
    data = b"".join(part.data for part in service.Generate(request))
table = pa.ipc.open_stream(data).read_all()
print(table.num_rows, table.schema.names[0])
"""


def test_stubs_from_the_contract_alone_read_a_stream(server, tmp_path: Path):
    made = tmp_path / "stubs"
    made.mkdir()
    protos = sorted(PROTO.glob("syntheflow/v1/*.proto"))
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    flags = [f"--python_out={made}", f"--grpc_python_out={made}"]
    subprocess.run([*compiler, *flags, *map(str, protos)], check=True, timeout=60)
    program = tmp_path / "foreign.py"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        # -P and our path first: nothing of the project's own client is found.
        [sys.executable, "-P", str(program), server.address, f"models/{MODEL}", str(made)],
        env=clean_environment() | {"PYTHONPATH": str(made)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    rows, column = ended.stdout.split()
    assert int(rows) > 0
    assert column == "employee_id"
