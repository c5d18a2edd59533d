from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnBadRow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_BAD_ROW_UNSPECIFIED: _ClassVar[OnBadRow]
    ON_BAD_ROW_FAIL: _ClassVar[OnBadRow]
    ON_BAD_ROW_SKIP: _ClassVar[OnBadRow]
    ON_BAD_ROW_REPORT: _ClassVar[OnBadRow]
ON_BAD_ROW_UNSPECIFIED: OnBadRow
ON_BAD_ROW_FAIL: OnBadRow
ON_BAD_ROW_SKIP: OnBadRow
ON_BAD_ROW_REPORT: OnBadRow

class TextList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadOptions(_message.Message):
    __slots__ = ("encoding", "separator", "quote", "escape", "comment", "header", "skip_rows", "decimal", "thousands", "date_order", "null_values", "sheets", "records", "tables", "on_bad_row", "header_rows", "types")
    class TypesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    ESCAPE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SKIP_ROWS_FIELD_NUMBER: _ClassVar[int]
    DECIMAL_FIELD_NUMBER: _ClassVar[int]
    THOUSANDS_FIELD_NUMBER: _ClassVar[int]
    DATE_ORDER_FIELD_NUMBER: _ClassVar[int]
    NULL_VALUES_FIELD_NUMBER: _ClassVar[int]
    SHEETS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    ON_BAD_ROW_FIELD_NUMBER: _ClassVar[int]
    HEADER_ROWS_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    encoding: str
    separator: str
    quote: str
    escape: str
    comment: str
    header: int
    skip_rows: int
    decimal: str
    thousands: str
    date_order: str
    null_values: TextList
    sheets: TextList
    records: str
    tables: TextList
    on_bad_row: OnBadRow
    header_rows: int
    types: _containers.ScalarMap[str, str]
    def __init__(self, encoding: _Optional[str] = ..., separator: _Optional[str] = ..., quote: _Optional[str] = ..., escape: _Optional[str] = ..., comment: _Optional[str] = ..., header: _Optional[int] = ..., skip_rows: _Optional[int] = ..., decimal: _Optional[str] = ..., thousands: _Optional[str] = ..., date_order: _Optional[str] = ..., null_values: _Optional[_Union[TextList, _Mapping]] = ..., sheets: _Optional[_Union[TextList, _Mapping]] = ..., records: _Optional[str] = ..., tables: _Optional[_Union[TextList, _Mapping]] = ..., on_bad_row: _Optional[_Union[OnBadRow, str]] = ..., header_rows: _Optional[int] = ..., types: _Optional[_Mapping[str, str]] = ...) -> None: ...
