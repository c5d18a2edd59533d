"""The HTTP side: metrics, health and a small index page."""

from __future__ import annotations

from syntheflow_server.gateway.web import WebServer, build_app, listen

__all__ = ["WebServer", "build_app", "listen"]
