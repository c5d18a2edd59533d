"""Learns related tables and makes new rows of them; knows no input or output."""

from __future__ import annotations

from syntheflow_server.engine.artefact import load
from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.sampler import Fragment, Sampler
from syntheflow_server.engine.sampling.spec import SampleSpec
from syntheflow_server.engine.settings import FitProgress, FitSettings
from syntheflow_server.engine.training.fit import fit
from syntheflow_server.engine.training.holdout import holdout_rows

__all__ = [
    "FitProgress",
    "FitSettings",
    "FittedModel",
    "Fragment",
    "SamplePlan",
    "SampleSpec",
    "Sampler",
    "fit",
    "holdout_rows",
    "load",
]
