"""How far a named load is, kept in the target itself and committed together with its rows."""

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syntheflow_server.export.databases.loader import Loader

TABLE = "syntheflow_loads"
"""Table in the target; it is dropped again with the end of the last load in it."""
_ROWS, _STATEMENT, _CUT, _MAKING = "rows", "statement", "cut", "making"


class Progress:
    """Rows by table, and statements that wait for the end, of one load."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def found(self) -> bool:
        """Say whether an earlier run of this load began."""
        return self._loader.has_table(TABLE) and bool(self._kinds())

    def ready(self) -> bool:
        """Say whether an earlier run of this load had made all tables."""
        return self.found() and _MAKING not in self._kinds()

    def announce(self) -> None:
        """Keep that tables are about to be made, for databases that commit each of them."""
        self._make()
        self._put(_MAKING, "", 0, "")

    def rows(self) -> dict[str, int]:
        """Return how many rows of each table are there."""
        found = self._loader.rows(
            f"SELECT item, at_row FROM {self._table} WHERE {self._mine} AND kind = '{_ROWS}'"
        )
        return {str(item): int(str(count)) for item, count in found}

    def statements(self) -> list[str]:
        """Return the statements that wait for the end, in order."""
        found = self._loader.rows(
            f"SELECT statement FROM {self._table} "
            f"WHERE {self._mine} AND kind = '{_STATEMENT}' ORDER BY at_row"
        )
        return [str(statement) for (statement,) in found]

    def start(self, statements: list[str]) -> None:
        """Begin to keep progress; `statements` are to be run at the end."""
        self._make()
        for table in self._loader.target.tables:
            self._put(_ROWS, table, 0, "")
        for at, statement in enumerate(statements):
            self._put(_STATEMENT, "", at, statement)
        # In the same transaction as the rows above.
        self._loader.run(f"DELETE FROM {self._table} WHERE {self._mine} AND kind = '{_MAKING}'")

    def _make(self) -> None:
        loader = self._loader
        if not loader.has_table(TABLE):
            name, text = loader.text_type
            loader.run(
                f"CREATE TABLE {self._table} (load_name {name} NOT NULL, kind {name} NOT NULL, "
                f"item {text}, at_row numeric(19), statement {text})"
            )

    def _kinds(self) -> set[str]:
        found = self._loader.rows(f"SELECT DISTINCT kind FROM {self._table} WHERE {self._mine}")
        return {str(kind) for (kind,) in found}

    def note(self, table: str, count: int) -> None:
        """Keep that `count` rows of the table are there."""
        item = self._loader.literal(table)
        self._loader.run(
            f"UPDATE {self._table} SET at_row = {count} "
            f"WHERE {self._mine} AND kind = '{_ROWS}' AND item = {item}"
        )

    def cut(self) -> dict[tuple[str, str], int]:
        """Return how many texts were cut, by table and column."""
        found = self._loader.rows(
            f"SELECT item, statement, at_row FROM {self._table} "
            f"WHERE {self._mine} AND kind = '{_CUT}'"
        )
        return {(str(item), str(column)): int(str(count)) for item, column, count in found}

    def note_cut(self, table: str, column: str, count: int) -> None:
        """Keep that `count` texts of the column were cut."""
        item, name = self._loader.literal(table), self._loader.literal(column)
        self._loader.run(
            f"DELETE FROM {self._table} WHERE {self._mine} AND kind = '{_CUT}' "
            f"AND item = {item} AND statement = {name}"
        )
        self._put(_CUT, table, count, column)

    def end(self) -> None:
        """Forget the load, and drop the table if it was the last."""
        self._loader.run(f"DELETE FROM {self._table} WHERE {self._mine}")
        if not self._loader.rows(f"SELECT 1 FROM {self._table}"):
            self._loader.run(f"DROP TABLE {self._table}")

    @property
    def _table(self) -> str:
        return self._loader.name_of(TABLE)

    @property
    def _mine(self) -> str:
        return f"load_name = {self._loader.literal(self._loader.load)}"

    def _put(self, kind: str, item: str, at_row: int, statement: str) -> None:
        literal = self._loader.literal
        self._loader.run(
            f"INSERT INTO {self._table} VALUES ({literal(self._loader.load)}, {literal(kind)}, "
            f"{literal(item)}, {at_row}, {literal(statement)})"
        )
