"""The network that makes a row token by token, its training and its sampling."""

from __future__ import annotations

from syntheflow_server.engine.cvae.network import NetworkShape, TableNetwork, network_shape
from syntheflow_server.engine.cvae.sampling import TableSampler
from syntheflow_server.engine.cvae.training import TrainingProgress, TrainingResult, train

__all__ = [
    "NetworkShape",
    "TableNetwork",
    "TableSampler",
    "TrainingProgress",
    "TrainingResult",
    "network_shape",
    "train",
]
