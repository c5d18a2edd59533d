from google.protobuf import duration_pb2 as _duration_pb2
from syntheflow.v1 import dataset_service_pb2 as _dataset_service_pb2
from syntheflow.v1 import job_service_pb2 as _job_service_pb2
from syntheflow.v1 import reading_pb2 as _reading_pb2
from syntheflow.v1 import schema_pb2 as _schema_pb2
from syntheflow.v1 import writing_pb2 as _writing_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_ARROW: _ClassVar[Format]
    FORMAT_CSV: _ClassVar[Format]
    FORMAT_JSON: _ClassVar[Format]
    FORMAT_JSON_LINES: _ClassVar[Format]
    FORMAT_PARQUET: _ClassVar[Format]
    FORMAT_EXCEL: _ClassVar[Format]
    FORMAT_XML: _ClassVar[Format]
    FORMAT_SQL: _ClassVar[Format]
    FORMAT_SQLITE: _ClassVar[Format]
    FORMAT_DUCKDB: _ClassVar[Format]
    FORMAT_ARCHIVE: _ClassVar[Format]
FORMAT_UNSPECIFIED: Format
FORMAT_ARROW: Format
FORMAT_CSV: Format
FORMAT_JSON: Format
FORMAT_JSON_LINES: Format
FORMAT_PARQUET: Format
FORMAT_EXCEL: Format
FORMAT_XML: Format
FORMAT_SQL: Format
FORMAT_SQLITE: Format
FORMAT_DUCKDB: Format
FORMAT_ARCHIVE: Format

class UploadHeader(_message.Message):
    __slots__ = ("dataset_id", "request_id", "schema")
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    request_id: str
    schema: _schema_pb2.Schema
    def __init__(self, dataset_id: _Optional[str] = ..., request_id: _Optional[str] = ..., schema: _Optional[_Union[_schema_pb2.Schema, _Mapping]] = ...) -> None: ...

class UploadFileStart(_message.Message):
    __slots__ = ("table", "file_name", "format", "options")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    table: str
    file_name: str
    format: Format
    options: _reading_pb2.ReadOptions
    def __init__(self, table: _Optional[str] = ..., file_name: _Optional[str] = ..., format: _Optional[_Union[Format, str]] = ..., options: _Optional[_Union[_reading_pb2.ReadOptions, _Mapping]] = ...) -> None: ...

class UploadFileEnd(_message.Message):
    __slots__ = ("size_bytes", "sha256")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    sha256: bytes
    def __init__(self, size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("header", "file_start", "chunk", "file_end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILE_START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    FILE_END_FIELD_NUMBER: _ClassVar[int]
    header: UploadHeader
    file_start: UploadFileStart
    chunk: bytes
    file_end: UploadFileEnd
    def __init__(self, header: _Optional[_Union[UploadHeader, _Mapping]] = ..., file_start: _Optional[_Union[UploadFileStart, _Mapping]] = ..., chunk: _Optional[bytes] = ..., file_end: _Optional[_Union[UploadFileEnd, _Mapping]] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: _dataset_service_pb2.Dataset
    def __init__(self, dataset: _Optional[_Union[_dataset_service_pb2.Dataset, _Mapping]] = ...) -> None: ...

class PrivacyBudget(_message.Message):
    __slots__ = ("epsilon", "delta")
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    epsilon: float
    delta: float
    def __init__(self, epsilon: _Optional[float] = ..., delta: _Optional[float] = ...) -> None: ...

class TrainRequest(_message.Message):
    __slots__ = ("dataset", "model_id", "engine", "seed", "time_limit", "holdout_share", "request_id", "rare_holders", "privacy", "base_model", "keep_tables", "entity_rows", "orphans")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_SHARE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RARE_HOLDERS_FIELD_NUMBER: _ClassVar[int]
    PRIVACY_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    KEEP_TABLES_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ROWS_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    model_id: str
    engine: str
    seed: int
    time_limit: _duration_pb2.Duration
    holdout_share: float
    request_id: str
    rare_holders: int
    privacy: PrivacyBudget
    base_model: str
    keep_tables: _containers.RepeatedScalarFieldContainer[str]
    entity_rows: int
    orphans: bool
    def __init__(self, dataset: _Optional[str] = ..., model_id: _Optional[str] = ..., engine: _Optional[str] = ..., seed: _Optional[int] = ..., time_limit: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., holdout_share: _Optional[float] = ..., request_id: _Optional[str] = ..., rare_holders: _Optional[int] = ..., privacy: _Optional[_Union[PrivacyBudget, _Mapping]] = ..., base_model: _Optional[str] = ..., keep_tables: _Optional[_Iterable[str]] = ..., entity_rows: _Optional[int] = ..., orphans: bool = ...) -> None: ...

class TrainResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_service_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_service_pb2.Job, _Mapping]] = ...) -> None: ...

class TableRows(_message.Message):
    __slots__ = ("table", "rows")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    table: str
    rows: int
    def __init__(self, table: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class RowRange(_message.Message):
    __slots__ = ("table", "start_row", "row_count")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    START_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    table: str
    start_row: int
    row_count: int
    def __init__(self, table: _Optional[str] = ..., start_row: _Optional[int] = ..., row_count: _Optional[int] = ...) -> None: ...

class Scalar(_message.Message):
    __slots__ = ("text", "integer", "number", "boolean", "missing")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    text: str
    integer: int
    number: float
    boolean: bool
    missing: bool
    def __init__(self, text: _Optional[str] = ..., integer: _Optional[int] = ..., number: _Optional[float] = ..., boolean: bool = ..., missing: bool = ...) -> None: ...

class ValueSet(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Scalar]
    def __init__(self, values: _Optional[_Iterable[_Union[Scalar, _Mapping]]] = ...) -> None: ...

class ValueRange(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: Scalar
    high: Scalar
    def __init__(self, low: _Optional[_Union[Scalar, _Mapping]] = ..., high: _Optional[_Union[Scalar, _Mapping]] = ...) -> None: ...

class ValueShare(_message.Message):
    __slots__ = ("value", "share")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    value: Scalar
    share: float
    def __init__(self, value: _Optional[_Union[Scalar, _Mapping]] = ..., share: _Optional[float] = ...) -> None: ...

class ValueShares(_message.Message):
    __slots__ = ("shares",)
    SHARES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[ValueShare]
    def __init__(self, shares: _Optional[_Iterable[_Union[ValueShare, _Mapping]]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("table", "column", "values", "range", "shares", "rows_of")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    ROWS_OF_FIELD_NUMBER: _ClassVar[int]
    table: str
    column: str
    values: ValueSet
    range: ValueRange
    shares: ValueShares
    rows_of: str
    def __init__(self, table: _Optional[str] = ..., column: _Optional[str] = ..., values: _Optional[_Union[ValueSet, _Mapping]] = ..., range: _Optional[_Union[ValueRange, _Mapping]] = ..., shares: _Optional[_Union[ValueShares, _Mapping]] = ..., rows_of: _Optional[str] = ...) -> None: ...

class Completion(_message.Message):
    __slots__ = ("table", "arrow_ipc", "dataset", "fill_missing")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ARROW_IPC_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    FILL_MISSING_FIELD_NUMBER: _ClassVar[int]
    table: str
    arrow_ipc: bytes
    dataset: str
    fill_missing: bool
    def __init__(self, table: _Optional[str] = ..., arrow_ipc: _Optional[bytes] = ..., dataset: _Optional[str] = ..., fill_missing: bool = ...) -> None: ...

class Existing(_message.Message):
    __slots__ = ("table", "arrow_ipc", "dataset")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ARROW_IPC_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    table: str
    arrow_ipc: bytes
    dataset: str
    def __init__(self, table: _Optional[str] = ..., arrow_ipc: _Optional[bytes] = ..., dataset: _Optional[str] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("model", "seed", "scale", "rows", "tables", "range", "format", "conditions", "temperature", "completions", "existing", "orphans", "write")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    WRITE_FIELD_NUMBER: _ClassVar[int]
    model: str
    seed: int
    scale: float
    rows: _containers.RepeatedCompositeFieldContainer[TableRows]
    tables: _containers.RepeatedScalarFieldContainer[str]
    range: RowRange
    format: Format
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    temperature: float
    completions: _containers.RepeatedCompositeFieldContainer[Completion]
    existing: _containers.RepeatedCompositeFieldContainer[Existing]
    orphans: bool
    write: _writing_pb2.WriteOptions
    def __init__(self, model: _Optional[str] = ..., seed: _Optional[int] = ..., scale: _Optional[float] = ..., rows: _Optional[_Iterable[_Union[TableRows, _Mapping]]] = ..., tables: _Optional[_Iterable[str]] = ..., range: _Optional[_Union[RowRange, _Mapping]] = ..., format: _Optional[_Union[Format, str]] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., temperature: _Optional[float] = ..., completions: _Optional[_Iterable[_Union[Completion, _Mapping]]] = ..., existing: _Optional[_Iterable[_Union[Existing, _Mapping]]] = ..., orphans: bool = ..., write: _Optional[_Union[_writing_pb2.WriteOptions, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("table", "first_row", "row_count", "data", "file")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    table: str
    first_row: int
    row_count: int
    data: bytes
    file: str
    def __init__(self, table: _Optional[str] = ..., first_row: _Optional[int] = ..., row_count: _Optional[int] = ..., data: _Optional[bytes] = ..., file: _Optional[str] = ...) -> None: ...

class ValidateRequest(_message.Message):
    __slots__ = ("model", "seed", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    seed: int
    request_id: str
    def __init__(self, model: _Optional[str] = ..., seed: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class ValidateResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_service_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_service_pb2.Job, _Mapping]] = ...) -> None: ...
