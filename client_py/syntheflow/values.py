"""What the client hands out: plain frozen values, one class for each resource.

Times are UTC. `to_dict` of any of them gives values that `json.dumps` takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Value:
    """Base of all: comparable, immutable, and a dictionary on demand."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as dictionaries, lists, texts and numbers."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


@dataclass(frozen=True, slots=True)
class Resource(Value):
    """What all resources have: a name such as datasets/hr and the time of making."""

    name: str
    create_time: datetime | None

    @property
    def id(self) -> str:
        """The name without its kind: hr of datasets/hr."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Column(Value):
    """One column: stored type in Arrow's notation and what its values mean.

    `native_type` is its type in the database that it came from, `identity` says that the
    database numbers new rows there by itself.
    """

    name: str
    type: str
    semantic_type: str
    nullable: bool
    native_type: str = ""
    identity: bool = False


@dataclass(frozen=True, slots=True)
class Table(Value):
    """One table; columns stand in their original order.

    `unique_keys` and `checks` are what the database that it came from declares.
    """

    name: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    unique_keys: tuple[tuple[str, ...], ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey(Value):
    """The child's columns hold a key of the parent, or nothing."""

    child_table: str
    child_columns: tuple[str, ...]
    parent_table: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schema(Value):
    """Tables, columns, keys and references of a dataset.

    `dialect` is the SQL of the database that it came from; empty if it came from none.
    """

    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class TableSummary(Value):
    """Facts about one stored table; `findings` say how its file was read.

    `read_as` are the settings that it was read with, guessed or said, by the names of
    `upload`'s options; `rejected_rows` were left out as bad.
    """

    name: str
    rows: int
    bytes: int
    file_name: str
    findings: tuple[str, ...]
    read_as: dict[str, str] = field(default_factory=dict)
    rejected_rows: int = 0


@dataclass(frozen=True, slots=True)
class Dataset(Resource):
    """Related tables plus their schema; give `etag` back to `update_schema`."""

    update_time: datetime | None
    schema: Schema
    tables: tuple[TableSummary, ...]
    etag: str


Scalar = str | int | float | bool | None
"""A value of a cell: dates, times and decimals as text, None is the missing value."""


@dataclass(frozen=True, slots=True)
class Condition(Value):
    """What the values of one column must be in every generated row.

    Exactly one of: `values` (one of these), `low` and `high` (from one to the other, both
    included, one may be None), `shares` (these values with these shares of the rows, the
    others in their natural proportions). `table` may be empty if the model has only one.
    With `rows_of` instead of `column` it is on how many rows of that child table each row
    has: values or a range.
    """

    column: str = ""
    table: str = ""
    values: tuple[Scalar, ...] = ()
    low: Scalar = None
    high: Scalar = None
    shares: tuple[tuple[Scalar, float], ...] = ()
    rows_of: str = ""

    @property
    def ranged(self) -> bool:
        """True if it is a range."""
        return self.low is not None or self.high is not None

    @property
    def where(self) -> str:
        """Table and column (or counted child table), for messages."""
        subject = f"count({self.rows_of})" if self.rows_of else self.column
        return f"{self.table}.{subject}" if self.table else subject


@dataclass(frozen=True, slots=True)
class PrivacySpending(Value):
    """One entry of a privacy ledger: what was paid for, and what it alone would guarantee.

    The last entry of a ledger, `total`, composes all others.
    """

    spent_on: str
    epsilon: float
    delta: float
    mechanism: str


@dataclass(frozen=True, slots=True)
class TableCard(Value):
    """What a model knows of one table: shapes and settings, no values.

    `relations` are the exact relations between columns in words; `stopped` says why the
    training ended; `privacy` is empty without differential privacy. Losses: nats a row.
    `keys` say how the table hangs together with others: for which rows its rows are made
    and in what order, what they refer to, missing references and orphans.
    """

    table: str
    train_rows: int
    holdout_rows: int
    columns: int
    tokens: int
    parameters: int
    epochs: float
    validation_loss: float
    train_seconds: float
    owner_table: str
    train_loss: float = 0.0
    stopped: str = ""
    relations: tuple[str, ...] = ()
    privacy: tuple[PrivacySpending, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model(Resource):
    """What training a dataset yields.

    `settings` are those of the training, by name; `base_model` names the model that it
    started from, if any; `kept_tables` come out row for row as they are.
    """

    dataset: str
    engine: str
    schema: Schema
    seed: int
    train_seconds: float
    bytes: int
    tables: tuple[TableCard, ...]
    versions: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    base_model: str = ""
    kept_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobFailure(Value):
    """Why a job failed."""

    code: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Job(Resource):
    """Long-running work.

    `kind` is train, validate, import or export; `state` is queued, running, succeeded,
    failed or cancelled; `progress` goes from 0 to 1; `result` names what it made.
    `tables` are the rows read or written so far, `notes` what is worth knowing.
    """

    kind: str
    state: str
    progress: float
    stage: str
    metrics: dict[str, float]
    target: str
    result: str
    error: JobFailure | None
    start_time: datetime | None
    end_time: datetime | None
    tables: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """True if the job will not change any more."""
        return self.state in {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class Score(Value):
    """One named figure: `value` 0 to 1, higher is better; `raw` in its own unit."""

    name: str
    value: float
    raw: float
    detail: str


@dataclass(frozen=True, slots=True)
class TableScores(Value):
    """The scores of one table."""

    table: str
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Report(Resource):
    """What validation found; `quality` 0 to 1 is made of `parts`."""

    model: str
    quality: float
    parts: tuple[Score, ...]
    tables: tuple[TableScores, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of one table: `row_count` rows from row `first_row` on.

    The data of one file's fragments, joined in order, are that file: in Arrow one IPC
    stream a table. `table` is empty where they belong to no table alone. `data` is any
    bytes-like value.
    """

    table: str
    first_row: int
    row_count: int
    data: bytes | memoryview = field(repr=False)
    file: str = ""


@dataclass(frozen=True, slots=True)
class WrittenFile(Value):
    """A file that `generate_files` wrote: `tables` are its rows by table.

    `table` is empty if it holds several tables, or none.
    """

    table: str
    path: str
    rows: int
    bytes: int
    tables: dict[str, int] = field(default_factory=dict)
