"""Types of columns in each database.

A native type is kept where the column came from the same kind of database, is one that
databases have by themselves (no type of the user's own), and holds what is stored.
Everything else follows from the stored type. What a database has no type for (durations
in most, times of day in Oracle, decimals with too many digits) is text, exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.domain.writing import Dialect

_P, _M, _L, _S, _O, _D = (
    Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE,
    Dialect.MSSQL, Dialect.ORACLE, Dialect.DUCKDB,
)  # fmt: skip

_MAPPED: dict[str, dict[Dialect, str]] = {
    "int": {_P: "bigint", _M: "BIGINT", _L: "INTEGER", _S: "BIGINT", _O: "NUMBER(19)",
            _D: "BIGINT"},
    "float": {_P: "double precision", _M: "DOUBLE", _L: "REAL", _S: "FLOAT(53)",
              _O: "BINARY_DOUBLE", _D: "DOUBLE"},
    "bool": {_P: "boolean", _M: "BOOLEAN", _L: "BOOLEAN", _S: "BIT", _O: "NUMBER(1)",
             _D: "BOOLEAN"},
    "date": {_P: "date", _M: "DATE", _L: "DATE", _S: "DATE", _O: "DATE", _D: "DATE"},
    "time": {_P: "time", _M: "TIME(6)", _L: "TIME", _S: "TIME(6)", _O: "VARCHAR2(15)",
             _D: "TIME"},
    "moment": {_P: "timestamp", _M: "DATETIME(6)", _L: "DATETIME", _S: "DATETIME2(6)",
               _O: "TIMESTAMP(6)", _D: "TIMESTAMP"},
    # MySQL's TIMESTAMP ends in 2038 (and begins in 1970); moments stand there in UTC.
    "zoned": {_P: "timestamptz", _M: "DATETIME(6)", _L: "TIMESTAMPTZ",
              _S: "DATETIMEOFFSET(6)", _O: "TIMESTAMP(6) WITH TIME ZONE", _D: "TIMESTAMPTZ"},
    "duration": {_P: "interval", _M: "VARCHAR(32)", _L: "TEXT", _S: "NVARCHAR(32)",
                 _O: "VARCHAR2(32)", _D: "INTERVAL"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Texts:
    """Words for text: of any length, of at most N characters, and the largest such N."""

    unbounded: str
    bounded: str
    longest: int


_TEXTS = {
    _P: _Texts("text", "varchar({})", 10_485_760),
    _M: _Texts("LONGTEXT", "VARCHAR({})", 1000),
    _L: _Texts("TEXT", "VARCHAR({})", 1_000_000_000),
    _S: _Texts("NVARCHAR(MAX)", "NVARCHAR({})", 4000),
    _O: _Texts("CLOB", "VARCHAR2({} CHAR)", 1000),
    _D: _Texts("VARCHAR", "VARCHAR({})", 1_000_000_000),
}
_DIGITS = {_P: (1000, 1000), _M: (65, 30), _L: (15, 15), _S: (38, 38), _O: (38, 38), _D: (38, 38)}
"""Largest precision and scale of decimals; SQLite keeps more digits only as text."""

_CHARACTERS = (
    r"(?:n?(?:var)?char2?|character(?: varying)?|bpchar|national char(?:acter)?(?: varying)?)"
)
_LENGTH = re.compile(_CHARACTERS + r" ?\( ?(\d+)(?: char| byte)? ?\)")
_ASIDE = re.compile(r"\s+(?:character set|charset|collate)\s+\S+", re.IGNORECASE)
_WORDED = re.compile(
    r"([a-z][a-z0-9_]*(?: [a-z]+)*) ?(?:\( ?(?:\d+|max)(?: (?:char|byte))? ?(?:, ?-?\d+ ?)?\))?"
    r"((?: [a-z]+)*)"
)
_CHOICES = re.compile(r"(enum|set) ?\(( ?'(?:[^'\\]|'')*' ?,?)+\)", re.IGNORECASE)

_ALWAYS_SHAPED = frozenset(
    ("uuid", "uniqueidentifier", "json", "jsonb", "xml", "inet", "cidr", "macaddr", "enum")
)
"""Types of which no text is ever made that is none of their values."""

_KEPT: dict[Dialect, dict[str, str]] = {
    _P: {
        "int": "smallint,int2,integer,int,int4,bigint,int8,numeric,decimal",
        "float": "real,float4,double precision,float8,float,numeric,decimal",
        "decimal": "numeric,decimal", "bool": "boolean,bool", "date": "date",
        "duration": "interval",
        "string": "text,varchar,character varying,char,character,bpchar",
        "shaped": "uuid,json,jsonb,xml,inet,cidr,macaddr,timetz,time with time zone",
        "time": "time,time without time zone",
        "moment": "timestamp,timestamp without time zone",
        "zoned": "timestamptz,timestamp with time zone",
    },
    _M: {
        "int": "tinyint,smallint,mediumint,int,integer,bigint,year,decimal,numeric,"
        "tinyint unsigned,smallint unsigned,mediumint unsigned,int unsigned,"
        "integer unsigned,bigint unsigned",
        "float": "float,double,real,double precision,decimal,numeric",
        "decimal": "decimal,numeric", "bool": "tinyint,boolean,bool,bit", "date": "date",
        "string": "char,varchar,tinytext,text,mediumtext,longtext",
        "shaped": "enum,set,json,uuid,inet4,inet6", "time": "time", "duration": "time",
        "moment": "datetime,timestamp", "zoned": "datetime,timestamp",
    },
    _L: {
        "int": "integer,int,tinyint,smallint,mediumint,bigint,int2,int8,unsigned big int",
        "float": "real,double,double precision,float,numeric", "decimal": "decimal,numeric",
        "bool": "boolean,bool", "date": "date", "time": "time",
        "string": "text,varchar,character,nchar,nvarchar,char,clob,varying character",
        "moment": "datetime,timestamp", "zoned": "timestamptz",
    },
    _S: {
        "int": "tinyint,smallint,int,bigint,decimal,numeric",
        "float": "float,real,decimal,numeric", "decimal": "decimal,numeric,money,smallmoney",
        "bool": "bit", "date": "date", "time": "time", "moment": "datetime2,datetime,smalldatetime",
        "zoned": "datetimeoffset", "string": "char,varchar,nchar,nvarchar,text,ntext",
        "shaped": "uniqueidentifier,xml",
    },
    _O: {
        "int": "number,integer,smallint", "float": "number,float,binary_float,binary_double",
        "decimal": "number,decimal,numeric", "bool": "number,boolean", "date": "date",
        "string": "char,varchar,varchar2,nchar,nvarchar2,clob,nclob",
        "moment": "timestamp,date",
        "zoned": "timestamp with time zone,timestamp with local time zone",
    },
    _D: {
        "int": "tinyint,smallint,integer,int,bigint,utinyint,usmallint,uinteger,ubigint,hugeint,"
        "decimal,numeric",
        "float": "float,real,double,decimal,numeric", "decimal": "decimal,numeric",
        "bool": "boolean,bool", "date": "date", "time": "time", "duration": "interval",
        "string": "varchar,text,char,string", "shaped": "uuid,json",
        "moment": "timestamp,datetime", "zoned": "timestamptz,timestamp with time zone",
    },
}  # fmt: skip
_KEPT_WORDS = {
    dialect: {kind: frozenset(words.split(","))
              for kind, words in kinds.items()}
    for dialect, kinds in _KEPT.items()
}  # fmt: skip
_NO_KEYS = {
    _M: frozenset({"tinytext", "text", "mediumtext", "longtext", "json"}),
    _S: frozenset({"text", "ntext", "xml"}),
    _O: frozenset({"clob", "nclob"}),
}
"""Native types that no key of the database can have."""


def kind_of(kind: pa.DataType) -> str:
    """Return the word of this module for a stored type."""
    tests = (
        ("int", pa.types.is_integer), ("float", pa.types.is_floating),
        ("bool", pa.types.is_boolean), ("string", pa.types.is_string),
        ("date", pa.types.is_date), ("time", pa.types.is_time),
        ("duration", pa.types.is_duration), ("decimal", pa.types.is_decimal),
    )  # fmt: skip
    for word, test in tests:
        if test(kind):
            return word
    return "moment" if kind.tz is None else "zoned"


def column_type(
    column: Column, dialect: Dialect, source_dialect: str = "", *, key_length: int = 0
) -> str:
    """Return the column's type in `dialect`; `source_dialect` is its schema's.

    `key_length` is the most characters that a text may have for it to stand in a key;
    0 if it stands in none or the database has no such limit.
    """
    if source_dialect == dialect and (native := _native(column, dialect, key_length)):
        return native
    kind = kind_of(column.arrow)
    if kind == "decimal":
        return _decimal(column.arrow, dialect)
    if kind == "string":
        return _text(declared_length(column), dialect, key_length)
    return _MAPPED[kind][dialect]


def declared_length(column: Column) -> int:
    """Return the most characters that the column's database gave it; 0 if it is not known."""
    match = _LENGTH.fullmatch(_plain(column.native_type).lower())
    return int(match[1]) if match else 0


def holds_digits(kind: pa.Decimal128Type, dialect: Dialect) -> bool:
    """Tell whether the database has a decimal type for these digits, else they are text."""
    precision, scale = _digits(kind)
    most, deepest = _DIGITS[dialect]
    return precision <= most and scale <= deepest


def _native(column: Column, dialect: Dialect, key_length: int) -> str:
    """Return the native type if it can be kept, else nothing."""
    text = _plain(column.native_type)
    if choices := _CHOICES.fullmatch(text):
        word = choices[1].lower()
    elif match := _WORDED.fullmatch(text.lower()):
        word = (match[1] + match[2]).strip()
    else:
        return ""
    kept = _KEPT_WORDS[dialect]
    kind = kind_of(column.arrow)
    known = word in kept.get(kind, frozenset())
    if kind == "string" and word in kept.get("shaped", frozenset()):
        # Texts of other shapes (a time with its zone) may be made up wrong where they are free.
        known = known or word in _ALWAYS_SHAPED or column.semantic_type is not SemanticType.TEXT
    length = declared_length(column)
    if key_length and (word in _NO_KEYS[dialect] or "max" in text.lower() or length > key_length):
        known = False
    return text if known else ""


def _plain(native: str) -> str:
    return " ".join(_ASIDE.sub("", native).split())


def _decimal(kind: pa.Decimal128Type, dialect: Dialect) -> str:
    precision, scale = _digits(kind)
    if holds_digits(kind, dialect):
        word = "NUMBER" if dialect is _O else "numeric" if dialect is _P else "DECIMAL"
        return f"{word}({precision}, {scale})"
    # The word begins as a decimal and, as it has TEXT in it, SQLite keeps all digits.
    return f"DECIMAL_TEXT({precision}, {scale})" if dialect is _L else _text(80, dialect, 0)


def _digits(kind: pa.Decimal128Type) -> tuple[int, int]:
    """Return precision and scale, the latter not below 0 and not above the former."""
    scale = max(kind.scale, 0)
    return max(kind.precision - min(kind.scale, 0), scale), scale


def _text(length: int, dialect: Dialect, key_length: int) -> str:
    words = _TEXTS[dialect]
    if key_length:
        length = min(length or key_length, key_length)
    if 0 < length <= words.longest:
        return words.bounded.format(length)
    return words.unbounded
