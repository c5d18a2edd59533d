"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from syntheflow_server.domain.resources import Report
from syntheflow_server.quality.report.view import page


def render_html(report: Report, details: Mapping[str, Any]) -> str:
    """Return the page: no script, no network, pictures inline, light and dark."""
    environment = Environment(
        loader=PackageLoader("syntheflow_server.quality.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.jinja")
    return template.render(report=report, page=page(report, details))
