"""Resource names and ids: `datasets/{id}`, ids chosen by users or sortable by time."""

from __future__ import annotations

import re
import secrets
import time

from syntheflow_server.domain.errors import InvalidArgumentError, Violation

_ID = re.compile(r"[a-z0-9-]{1,63}")
KINDS = ("datasets", "models", "jobs", "reports")


def new_id() -> str:
    """Return a new id, 19 characters; ids sort by their time of making (milliseconds)."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def checked_id(text: str, field: str) -> str:
    """Return `text` if it is a valid id; else raise InvalidArgumentError naming `field`."""
    if _ID.fullmatch(text):
        return text
    rule = f"{field} must be 1 to 63 characters out of a-z, 0-9 and hyphen"
    raise InvalidArgumentError(
        rule, reason="ID_INVALID", violations=(Violation(field=field, rule=rule),)
    )


def id_of(name: str, kind: str) -> str:
    """Return the id in the resource name `{kind}/{id}`; InvalidArgumentError if it is not one."""
    prefix, _, rest = name.partition("/")
    if prefix == kind and _ID.fullmatch(rest):
        return rest
    rule = f"a name of the form {kind}/{{id}} is needed"
    raise InvalidArgumentError(
        f"{rule}, got {name[:80]!r}",
        reason="NAME_INVALID",
        violations=(Violation(field="name", rule=rule),),
    )
