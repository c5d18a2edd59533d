"""Puts the wishes of a Generate into messages: conditions, rows that go along."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from syntheflow import uploads, values
from syntheflow.conditions import merged, parse
from syntheflow.errors import SyntheflowError
from syntheflow.literals import unfit
from syntheflow.v1 import synthesis_service_pb2 as v1

LARGEST_INLINE_BYTES = 3 << 20
_ARROW_ENDINGS = {".arrow", ".feather", ".ipc"}
_PATIENCE_SECONDS = 5.0
# In this order: a bool is an int too.
_FIELDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "text"),
)
Where = Sequence["str | values.Condition"]
Given = Mapping[str, Any]
Fetch = Callable[[], values.Model]


@dataclass(frozen=True, slots=True)
class Handed:
    """Messages of rows that go along with a request: to be completed, or there already."""

    completions: tuple[v1.Completion, ...] = ()
    existing: tuple[v1.Existing, ...] = ()


class Server(Protocol):
    """What is needed of a client to hand it rows that do not fit a message."""

    def upload(self, dataset: str, data: Any) -> values.Dataset:
        """Upload a dataset."""

    def delete_dataset(self, dataset: str) -> None:
        """Delete a dataset."""


def conditions_of(where: Where, model: Fetch) -> tuple[values.Condition, ...]:
    """Return the conditions of `where`, one a column; `model` is asked if a text needs it."""
    if isinstance(where, (str, values.Condition)):
        where = (where,)
    known: values.Model | None = None
    understood: list[values.Condition] = []
    for one in where:
        if isinstance(one, values.Condition) and one.table:
            understood.append(one)
            continue
        known = known or model()
        if isinstance(one, str):
            understood.append(parse(one, known.schema))
        else:
            understood.append(_in_only_table(one, known))
    return merged(understood)


def _in_only_table(condition: values.Condition, model: values.Model) -> values.Condition:
    names = [table.name for table in model.schema.tables]
    if len(names) > 1:
        raise unfit(f"column {condition.where}: name its table, one of {', '.join(names)}")
    return values.Condition(**{**_fields(condition), "table": names[0]})


def _fields(condition: values.Condition) -> dict[str, Any]:
    return {name: getattr(condition, name) for name in values.Condition.__slots__}


def condition_message(condition: values.Condition) -> v1.Condition:
    """Return the message of a condition; SyntheflowError unless it says exactly one thing."""
    said = [bool(condition.values), condition.ranged, bool(condition.shares)]
    if sum(said) != 1:
        raise unfit(f"{condition.where}: give one of values, a range (low, high) or shares")
    if bool(condition.column) + bool(condition.rows_of) != 1:
        raise unfit(f"{condition.where}: name a column, or a child table as rows_of")
    message = v1.Condition(
        table=condition.table, column=condition.column, rows_of=condition.rows_of
    )
    if condition.values:
        message.values.values.extend(map(_scalar, condition.values))
    for value, share in condition.shares:
        message.shares.shares.append(v1.ValueShare(value=_scalar(value), share=share))
    for name in ("low", "high"):
        if (bound := getattr(condition, name)) is not None:
            getattr(message.range, name).CopyFrom(_scalar(bound))
    return message


def _scalar(value: Any) -> v1.Scalar:
    if value is None:
        return v1.Scalar(missing=True)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise unfit(f"the number {value} is beyond 64 bits")
    if isinstance(value, (date, time_of_day)):
        value = value.isoformat()
    if isinstance(value, Decimal):
        value = str(value)
    for kind, field in _FIELDS:
        if isinstance(value, kind):
            message = v1.Scalar()
            setattr(message, field, value)
            return message
    raise unfit(f"a {type(value).__name__} is no value of a cell; give text, number or bool")


@contextmanager
def handed(
    server: Server, given: Given, existing: Given, *, fill_missing: bool
) -> Iterator[Handed]:
    """Give the messages that hand rows over; what had to be uploaded is deleted at the end.

    `given` and `existing` map a table to a path, to a table (pyarrow, pandas, polars) or
    to the name of a dataset, datasets/ID. What fits goes along inline, as much as a message
    takes in all; the rest as a dataset of its own.
    """
    if fill_missing and not given:
        raise unfit("fill_missing needs rows to be completed; give some")
    completions = {t: v1.Completion(table=t, fill_missing=fill_missing) for t in given}
    there = {t: v1.Existing(table=t) for t in existing}
    made: list[str] = []
    room = LARGEST_INLINE_BYTES
    try:
        for messages, source in ((completions, given), (there, existing)):
            for table, rows in source.items():
                message: Any = messages[table]
                if isinstance(rows, str) and rows.startswith("datasets/"):
                    message.dataset = rows
                elif (data := _inline(rows, room)) is not None:
                    message.arrow_ipc = data
                    room -= len(data)
                else:
                    name = f"given-{uuid.uuid4().hex[:16]}"
                    message.dataset = server.upload(name, {table: rows}).name
                    made.append(message.dataset)
        yield Handed(tuple(completions.values()), tuple(there.values()))
    finally:
        for name in made:
            _delete(server, name)


def _inline(rows: Any, room: int) -> bytes | None:
    """Return the rows as Arrow bytes if they fit `room` bytes and need no reading."""
    if isinstance(rows, (str, Path)):
        path = Path(rows)
        if path.suffix.lower() not in _ARROW_ENDINGS or not path.is_file():
            return None
        return path.read_bytes() if path.stat().st_size <= room else None
    data = b""
    for piece in uploads.parts_of({"rows": rows})[0].pieces():
        data += piece
        if len(data) > room:
            return None
    return data


def _delete(server: Server, name: str) -> None:
    """Delete a dataset of ours, which a stream that was just closed may still read."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            server.delete_dataset(name)
        except SyntheflowError as error:
            if error.reason != "RESOURCE_IN_USE" or time.monotonic() > give_up:
                raise
            time.sleep(0.1)
        else:
            return
