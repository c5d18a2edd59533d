from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Dialect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIALECT_UNSPECIFIED: _ClassVar[Dialect]
    DIALECT_POSTGRESQL: _ClassVar[Dialect]
    DIALECT_MYSQL: _ClassVar[Dialect]
    DIALECT_SQLITE: _ClassVar[Dialect]
    DIALECT_MSSQL: _ClassVar[Dialect]
    DIALECT_ORACLE: _ClassVar[Dialect]
    DIALECT_DUCKDB: _ClassVar[Dialect]

class LoadMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOAD_MODE_UNSPECIFIED: _ClassVar[LoadMode]
    LOAD_MODE_CREATE: _ClassVar[LoadMode]
    LOAD_MODE_APPEND: _ClassVar[LoadMode]
    LOAD_MODE_TRUNCATE: _ClassVar[LoadMode]
    LOAD_MODE_REPLACE: _ClassVar[LoadMode]
DIALECT_UNSPECIFIED: Dialect
DIALECT_POSTGRESQL: Dialect
DIALECT_MYSQL: Dialect
DIALECT_SQLITE: Dialect
DIALECT_MSSQL: Dialect
DIALECT_ORACLE: Dialect
DIALECT_DUCKDB: Dialect
LOAD_MODE_UNSPECIFIED: LoadMode
LOAD_MODE_CREATE: LoadMode
LOAD_MODE_APPEND: LoadMode
LOAD_MODE_TRUNCATE: LoadMode
LOAD_MODE_REPLACE: LoadMode

class WriteOptions(_message.Message):
    __slots__ = ("dialect", "copy_rows", "compression", "row_group_rows", "partition_by", "file_rows", "keep_formulas")
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    COPY_ROWS_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    ROW_GROUP_ROWS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_BY_FIELD_NUMBER: _ClassVar[int]
    FILE_ROWS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FORMULAS_FIELD_NUMBER: _ClassVar[int]
    dialect: Dialect
    copy_rows: bool
    compression: str
    row_group_rows: int
    partition_by: _containers.RepeatedScalarFieldContainer[str]
    file_rows: int
    keep_formulas: bool
    def __init__(self, dialect: _Optional[_Union[Dialect, str]] = ..., copy_rows: bool = ..., compression: _Optional[str] = ..., row_group_rows: _Optional[int] = ..., partition_by: _Optional[_Iterable[str]] = ..., file_rows: _Optional[int] = ..., keep_formulas: bool = ...) -> None: ...
