"""Reads what a server tells operators over HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request

from syntheflow.local import LocalServer


def fetch(url: str) -> tuple[int, str]:
    """Status and text of a page, also if the status is an error."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metrics(server: LocalServer) -> str:
    return fetch(f"{server.url}/metrics")[1]


def value(page: str, series: str) -> float:
    """Sum of all series whose name (and first labels) are `series`."""
    found = [line for line in page.splitlines() if line.startswith((f"{series} ", f"{series}{{"))]
    found = found or [line for line in page.splitlines() if line.startswith(f"{series},")]
    assert found, f"there is no series {series}"
    return sum(float(line.split()[-1]) for line in found)


def metric(server: LocalServer, series: str) -> float:
    return value(metrics(server), series)
