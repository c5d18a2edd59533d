"""The gRPC face: translates messages to calls of the Service and back, nothing else."""

from syntheflow_server.rpc.server import RpcServer, build_server

__all__ = ["RpcServer", "build_server"]
