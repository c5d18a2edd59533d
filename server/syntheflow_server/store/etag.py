"""A resource's etag: a pure function of what it says, so that nothing needs to be kept."""

from __future__ import annotations

import hashlib

from syntheflow_server.domain.resources import Resource


def etag_of(resource: Resource) -> str:
    """Return 16 hexadecimal characters that change whenever the resource does."""
    return hashlib.sha256(resource.model_dump_json().encode()).hexdigest()[:16]
