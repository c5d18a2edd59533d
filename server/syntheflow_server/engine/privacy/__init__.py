"""Differentially private fits: what each look at the data costs, and models of paid looks only."""

from __future__ import annotations
