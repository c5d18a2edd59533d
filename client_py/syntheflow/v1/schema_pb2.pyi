from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SemanticType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEMANTIC_TYPE_UNSPECIFIED: _ClassVar[SemanticType]
    SEMANTIC_TYPE_INTEGER: _ClassVar[SemanticType]
    SEMANTIC_TYPE_NUMBER: _ClassVar[SemanticType]
    SEMANTIC_TYPE_BOOLEAN: _ClassVar[SemanticType]
    SEMANTIC_TYPE_CATEGORY: _ClassVar[SemanticType]
    SEMANTIC_TYPE_DATE: _ClassVar[SemanticType]
    SEMANTIC_TYPE_DATETIME: _ClassVar[SemanticType]
    SEMANTIC_TYPE_TIME: _ClassVar[SemanticType]
    SEMANTIC_TYPE_DURATION: _ClassVar[SemanticType]
    SEMANTIC_TYPE_IDENTIFIER: _ClassVar[SemanticType]
    SEMANTIC_TYPE_CODE: _ClassVar[SemanticType]
    SEMANTIC_TYPE_TEXT: _ClassVar[SemanticType]
SEMANTIC_TYPE_UNSPECIFIED: SemanticType
SEMANTIC_TYPE_INTEGER: SemanticType
SEMANTIC_TYPE_NUMBER: SemanticType
SEMANTIC_TYPE_BOOLEAN: SemanticType
SEMANTIC_TYPE_CATEGORY: SemanticType
SEMANTIC_TYPE_DATE: SemanticType
SEMANTIC_TYPE_DATETIME: SemanticType
SEMANTIC_TYPE_TIME: SemanticType
SEMANTIC_TYPE_DURATION: SemanticType
SEMANTIC_TYPE_IDENTIFIER: SemanticType
SEMANTIC_TYPE_CODE: SemanticType
SEMANTIC_TYPE_TEXT: SemanticType

class Column(_message.Message):
    __slots__ = ("name", "type", "semantic_type", "nullable", "native_type", "identity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_TYPE_FIELD_NUMBER: _ClassVar[int]
    NULLABLE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_TYPE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    semantic_type: SemanticType
    nullable: bool
    native_type: str
    identity: bool
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., semantic_type: _Optional[_Union[SemanticType, str]] = ..., nullable: bool = ..., native_type: _Optional[str] = ..., identity: bool = ...) -> None: ...

class UniqueKey(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, columns: _Optional[_Iterable[str]] = ...) -> None: ...

class Table(_message.Message):
    __slots__ = ("name", "columns", "primary_key", "unique_keys", "checks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_KEYS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    primary_key: _containers.RepeatedScalarFieldContainer[str]
    unique_keys: _containers.RepeatedCompositeFieldContainer[UniqueKey]
    checks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., primary_key: _Optional[_Iterable[str]] = ..., unique_keys: _Optional[_Iterable[_Union[UniqueKey, _Mapping]]] = ..., checks: _Optional[_Iterable[str]] = ...) -> None: ...

class ForeignKey(_message.Message):
    __slots__ = ("child_table", "child_columns", "parent_table", "parent_columns")
    CHILD_TABLE_FIELD_NUMBER: _ClassVar[int]
    CHILD_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PARENT_TABLE_FIELD_NUMBER: _ClassVar[int]
    PARENT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    child_table: str
    child_columns: _containers.RepeatedScalarFieldContainer[str]
    parent_table: str
    parent_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, child_table: _Optional[str] = ..., child_columns: _Optional[_Iterable[str]] = ..., parent_table: _Optional[str] = ..., parent_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class Schema(_message.Message):
    __slots__ = ("tables", "foreign_keys", "dialect")
    TABLES_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_KEYS_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[Table]
    foreign_keys: _containers.RepeatedCompositeFieldContainer[ForeignKey]
    dialect: str
    def __init__(self, tables: _Optional[_Iterable[_Union[Table, _Mapping]]] = ..., foreign_keys: _Optional[_Iterable[_Union[ForeignKey, _Mapping]]] = ..., dialect: _Optional[str] = ...) -> None: ...
