"""The files that once went wrong, and how they are kept: `FORMAT/NAME-HASH.ENDING`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Case:
    """One input: what the file is called, its bytes, and the read options it came with."""

    name: str
    data: bytes
    options: dict[str, Any]

    @property
    def key(self) -> str:
        told = self.data + json.dumps(self.options, sort_keys=True).encode()
        return hashlib.sha256(told).hexdigest()[:12]


def kept() -> list[Case]:
    """Return all kept cases."""
    cases = []
    for path in sorted(FOLDER.glob("*")):
        if path.suffix == ".options":
            continue
        side = path.with_name(path.name + ".options")
        options = json.loads(side.read_text()) if side.exists() else {}
        cases.append(Case(path.name.partition("-")[2], path.read_bytes(), options))
    return cases


def keep(case: Case, folder: Path = FOLDER) -> Path:
    """Write a case down; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.key}-{case.name}"
    path.write_bytes(case.data)
    if case.options:
        path.with_name(path.name + ".options").write_text(json.dumps(case.options) + "\n")
    return path
