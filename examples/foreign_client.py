"""A client that uses the contract alone: stubs of plain protoc and a stock Arrow reader.

python -m grpc_tools.protoc -Iproto --python_out=stubs --grpc_python_out=stubs \
    proto/syntheflow/v1/*.proto
PYTHONPATH=stubs python examples/foreign_client.py 127.0.0.1:50051 models/hr employees
"""

import sys

import grpc
import pyarrow as pa

from syntheflow.v1 import synthesis_service_pb2 as messages
from syntheflow.v1 import synthesis_service_pb2_grpc as services

address, model, table = sys.argv[1:]
request = messages.GenerateRequest(model=model, seed=1, tables=[table])
with grpc.insecure_channel(address) as channel:
    fragments = services.SynthesisServiceStub(channel).Generate(request)
    data = b"".join(fragment.data for fragment in fragments)
rows = pa.ipc.open_stream(data).read_all()
print(f"{rows.num_rows} rows of {table}: {', '.join(rows.column_names)}")
