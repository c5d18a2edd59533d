"""The list of all metrics: a new one is one file plus one line here."""

from __future__ import annotations

from syntheflow_server.quality.metric import Metric
from syntheflow_server.quality.relations.key_integrity import KeyIntegrity

METRICS: tuple[Metric, ...] = (KeyIntegrity(),)
