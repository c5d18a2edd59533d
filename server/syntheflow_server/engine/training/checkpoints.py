"""The files by which a fit that was killed goes on: one safetensors file a table.

Its header holds the JSON facts, so that a file is one state, whole or not there: it is
written beside and renamed. Which fit it belongs to stands in it as a fingerprint of the
settings, the tokens of all tables and the software: a fit of others refuses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from syntheflow_server.domain.errors import DataLossError, InvalidArgumentError
from syntheflow_server.domain.schema import Schema
from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.cvae.snapshots import Snapshot
from syntheflow_server.engine.settings import FitSettings
from syntheflow_server.engine.training.encode import Encoded

EVERY_SECONDS = 20.0
_FORMAT = 1


class Checkpoints:
    """What one fit keeps in `directory` of its tables, in the order of their training.

    Raises InvalidArgumentError where the directory holds states of another fit, and
    DataLossError where one cannot be read.
    """

    def __init__(self, directory: Path, fingerprint: Mapping[str, str]) -> None:
        self._directory, self._fingerprint = directory, dict(fingerprint)
        directory.mkdir(parents=True, exist_ok=True)
        found = [self.read(file) for file in directory.glob("table-*.safetensors")]
        self.spent = max((float(kept.facts["spent_by_all"]) for kept in found if kept), default=0.0)
        self._began = time.monotonic() - self.spent
        self._saved = time.monotonic()

    def table(self, number: int) -> TableCheckpoint:
        """Return the place of table `number`."""
        return TableCheckpoint(self, self._directory / f"table-{number}.safetensors")

    def read(self, file: Path) -> Snapshot | None:
        """Return the state in `file`; None if there is no such file."""
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                facts = json.loads(opened.metadata()["facts"])
                names = list(opened.keys())
                tensors = {name: opened.get_tensor(name).clone() for name in names}
                found = facts.pop("fingerprint")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataLossError(
                "the checkpoint of this training is damaged; remove it to begin anew",
                reason="CHECKPOINT_DAMAGED",
            ) from error
        for part, own in self._fingerprint.items():
            if found.get(part) != own:
                raise InvalidArgumentError(
                    f"the checkpoint belongs to another training: its {part} differ;"
                    " remove it or give another directory",
                    reason="CHECKPOINT_OF_ANOTHER_FIT",
                    metadata={"differs": part},
                )
        return Snapshot(facts, tensors)

    def due(self) -> bool:
        """Return True if nothing has been written for a while."""
        return time.monotonic() - self._saved >= EVERY_SECONDS

    def write(self, file: Path, snapshot: Snapshot) -> None:
        """Put the state into `file`, which holds the one before until this one is on disk."""
        facts = dict(snapshot.facts) | {
            "fingerprint": self._fingerprint,
            "spent_by_all": time.monotonic() - self._began,
        }
        beside = file.with_suffix(".new")
        save_file(dict(snapshot.tensors), beside, {"facts": json.dumps(facts)})
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(file)
        self._saved = time.monotonic()


class TableCheckpoint:
    """The state of one table's training; a Keeper (see cvae.snapshots)."""

    def __init__(self, checkpoints: Checkpoints, file: Path) -> None:
        self._all, self._file = checkpoints, file
        self._found = checkpoints.read(file)

    def last(self) -> Snapshot | None:
        """See `Keeper.last`."""
        found, self._found = self._found, None
        return None if found is None else Snapshot(found.facts["state"], found.tensors)

    def due(self) -> bool:
        """See `Keeper.due`."""
        return self._all.due()

    def keep(self, snapshot: Snapshot) -> None:
        """See `Keeper.keep`."""
        facts = {"state": snapshot.facts, "finished": False}
        self._all.write(self._file, Snapshot(facts, snapshot.tensors))

    def finished(self) -> Snapshot | None:
        """Return what `finish` wrote; None if the table's training has not ended."""
        if self._found is None or not self._found.facts["finished"]:
            return None
        return Snapshot(self._found.facts["state"], self._found.tensors)

    def finish(self, snapshot: Snapshot) -> None:
        """Write what training came to."""
        facts = {"state": snapshot.facts, "finished": True}
        self._all.write(self._file, Snapshot(facts, snapshot.tensors))


def fingerprint(
    schema: Schema, settings: FitSettings, encoded: Mapping[str, Encoded], base: str
) -> dict[str, str]:
    """Return digests of all that decides what training yields, by what they are of.

    `base` says which model training starts from.
    """
    software = (_FORMAT, torch.__version__, np.__version__, platform.machine(), compute_type())
    return {
        "settings": _digest(asdict(settings), base),
        "data": _digest(schema.model_dump(mode="json"), *map(_tokens, encoded.values())),
        "software versions": _digest(*map(str, software)),
    }


def _tokens(encoded: Encoded) -> str:
    digest = hashlib.blake2b(digest_size=16)
    arrays: list[Any] = [encoded.codes, encoded.counted, encoded.steps]
    if encoded.siblings is not None:
        arrays += [encoded.siblings.owner, encoded.siblings.order]
    for token in encoded.layout.tokens:
        arrays += [np.array(token.size), token.places, token.touching]
    for array in arrays:
        digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
