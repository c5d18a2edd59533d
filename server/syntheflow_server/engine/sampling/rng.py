"""Random numbers as pure functions of (seed, table, unit, purpose)."""

from __future__ import annotations

import hashlib

import numpy as np


def key_of(*parts: object) -> int:
    """Return 128 bits that depend on every part and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(seed: int, table: str, unit: int, purpose: str) -> np.random.Generator:
    """Return the counter-based generator (Philox) of one purpose in one unit."""
    return np.random.Generator(np.random.Philox(key=key_of(seed, table, unit, purpose)))
