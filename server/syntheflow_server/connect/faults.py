"""What drivers' errors mean, in words of the domain: never a value, a statement or a password.

Drivers quote rows in their messages ("Key (email)=(...) already exists"), so no message is
passed on: only the database's own code, and the names of table, column and constraint.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy.exc

from syntheflow_server.connect.places import Place
from syntheflow_server.domain.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    SyntheflowError,
)

_DRIVERS = ("adbc_driver_manager", "pg8000", "pymysql", "duckdb", "pymssql", "oracledb")

_MEANINGS: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        "login": ("LOGIN_REFUSED", "the database refused user or password; check both"),
        "database": ("DATABASE_MISSING", "there is no database of that name; check the URL"),
        "permission": (
            "PERMISSION_MISSING",
            "the database's user lacks a right that this needs; grant it or leave the table out",
        ),
        "reach": (
            "DATABASE_UNREACHABLE",
            "the server does not answer or closed the connection; check host, port, network, TLS",
        ),
        "unique": ("UNIQUE_BROKEN", "a row has a key that another row has already"),
        "reference": ("REFERENCE_BROKEN", "a row refers to a row that is not there"),
        "check": ("CHECK_BROKEN", "a row breaks a CHECK constraint"),
        "null": ("NULL_REFUSED", "a row lacks a value that the column must have"),
        "value": ("VALUE_REFUSED", "a value does not fit its column's type or length"),
        "exists": ("TABLE_EXISTS", "a table or a type of that name is there already"),
        "missing": ("TABLE_MISSING", "a table, column or type that is named is not there"),
        "damaged": (
            "DATABASE_DAMAGED",
            "the file is damaged or is no database of this kind; write it again",
        ),
        "busy": ("DATABASE_BUSY", "others hold locks there; run it again later"),
        "full": ("DATABASE_FULL", "the database has no room, memory or connection left"),
        "": ("DATABASE_ERROR", "the database refused it; its log has the words"),
    }
)
_STATES = MappingProxyType(
    {
        "28000": "login",
        "28P01": "login",
        "3D000": "database",
        "42501": "permission",
        "23505": "unique",
        "23503": "reference",
        "23514": "check",
        "23502": "null",
        "42P07": "exists",
        "42710": "exists",
        "42P06": "exists",
        "42P01": "missing",
        "42703": "missing",
        "42704": "missing",
        "3F000": "missing",
        "57P01": "reach",
        "57P02": "reach",
        "57P03": "reach",
    }
)
_CLASSES = MappingProxyType(
    {"08": "reach", "22": "value", "40": "busy", "53": "full", "55": "busy"}
)
_MYSQL = MappingProxyType(
    {
        "login": {1045, 1698, 1251, 1130},
        "database": {1049},
        "permission": {1044, 1142, 1143, 1227, 1290, 1410},
        "reach": {1053, 1158, 1159, 1160, 1161, 2002, 2003, 2005, 2006, 2013, 2026, 2055},
        "unique": {1062, 1169},
        "reference": {1216, 1217, 1451, 1452},
        "check": {3819, 4025},
        "null": {1048, 1364},
        "value": {1264, 1265, 1292, 1366, 1406, 1411, 3140, 4078},
        "exists": {1050, 1007},
        "missing": {1051, 1054, 1146},
        "busy": {1205, 1213},
        "full": {1021, 1040, 1041, 1114, 1203},
    }
)
_ORACLE = MappingProxyType(
    {
        "login": {1017, 28000, 28001},
        "database": {12514, 12505},
        "permission": {1031, 1950},
        "reach": {3113, 3114, 3135, 12541, 12545, 12170, 6005, 6003, 6001, 4011},
        "unique": {1},
        "reference": {2291, 2292},
        "check": {2290},
        "null": {1400},
        "value": {1722, 1438, 12899, 1861, 1830},
        "exists": {955},
        "missing": {942, 904},
        "busy": {54, 60},
        "full": {1653, 1536},
    }
)
_MSSQL = MappingProxyType(
    {
        "login": {18456, 18452},
        "database": {4060},
        "permission": {229, 230, 262},
        "reach": {20002, 20003, 20004, 20006, 20009},
        "unique": {2627, 2601},
        "reference": {547},
        "null": {515},
        "value": {245, 2628, 8115, 8114, 8152},
        "exists": {2714},
        "missing": {208, 207},
        "busy": {1205, 1222},
        "full": {1105, 1101},
    }
)


# Errors of Oracle's driver itself, such as DPY-6005, have no number of the database.
_NUMBERED = re.compile(r"\d+$")


@dataclass(frozen=True, slots=True)
class _Fault:
    meaning: str
    code: str = ""
    table: str = ""
    column: str = ""
    constraint: str = ""


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the base errors of all drivers that have been imported."""
    found: list[type[Exception]] = [
        sqlite3.Error,
        sqlalchemy.exc.SQLAlchemyError,
        ConnectionError,
        TimeoutError,
    ]
    for name in _DRIVERS:
        module = sys.modules.get(f"{name}.dbapi") or sys.modules.get(name)
        if module is not None and isinstance(error := getattr(module, "Error", None), type):
            found.append(error)
    return tuple(found)


def database_error(
    error: BaseException, *, place: Place, doing: str = "", table: str = ""
) -> SyntheflowError:
    """Return the domain error for a driver's `error`: where, what it means, what to do.

    `doing` is a verb ("read", "connect"); the database's code stands in the message, its
    words do not.
    """
    fault = _fault(error)
    reason, meaning = _MEANINGS[fault.meaning]
    facts = {
        "table": table or fault.table,
        "column": fault.column,
        "constraint": fault.constraint,
        "code": fault.code,
    }
    named = [f"{word} {text!r}" for word, text in facts.items() if text and word != "code"]
    where = ", ".join([place.url, *named])
    tried = f"cannot {doing}: " if doing else ""
    code = f" (the database's code: {fault.code})" if fault.code else ""
    kind = InvalidArgumentError if fault.meaning == "damaged" else FailedPreconditionError
    return kind(
        f"{where}: {tried}{meaning}{code}",
        reason=reason,
        metadata={key: text for key, text in facts.items() if text},
    )


def _fault(error: BaseException) -> _Fault:
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    family = type(error).__module__.split(".", maxsplit=1)[0].lstrip("_")
    if family == "adbc_driver_manager":
        return _of_adbc(error)
    if family == "pg8000":
        return _of_pg8000(error)
    if family == "sqlite3":
        return _of_sqlite(error)
    if family == "duckdb":
        return _of_duckdb(error)
    by_number = {"pymysql": _MYSQL, "oracledb": _ORACLE, "pymssql": _MSSQL}.get(family)
    if by_number is not None:
        return _of_number(error, by_number)
    return _Fault("reach" if isinstance(error, OSError) else "")


def _of_state(state: str, table: str = "", column: str = "", constraint: str = "") -> _Fault:
    meaning = _STATES.get(state) or _CLASSES.get(state[:2], "")
    return _Fault(meaning, state, table, column, constraint)


def _of_adbc(error: BaseException) -> _Fault:
    details = {
        key.decode(errors="replace"): text.decode(errors="replace")
        for key, text in getattr(error, "details", None) or ()
    }
    state = getattr(error, "sqlstate", None) or details.get("PG_DIAG_SQLSTATE", "")
    if not state:
        # Before there is a connection there is no code: what is looked for are words of libpq.
        told = str(error)
        if re.search(r"password|authentication|role .* does not exist|pg_hba", told):
            return _Fault("login")
        if re.search(r'FATAL:  database "[^"]*" does not exist', told):
            return _Fault("database")
        return _Fault("reach" if "connect" in told or "connection" in told else "")
    return _of_state(
        state,
        details.get("PG_DIAG_TABLE_NAME", ""),
        details.get("PG_DIAG_COLUMN_NAME", ""),
        details.get("PG_DIAG_CONSTRAINT_NAME", ""),
    )


def _of_pg8000(error: BaseException) -> _Fault:
    told = error.args[0] if error.args else ""
    if not isinstance(told, dict):
        return _Fault("reach" if type(error).__name__ == "InterfaceError" else "")
    return _of_state(told.get("C", ""), told.get("t", ""), told.get("c", ""), told.get("n", ""))


def _of_number(error: BaseException, meanings: MappingProxyType[str, set[int]]) -> _Fault:
    first = error.args[0] if error.args else None
    if isinstance(first, tuple):
        first = first[0] if first else None
    number = getattr(first, "code", first)
    if not number and (match := _NUMBERED.search(getattr(first, "full_code", ""))):
        number = int(match[0])
    if not isinstance(number, int):
        return _Fault("")
    for meaning, numbers in meanings.items():
        if number in numbers:
            return _Fault(meaning, str(number))
    return _Fault("", str(number))


def _of_sqlite(error: BaseException) -> _Fault:
    name = getattr(error, "sqlite_errorname", "") or ""
    meanings = {
        "SQLITE_CONSTRAINT_UNIQUE": "unique",
        "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
        "SQLITE_CONSTRAINT_FOREIGNKEY": "reference",
        "SQLITE_CONSTRAINT_CHECK": "check",
        "SQLITE_CONSTRAINT_NOTNULL": "null",
        "SQLITE_BUSY": "busy",
        "SQLITE_LOCKED": "busy",
        "SQLITE_FULL": "full",
        "SQLITE_READONLY": "permission",
        "SQLITE_PERM": "permission",
        "SQLITE_CANTOPEN": "reach",
        "SQLITE_NOTADB": "damaged",
        "SQLITE_TOOBIG": "value",
    }
    if name.startswith("SQLITE_CORRUPT"):
        return _Fault("damaged", name)
    return _Fault(meanings.get(name, ""), name)


def _of_duckdb(error: BaseException) -> _Fault:
    name = type(error).__name__
    told = str(error)
    meaning = {"CatalogException": "missing", "ConversionException": "value"}.get(name, "")
    if name == "ConstraintException":
        kinds = {"foreign key": "reference", "check": "check", "null": "null"}
        # Duplicates come first: their message quotes the key, which may hold any word.
        found = (kind for word, kind in kinds.items() if word in told.lower())
        meaning = "unique" if told.lower().find("duplicate key") >= 0 else next(found, "")
    if name == "IOException":
        meaning = "busy" if "lock on file" in told else "reach"
        if "not a valid DuckDB" in told or "corrupt" in told.lower():
            meaning = "damaged"
    if name in {"SerializationException", "InternalException", "FatalException"}:
        meaning = "damaged"
    return _Fault(meaning, name)
