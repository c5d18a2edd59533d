"""The report as JSON: every figure, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from syntheflow_server.domain.resources import Report


def render_json(report: Report, details: Mapping[str, Any]) -> str:
    """Return the report's fields plus `details` as one JSON object, ending in a newline.

    Raises ValueError if `details` holds a figure that is not finite.
    """
    page = {**report.model_dump(mode="json"), "details": details}
    return json.dumps(page, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
