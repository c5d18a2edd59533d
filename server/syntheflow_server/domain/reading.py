"""How a file, a workbook or a database is read: what is said here is not guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class OnBadRow(StrEnum):
    """What happens to rows that cannot be read."""

    FAIL = "fail"
    """The first one refuses the whole file, naming row, column and rule."""
    SKIP = "skip"
    """They are left out and counted by rule."""
    REPORT = "report"
    """As `skip`, and the finding lists rows and columns of the first hundred; no values."""


class DateOrder(StrEnum):
    """Order of day, month and year in dates written with digits."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"
    YEAR_FIRST = "ymd"


_STRUCTURED = {"null_values", "types", "sheets", "tables"}


class ReadOptions(BaseModel):
    """Overrides of what readers guess; None means guess, readers ignore what is not theirs.

    `separator`, `quote` ("" for none), `escape`, `comment` (start of lines that are no
    rows), `decimal` and `thousands` are texts as they stand in the file. `header` is the
    number of the line, counted from 1, that holds the names; 0 if there is none. The
    names may take `header_rows` records: a second one names the parts of those above.
    `skip_rows` lines of the file's beginning are left out. `null_values` are the texts
    that mean no value, besides the empty one. `types` are the stored types of columns
    ("int64", "date32"); a value that does not fit makes a bad row. `sheets` are the
    sheets of a workbook to take, `records` the path to the records in a nested document
    (`data.items`, `/feed/entry`), `tables` patterns (`sales_*`) of the tables to take out
    of a file that holds many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoding: str | None = None
    separator: str | None = Field(None, min_length=1, max_length=16)
    quote: str | None = Field(None, max_length=1)
    escape: str | None = Field(None, max_length=1)
    comment: str | None = Field(None, min_length=1, max_length=16)
    header: int | None = Field(None, ge=0, le=1_000_000)
    header_rows: int | None = Field(None, ge=1, le=8)
    skip_rows: int | None = Field(None, ge=0, le=1_000_000)
    decimal: str | None = Field(None, min_length=1, max_length=1)
    thousands: str | None = Field(None, max_length=1)
    date_order: DateOrder | None = None
    null_values: tuple[str, ...] | None = None
    types: dict[str, str] | None = None
    sheets: tuple[str, ...] | None = None
    records: str | None = None
    tables: tuple[str, ...] | None = None
    on_bad_row: OnBadRow = OnBadRow.FAIL

    def said(self) -> dict[str, object]:
        """Return what is set, by name."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)

    def texts(self) -> dict[str, str]:
        """Return what is set as texts by name, as `from_texts` takes them."""
        return {
            k: json.dumps(v, ensure_ascii=False) if k in _STRUCTURED else str(v)
            for k, v in self.said().items()
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Return the options that `texts` say by name, as `read_as` of a table does.

        Lists and mappings are JSON. Raises pydantic.ValidationError for what cannot be said.
        """
        values = {k: json.loads(v) if k in _STRUCTURED else v for k, v in texts.items()}
        return cls.model_validate(values)


class Wanted(BaseModel):
    """What is taken from a database, or from the files of a folder.

    `tables` and `exclude` are patterns (`sales_*`); one of `exclude` with a dot
    (`users.password`, `*.ssn`) leaves out columns. `namespace` is the database's schema,
    empty for the connection's own. `sample_rows` is about how many rows of the whole are
    taken, by root entities with all that belongs to them; None takes all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    namespace: str = ""
    sample_rows: int | None = Field(None, ge=1)
