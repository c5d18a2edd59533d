"""Turns a report into a page for people (HTML) and into figures for programs (JSON)."""

from __future__ import annotations

from syntheflow_server.quality.report.html import render_html
from syntheflow_server.quality.report.json import render_json

__all__ = ["render_html", "render_json"]
