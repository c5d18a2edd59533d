"""Resources that the server keeps: datasets, models, jobs, reports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from syntheflow_server.domain.errors import Failure
from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.writing import LoadMode


class Resource(BaseModel):
    """What all resources have: a name `{kind}/{id}` and a time of making (UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    create_time: datetime


class TableSummary(BaseModel):
    """Facts about one stored table; `findings` say how its file was read.

    `read_as` are the settings that the reader used, guessed or said, by the names of
    ReadOptions; `rejected_rows` were left out as bad.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rows: int
    bytes: int
    file_name: str = ""
    findings: tuple[str, ...] = ()
    read_as: dict[str, str] = Field(default_factory=dict)
    rejected_rows: int = 0


class Dataset(Resource):
    """Related tables plus their schema; the data lie in the blob store under its name."""

    update_time: datetime
    data_schema: Schema
    tables: tuple[TableSummary, ...]


class PrivacySpending(BaseModel):
    """One entry of a privacy ledger: what was paid for, and what it alone would guarantee.

    The last entry of a ledger, `total`, composes all others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spent_on: str
    epsilon: float = Field(ge=0)
    delta: float = Field(ge=0, le=1)
    mechanism: str


class TableCard(BaseModel):
    """What a model knows of one table: shapes and settings, no values.

    `relations` tells each exact relation between columns in words, naming columns only;
    `keys` how the table hangs together with others, in words: owner, links, sequence,
    missing references, orphans;
    `stopped` says why the training ended; `privacy` is empty without differential privacy.
    Losses are in nats a row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    train_rows: int
    holdout_rows: int
    columns: int
    tokens: int
    parameters: int
    epochs: float
    validation_loss: float
    train_seconds: float
    owner_table: str = ""
    train_loss: float = 0.0
    stopped: str = ""
    relations: tuple[str, ...] = ()
    privacy: tuple[PrivacySpending, ...] = ()
    keys: tuple[str, ...] = ()


class TrainOrder(BaseModel):
    """What a training was asked for: enough to begin or resume it after a restart.

    With `epsilon` the training is (epsilon, delta)-differentially private; `delta` None
    leaves it to the engine, and `entity_rows` bounds what one root entity contributes.
    `base_model` names the model that it starts from, if any; tables of `keep` stay as they
    are; with `orphans` rows that refer to no row are learned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    engine: str
    seed: int = 0
    time_limit_seconds: float | None = None
    holdout_share: float = 0.1
    rare_holders: int = 3
    epsilon: float | None = None
    delta: float | None = None
    base_model: str = ""
    keep: tuple[str, ...] = ()
    entity_rows: int | None = None
    orphans: bool = False


class ImportOrder(BaseModel):
    """What an import was asked for; no credentials, those come from the settings each time.

    `source` is a URL without password, or the name of a configured connection; `hint`
    is what the user says of the schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    source: str
    wanted: Wanted
    options: ReadOptions
    hint: SchemaHint | None = None


class ExportOrder(BaseModel):
    """What an export was asked for; no credentials, those come from the settings each time.

    `spec` is the generation asked for, in the words of `jobs.requests.GenerationSpec`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    destination: str
    spec: dict[str, JsonValue]
    mode: LoadMode = LoadMode.CREATE
    namespace: str = ""


class Model(Resource):
    """What training a dataset yields; the artefact lies in the blob store under its name.

    `settings` are those of the training, by name; `base_model` names the model that it
    started from, if any; `kept_tables` come out row for row as they are; with
    `orphans` it learned which rows refer to rows that do not exist.
    """

    dataset: str
    engine: str
    data_schema: Schema
    seed: int
    holdout_share: float
    train_seconds: float
    bytes: int
    tables: tuple[TableCard, ...]
    versions: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, str] = Field(default_factory=dict)
    base_model: str = ""
    kept_tables: tuple[str, ...] = ()
    orphans: bool = False


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    VALIDATE = "validate"
    IMPORT = "import"
    EXPORT = "export"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True if the job will not change any more."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class Job(Resource):
    """Long-running work with progress 0..1 that never falls.

    All but validations carry their `order`, from which they are resumed after a restart;
    `interruptions` counts how often the server died under them. `tables` are the rows
    read or written so far, `notes` what is worth knowing of what was done.
    """

    kind: JobKind
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    stage: str = "waiting for a free worker"
    metrics: dict[str, float] = Field(default_factory=dict)
    target: str
    result: str = ""
    error: Failure | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    order: TrainOrder | ImportOrder | ExportOrder | None = None
    interruptions: int = 0
    tables: dict[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Score(BaseModel):
    """One named figure: `value` 0..1, higher is better; `raw` in its own unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float = Field(ge=0, le=1)
    raw: float
    detail: str


class TableScores(BaseModel):
    """The scores of one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    scores: tuple[Score, ...]


class Report(Resource):
    """What validation found; the rendered pages lie in the blob store under its name."""

    model: str
    quality: float = Field(ge=0, le=1)
    parts: tuple[Score, ...]
    tables: tuple[TableScores, ...]
    warnings: tuple[str, ...] = ()
