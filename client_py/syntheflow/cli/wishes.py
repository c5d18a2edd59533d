"""What the options of `generate` mean for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from syntheflow.client import Client
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
        "TABLE.COLUMN if the model has several tables; 'customers.count(orders)>=3' is on the "
        "number of a customer's orders.",
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
        "and the rows that belong to them are made to fit. Any format that upload takes; its "
        "stem names the table. TABLE=datasets/ID for rows that the server has. Can be repeated.",
        show_default=False,
    ),
]
Existing = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TABLE=]FILE",
        help="Rows that are there already: they do not come out again, new rows may refer to "
        "them, new keys never meet theirs. In the form of --given; can be repeated.",
        show_default=False,
    ),
]
ExistingDataset = Annotated[
    str | None,
    typer.Option(
        metavar="DATASET",
        help="As --existing, with all tables of this dataset that the model makes rows of.",
        show_default=False,
    ),
]
Orphans = Annotated[
    bool,
    typer.Option(
        "--orphans",
        help="Let as many rows refer to rows that do not exist as in the real tables; needs a "
        "model trained with --orphans.",
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
    given: dict[str, Path | str] = field(default_factory=dict)
    fill_missing: bool = False
    existing: dict[str, Path | str] = field(default_factory=dict)
    orphans: bool = False

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
            "existing": self.existing,
            "orphans": self.orphans,
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


def given_files(
    model: Model, given: Sequence[str], option: str = "--given"
) -> dict[str, Path | str]:
    """Return the files, or names of datasets, of --given or --existing by table.

    typer.BadParameter if one is for no table, is no file, or holds nothing.
    """
    known = [table.name for table in model.schema.tables]
    files: dict[str, Path | str] = {}
    for text in given:
        table, mark, name = text.partition("=")
        named = bool(mark) and (table in known or not Path(text).exists())
        path = Path(name if named else text)
        if not named:
            # The stem of a file for a model of one table may be anything.
            table = known[0] if len(known) == 1 else path.name.partition(".")[0]
        if table not in known:
            raise _no_table(model, table)
        if table in files:
            raise typer.BadParameter(f"{option}: table {table!r} has two files")
        if named and name.startswith("datasets/"):
            files[table] = name
            continue
        if not path.is_file():
            raise typer.BadParameter(f"{option}: {path} is not a file; check the path")
        if not path.stat().st_size:
            raise typer.BadParameter(f"{option}: {path} is empty; give a file with rows")
        files[table] = path
    return files


def existing_rows(
    client: Client, model: Model, files: Sequence[str], dataset: str | None
) -> dict[str, Path | str]:
    """Return the rows of --existing and --existing-dataset by table.

    typer.BadParameter if one makes no sense.
    """
    rows = given_files(model, files, "--existing")
    if dataset is None:
        return rows
    found = client.get_dataset(dataset)
    # Rows of kept tables come out as they are: the model knows them already.
    known = {table.name for table in model.schema.tables} - set(model.kept_tables)
    shared = [table.name for table in found.tables if table.name in known]
    if not shared:
        names = ", ".join(table.name for table in found.tables)
        raise typer.BadParameter(
            f"--existing-dataset: {found.name} has no table of {model.name}; it has {names}"
        )
    # A file says more than the dataset: it may be what came later.
    return {**dict.fromkeys(shared, found.name), **rows}


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
