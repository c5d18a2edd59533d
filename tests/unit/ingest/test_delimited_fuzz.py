"""Any table in any dialect comes back, and no bytes break the reader."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest

_SLOW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
_SEPARATORS = [",", ";", "\t", "|", "|+|", "::", "\x1f", " ", "<separator>", "§"]
_ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "utf-32"]


@dataclass(frozen=True)
class Dialect:
    """How a test writes a table."""

    separator: str
    quote: str
    escape: str
    line_end: str
    encoding: str
    always: bool
    preface: int

    def options(self, columns: int) -> ReadOptions:
        """Return all of it as a user would say it, with every column as text."""
        return ReadOptions(
            encoding=self.encoding,
            separator=self.separator,
            quote=self.quote,
            escape=self.escape,
            header=self.preface + 1,
            header_rows=1,
            null_values=(),
            types={f"n{i}": "string" for i in range(columns)},
        )

    def write(self, rows: Sequence[Sequence[str | None]]) -> bytes:
        """Return the file."""
        header = [f"n{i}" for i in range(len(rows[0]))]
        lines = ["About this file"] * self.preface
        lines += [self.separator.join(self._cell(cell) for cell in row) for row in [header, *rows]]
        return "".join(line + self.line_end for line in lines).encode(self.encoding)

    def _cell(self, text: str | None) -> str:
        if text is None:
            return ""
        special = [self.separator, self.quote, "\r", "\n"]
        plain = text and text.strip(" ") == text and not any(s in text for s in special)
        if plain and not self.always:
            return text
        if self.escape != self.quote:
            text = text.replace(self.escape, self.escape * 2)
        return self.quote + text.replace(self.quote, self.escape + self.quote) + self.quote


_DIALECTS = st.builds(
    Dialect,
    separator=st.sampled_from(_SEPARATORS),
    quote=st.sampled_from(['"', "'", "`"]),
    escape=st.just(""),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(_ENCODINGS),
    always=st.booleans(),
    preface=st.sampled_from([0, 0, 2]),
)
_LETTERS = st.characters(codec="latin-1", exclude_characters="\0\x85", exclude_categories=["Cc"])
_TEXTS = st.text(st.one_of(st.sampled_from(list(",;|\"'`\\\n\r :§0a")), _LETTERS), max_size=8)


@st.composite
def _tables(draw: st.DrawFn) -> list[list[str | None]]:
    columns = draw(st.integers(1, 5))
    row = st.lists(st.none() | _TEXTS, min_size=columns, max_size=columns)
    return draw(st.lists(row, min_size=1, max_size=8))


def _read(data: bytes, options: ReadOptions) -> tuple[IngestedTable, dict[str, list[object]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(data)
        out = Path(folder) / "out"
        out.mkdir()
        (made,) = ingest(path, file_name="t.csv", table="", format="csv", out=out, options=options)
        return made, pq.read_table(made.path).to_pydict()


@_SLOW
@given(_tables(), _DIALECTS, st.booleans())
def test_any_table_in_any_dialect_comes_back(
    rows: list[list[str | None]], dialect: Dialect, slashed: bool
) -> None:
    dialect = Dialect(
        dialect.separator, dialect.quote, "\\" if slashed else dialect.quote, dialect.line_end,
        "utf-8" if dialect.separator == "§" else dialect.encoding, dialect.always, dialect.preface,
    )  # fmt: skip
    try:
        data = dialect.write(rows)
    except UnicodeEncodeError:
        dialect = Dialect(**{**vars(dialect), "encoding": "utf-8"})
        data = dialect.write(rows)
    _, back = _read(data, dialect.options(len(rows[0])))
    expected = {f"n{i}": [row[i] for row in rows] for i in range(len(rows[0]))}
    assert back == expected


@_SLOW
@given(st.data())
def test_what_was_guessed_can_be_given_back(data: st.DataObject) -> None:
    separator = data.draw(st.sampled_from([",", ";", "\t", "|"]))
    comma = separator != "," and data.draw(st.booleans())
    days = data.draw(st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y-%m-%d"]))
    rows = data.draw(
        st.lists(
            st.tuples(
                st.integers(-(10**9), 10**9),
                st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
                st.dates(),
                st.sampled_from(["a", "NA", "x y", '"q"', ""]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    lines = ["key;value;day;word".replace(";", separator)]
    for key, value, day, word in rows:
        number = f"{value:.3f}".replace(".", "," if comma else ".")
        lines.append(
            separator.join([str(key), number, day.strftime(days), word.replace('"q"', "q")])
        )
    content = "\n".join(lines).encode()
    first, values = _read(content, ReadOptions())
    again, same = _read(content, ReadOptions.from_texts(first.read_as))
    assert same == values
    assert again.read_as == first.read_as


def _outcome(data: bytes, options: ReadOptions) -> IngestedTable | InvalidArgumentError:
    try:
        made, values = _read(data, options)
    except InvalidArgumentError as error:
        return error
    assert made.rows == len(next(iter(values.values())))
    return made


@_SLOW
@given(st.binary(max_size=300), st.sampled_from(list(OnBadRow)))
def test_no_bytes_break_the_reader(data: bytes, on_bad_row: OnBadRow) -> None:
    found = _outcome(data, ReadOptions(on_bad_row=on_bad_row))
    assert isinstance(found, IngestedTable) or found.violations


_ROWLIKE = st.lists(
    st.text(st.sampled_from(list('a1,,,""\n\n\r\'#\\ |;\t.')), max_size=12), max_size=10
).map("\n".join)


@_SLOW
@given(_ROWLIKE, st.sampled_from(list(OnBadRow)))
def test_no_text_like_a_table_breaks_the_reader(text: str, on_bad_row: OnBadRow) -> None:
    found = _outcome(text.encode(), ReadOptions(on_bad_row=on_bad_row))
    if isinstance(found, IngestedTable):
        again, _ = _read(text.encode(), ReadOptions.from_texts(found.read_as))
        assert (again.rows, again.rejected) == (found.rows, found.rejected)
    else:
        assert found.violations
