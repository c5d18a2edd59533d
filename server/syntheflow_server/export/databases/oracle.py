"""Oracle: arrays of rows by executemany.

No server was at hand to run this against: the tests check the statements alone. Oracle
ends a transaction whenever a table is made or altered: references are compared before they
are enabled again, and after a failure the tables of mode create are dropped; but what mode
replace has dropped is gone.
"""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from datetime import datetime, time
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.bulk import BulkLoader
from syntheflow_server.export.databases.references import (
    Reference,
    gathered,
    joined_columns,
    orphans,
)
from syntheflow_server.export.databases.slots import Slot
from syntheflow_server.export.value_text import plain_text

_ROWS = 16_384
_TEXTS = frozenset({"CHAR", "VARCHAR2", "NCHAR", "NVARCHAR2"})


class OracleLoader(BulkLoader):
    """Loads by executemany; references are disabled, then enabled and validated."""

    dialect: ClassVar[Dialect] = Dialect.ORACLE
    text_type: ClassVar[tuple[str, str]] = ("varchar2(250)", "varchar2(4000)")

    @property
    def _owner(self) -> str:
        if self.namespace:
            return self.literal(self.namespace)
        return "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')"

    def _create(self) -> None:
        for name in self.target.tables:
            self.undo.append(f"DROP TABLE {self.name_of(name)} CASCADE CONSTRAINTS")
        super()._create()

    def _existing(self) -> set[str]:
        found = self.rows(f"SELECT table_name FROM all_tables WHERE owner = {self._owner}")
        return {str(name) for (name,) in found}

    def _slots(self, table: str) -> list[Slot]:
        found = self.rows(
            "SELECT column_name, data_type, nullable, identity_column, default_length, "
            f"virtual_column, char_length FROM all_tab_cols WHERE owner = {self._owner} AND "
            f"hidden_column = 'NO' AND table_name = {self.literal(self.label(table))} "
            "ORDER BY column_id"
        )
        return [oracle_slot(row) for row in found]

    def _drop_statements(self, tables: list[str]) -> list[str]:
        return [f"DROP TABLE {self.name_of(name)} CASCADE CONSTRAINTS" for name in tables]

    def _switches(self) -> list[tuple[str, str]]:
        switches = []
        for reference in self._references():
            alter = f"ALTER TABLE {self.name_of(reference.child)}"
            name = self.quoted(reference.name)
            on = f"{alter} ENABLE VALIDATE CONSTRAINT {name}"
            switches.append((f"{alter} DISABLE CONSTRAINT {name}", on))
            # Whatever happens, references are on again in the end.
            self.undo.append(on)
        return switches

    def _references(self) -> list[Reference]:
        """Return the references of and to the tables, from within the same namespace."""
        found = self.rows(
            "SELECT c.constraint_name, c.table_name, p.table_name, NULL, k.column_name, "
            "r.column_name FROM all_constraints c JOIN all_cons_columns k ON k.owner = c.owner "
            "AND k.constraint_name = c.constraint_name JOIN all_constraints p "
            "ON p.owner = c.r_owner AND p.constraint_name = c.r_constraint_name "
            "JOIN all_cons_columns r ON r.owner = p.owner AND r.constraint_name = "
            "p.constraint_name AND r.position = k.position WHERE c.constraint_type = 'R' "
            f"AND c.owner = {self._owner} AND p.owner = c.owner "
            "ORDER BY c.table_name, c.constraint_name, k.position"
        )
        ours = {self.label(name) for name in self.target.tables}
        return [r for r in gathered(found) if not ours.isdisjoint({r.child, r.parent})]

    def _check_before(self) -> None:
        """Compare references while the rows can still be taken back: ALTER commits them."""
        for reference in self._references():
            if self.rows(orphans(self, reference, "FETCH FIRST 1 ROWS ONLY")):
                table = self.table_called(reference.child)
                raise faults.broken(table, reference.name, "REFERENCE_BROKEN")

    def _set_counters(self) -> None:
        found = self.rows(
            "SELECT table_name, column_name, generation_type FROM all_tab_identity_cols "
            f"WHERE owner = {self._owner}"
        )
        ours = {self.label(name) for name in self.target.tables}
        for table, column, kind in found:
            if str(table) in ours:
                self.run(
                    f"ALTER TABLE {self.name_of(str(table))} MODIFY ({self.quoted(str(column))} "
                    f"GENERATED {kind} AS IDENTITY (START WITH LIMIT VALUE))"
                )

    def _send_rows(self, table: str, rows: pa.Table) -> None:
        slots = self.slots[table]
        statement = oracle_insert(self.name_of(table), slots)
        chosen = rows.select([slot.source for slot in slots])
        for batch in chosen.to_batches(_ROWS):
            self._cursor.executemany(statement, oracle_rows(batch))

    def _unique(self, table: str) -> list[set[str]]:
        found = self.rows(
            "SELECT i.index_name, c.column_name FROM all_indexes i JOIN all_ind_columns c "
            "ON c.index_owner = i.owner AND c.index_name = i.index_name "
            f"WHERE i.uniqueness = 'UNIQUE' AND i.table_owner = {self._owner} "
            f"AND i.table_name = {self.literal(self.label(table))}"
        )
        keys: dict[object, set[str]] = {}
        for index, column in found:
            keys.setdefault(index, set()).add(str(column))
        return list(keys.values())

    def _referring(self, table: str) -> set[str]:
        return joined_columns(self._references(), self.label(table))


def oracle_slot(row: tuple[object, ...]) -> Slot:
    """Return the slot that a row of the catalogue tells of."""
    name, kind, nullable, identity, default, virtual, length = row
    longest = int(str(length)) if str(kind) in _TEXTS and length else None
    return Slot(
        str(name), str(kind), str(kind), nullable=nullable == "Y",
        filled=identity == "YES" or bool(default), computed=virtual == "YES", longest=longest,
    )  # fmt: skip


def oracle_insert(table: str, slots: list[Slot]) -> str:
    """Return the statement for `executemany`."""
    columns = ", ".join('"' + slot.name + '"' for slot in slots)
    marks = ", ".join(f":{at}" for at in range(1, len(slots) + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def oracle_rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """Return rows as the driver takes them: no times of day, durations or truths."""
    columns = []
    for values in batch.columns:
        kind = values.type
        if pa.types.is_boolean(kind):
            columns.append(pc.cast(values, pa.int8()).to_pylist())
        elif pa.types.is_time(kind) or pa.types.is_duration(kind):
            columns.append(plain_text(values).to_pylist())
        elif pa.types.is_date(kind):
            midnight = time()
            days = values.to_pylist()
            columns.append([day and datetime.combine(day, midnight) for day in days])
        else:
            columns.append(values.to_pylist())
    return list(zip(*columns, strict=True))
