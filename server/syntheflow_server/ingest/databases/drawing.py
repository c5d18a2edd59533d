"""Which rows of a large database are a small one: a condition for each table, told in SQL.

Entities are drawn by a hash of their keys, and whatever a drawn entity owns comes with it:
the database itself walks from owner to owned, so nothing but the sample travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases.read import Planned
from syntheflow_server.ingest.databases.source import HASH_SPACE, Source

_SMALL_ROWS = 1_000


class Drawing:
    """Conditions for a share of the rows; `counts` are rows by table."""

    def __init__(
        self,
        source: Source,
        tables: Mapping[str, Planned],
        references: Sequence[ForeignKey],
        counts: Mapping[str, int],
        wanted_rows: int,
    ) -> None:
        self._source = source
        self._tables = tables
        self._references = references
        self._counts = counts
        self.share = min(1.0, wanted_rows / max(1, sum(counts.values())))
        # Lists of countries and the like are taken whole: they cost little and all refer there.
        self._small = min(_SMALL_ROWS, wanted_rows // 10)
        self._known: dict[str, str] = {}
        self._walking: list[str] = []

    def condition(self, name: str) -> str:
        """Return which rows of a table are drawn; empty: all."""
        if name not in self._known:
            self._walking.append(name)
            self._known[name] = self._through_owner(name) or self._by_hash(name)
            self._walking.pop()
        return self._known[name]

    def _through_owner(self, name: str) -> str:
        """Return the condition by the largest parent that is itself drawn."""
        links = [key for key in self._references if key.child_table == name]
        for link in sorted(links, key=lambda key: -self._counts[key.parent_table]):
            if link.parent_table in self._walking:
                continue
            if len(link.child_columns) > 1 and self._source.dialect is Dialect.MSSQL:
                continue  # it knows no IN of several columns
            if condition := self.condition(link.parent_table):
                return self._owned(name, link, condition)
        return ""

    def _owned(self, name: str, link: ForeignKey, condition: str) -> str:
        quote = self._source.quote
        child = ", ".join(map(quote, link.child_columns))
        parent = ", ".join(map(quote, link.parent_columns))
        place = self._source.from_table(self._tables[link.parent_table].table)
        left = f"({child})" if len(link.child_columns) > 1 else child
        drawn = f"{left} IN (SELECT {parent} FROM {place} WHERE {condition})"
        nullable = {c.name for c in self._tables[name].table.columns if c.nullable}
        orphans = [quote(c) for c in link.child_columns if c in nullable]
        if not orphans:
            return drawn
        unowned = " OR ".join(f"{column} IS NULL" for column in orphans)
        return f"({drawn} OR (({unowned}) AND {self._hashed(name)}))"

    def _by_hash(self, name: str) -> str:
        if self._counts[name] <= self._small or self.share >= 1:
            return ""
        return self._hashed(name)

    def _hashed(self, name: str) -> str:
        table = self._tables[name].table
        columns = table.primary_key or table.column_names
        return f"{self._source.hash(columns)} < {round(self.share * HASH_SPACE)}"
