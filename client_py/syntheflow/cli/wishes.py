"""What the options of `generate` mean for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from syntheflow.conditions import merged, parse, parse_shares
from syntheflow.errors import SyntheflowError
from syntheflow.values import Condition, Model

Scale = Annotated[
    float, typer.Option(min=0, help="Size of the whole relative to the real dataset.")
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TABLE=N|N",
        help="Rows of one table, instead of --scale; can be repeated. A plain N: the rows "
        "of the window that begins at --start-row of --table.",
        show_default=False,
    ),
]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="Only this table; can be repeated.", show_default=False),
]
StartRow = Annotated[
    int | None,
    typer.Option(min=0, help="First row of the window of --table.", show_default=False),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="What every row must keep; can be repeated: 'age>=30', 'sex=Female', "
        "'city in [A, B]', 'city != C', 'pay is missing', 'pay is not missing'. "
        "TABLE.COLUMN if the model has several tables.",
        show_default=False,
    ),
]
Share = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN:VALUE=SHARE,...",
        help="Shares of the rows for some values of a column, the others as they are: "
        "'income:>50K=0.5,<=50K=0.5'; can be repeated.",
        show_default=False,
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TABLE=]FILE",
        help="Complete these rows: the file's cells come out as they are, the other columns "
        "are made to fit. Any format that upload takes; its stem names the table. Can be "
        "repeated.",
        show_default=False,
    ),
]
FillMissing = Annotated[
    bool,
    typer.Option("--fill-missing", help="Make the missing cells of --given too; none is left."),
]
Temperature = Annotated[
    float,
    typer.Option(
        min=0, max=10, help="Below 1 rows keep to what is frequent, above 1 they stray from it."
    ),
]


@dataclass(frozen=True)
class Wish:
    """What to generate, as the options say, once they have been understood."""

    scale: float
    seed: int
    rows: dict[str, int] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    window: tuple[str, int, int] | None = None
    where: tuple[Condition, ...] = ()
    temperature: float = 1.0
    given: dict[str, Path] = field(default_factory=dict)
    fill_missing: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Client.generate`."""
        return {
            "scale": self.scale,
            "seed": self.seed,
            "rows": self.rows,
            "tables": () if self.window else self.tables,
            "window": self.window,
            "where": self.where,
            "temperature": self.temperature,
            "given": self.given,
            "fill_missing": self.fill_missing,
        }

    def table_names(self, model: Model) -> tuple[str, ...]:
        """Return the tables that will come."""
        if self.window is not None:
            return (self.window[0],)
        return self.tables or tuple(table.name for table in model.schema.tables)

    def expected_rows(self, model: Model) -> int:
        """Return about how many rows will come, for the progress bar; 0 if nobody knows."""
        if self.window is not None and self.window[2]:
            return self.window[2]
        if self.given:  # only the server reads the file
            return 0
        learned = {card.table: card.train_rows + card.holdout_rows for card in model.tables}
        return sum(
            self.rows.get(table, round(learned.get(table, 0) * self.scale))
            for table in self.table_names(model)
        )


def understood(
    model: Model,
    scale: float,
    rows: list[str],
    tables: list[str],
    start_row: int | None,
    seed: int,
) -> Wish:
    """Return what the options of size mean; typer.BadParameter if they make no sense."""
    known = [table.name for table in model.schema.tables]
    sizes, plain = _row_numbers(rows)
    for name in (*sizes, *tables):
        if name not in known:
            raise _no_table(model, name)
    if start_row is None and plain is None:
        return Wish(scale=scale, seed=seed, rows=sizes, tables=tuple(dict.fromkeys(tables)))
    if len(known) == 1 and not tables and start_row is None:
        return Wish(scale=scale, seed=seed, rows={known[0]: plain or 0})
    one = tables or known
    if len(one) != 1:
        raise typer.BadParameter(
            "A plain --rows N and --start-row need one --table; or give the rows as --rows TABLE=N"
        )
    if plain == 0:
        raise typer.BadParameter("--rows of a window must be at least 1")
    return Wish(scale=scale, seed=seed, rows=sizes, window=(one[0], start_row or 0, plain or 0))


def conditions(model: Model, where: Sequence[str], share: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of --where and --share; typer.BadParameter if one makes no sense."""
    try:
        return merged(
            [
                *(parse(text, model.schema) for text in where),
                *(parse_shares(text, model.schema) for text in share),
            ]
        )
    except SyntheflowError as error:
        raise typer.BadParameter(error.message) from error


def given_files(model: Model, given: Sequence[str]) -> dict[str, Path]:
    """Return the files of --given by table; typer.BadParameter if one is for no table."""
    known = [table.name for table in model.schema.tables]
    files: dict[str, Path] = {}
    for text in given:
        table, mark, name = text.partition("=")
        named = bool(mark) and (table in known or not Path(text).exists())
        path = Path(name if named else text)
        if not named:
            # The stem of a file for a model of one table may be anything.
            table = known[0] if len(known) == 1 else path.name.partition(".")[0]
        if table not in known:
            raise _no_table(model, table)
        if not path.is_file():
            raise typer.BadParameter(f"--given: {path} is not a file; check the path")
        if table in files:
            raise typer.BadParameter(f"--given: table {table!r} has two files")
        files[table] = path
    return files


def _no_table(model: Model, name: str) -> typer.BadParameter:
    known = ", ".join(table.name for table in model.schema.tables)
    return typer.BadParameter(f"{model.name} has no table {name!r}; it has {known}")


def _row_numbers(rows: list[str]) -> tuple[dict[str, int], int | None]:
    """Return the TABLE=N of --rows, and its plain N."""
    sizes: dict[str, int] = {}
    plain: int | None = None
    for text in rows:
        name, mark, number = text.rpartition("=")
        if not number.isdecimal():
            raise typer.BadParameter(f"--rows takes TABLE=N or N, not {text!r}")
        if mark:
            sizes[name] = int(number)
        elif plain is not None:
            raise typer.BadParameter("--rows takes only one plain number")
        else:
            plain = int(number)
    return sizes, plain
