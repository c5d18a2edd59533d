"""Judges synthetic tables against real ones: metrics, one score and the readable report."""

from __future__ import annotations

from syntheflow_server.quality.judge import Judgement, judge
from syntheflow_server.quality.report import render_html, render_json

__all__ = ["Judgement", "judge", "render_html", "render_json"]
