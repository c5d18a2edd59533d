"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from syntheflow_server.domain.resources import Report


def render_html(report: Report, details: Mapping[str, Any]) -> str:
    """Return the page: no script, no network, pictures inline."""
    environment = Environment(
        loader=PackageLoader("syntheflow_server.quality.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(report=report, details=details)
