"""The list of all metrics: a new one is one file plus one line here."""

from __future__ import annotations

from syntheflow_server.quality.fidelity.column_shapes import ColumnShapes
from syntheflow_server.quality.fidelity.detection import Detection
from syntheflow_server.quality.fidelity.null_shares import NullShares
from syntheflow_server.quality.fidelity.pair_trends import PairTrends
from syntheflow_server.quality.metric import Metric
from syntheflow_server.quality.privacy.copying import Copying
from syntheflow_server.quality.privacy.small_tables import SmallTables
from syntheflow_server.quality.relations.aggregate_detection import AggregateDetection
from syntheflow_server.quality.relations.child_counts import ChildCounts
from syntheflow_server.quality.relations.event_order import EventOrder
from syntheflow_server.quality.relations.hop_trends import HopTrends
from syntheflow_server.quality.relations.key_graph import KeyGraph
from syntheflow_server.quality.relations.key_integrity import KeyIntegrity

METRICS: tuple[Metric, ...] = (
    Detection(),
    AggregateDetection(),
    ColumnShapes(),
    PairTrends(),
    HopTrends(),
    NullShares(),
    KeyIntegrity(),
    ChildCounts(),
    EventOrder(),
    KeyGraph(),
    Copying(),
    SmallTables(),
)
"""In the order of the report."""
