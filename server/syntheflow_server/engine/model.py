"""A fitted model: per table its structure, layout, keys and networks; and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.resources import TableCard
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.engine.cvae import TableNetwork
from syntheflow_server.engine.graph.clusters import Codebook, Featurizer
from syntheflow_server.engine.graph.context import RelativesNetwork
from syntheflow_server.engine.graph.structure import Family, Structure
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.layout import Layout
from syntheflow_server.engine.readings import Readings
from syntheflow_server.engine.relations import Relation, tell_of_days
from syntheflow_server.engine.settings import FitSettings
from syntheflow_server.engine.support import Keeper, Support

_UNIT_ROWS = 16_384
_APART = 4
_GIANT = 16_384
_FAMILY_ROWS = 64_000
_FEWEST_ROOTS = 1024


@dataclass(frozen=True, eq=False)
class TableModel:
    """All that was learned of one table.

    `makers` make key columns from the row number, `owner_makers` from the owner's row
    number; `relations` compute columns from others, `support` says which tokens never come
    together. `network` is None for a table without
    tokens; `relatives` for one without owner. `history` gives the points whose mean tells
    of earlier siblings.
    """

    table: Table
    structure: Structure
    layout: Layout
    makers: tuple[KeyMaker, ...]
    owner_makers: tuple[KeyMaker, ...]
    network: TableNetwork | None
    relatives: RelativesNetwork | None
    history: Featurizer
    card: TableCard
    relations: tuple[Relation, ...] = ()
    support: Support = field(default_factory=Support)

    @cached_property
    def rules(self) -> Keeper:
        """What keeps codes apart that never meet."""
        return Keeper(self.support)

    @cached_property
    def made_by(self) -> dict[str, Relation]:
        """The relation that computes each column that is computed."""
        return {name: relation for relation in self.relations for name in relation.makes}

    @property
    def told_card(self) -> TableCard:
        """The card, which also says in words what holds in every row."""
        told = [relation.describe() for relation in self.relations]
        if self.structure.kept:
            told.append("all rows are kept as they are")
        if pairs := len(self.support.pairs):
            noun = "pair" if pairs == 1 else "pairs"
            told.append(f"values that never met are not put together, in {pairs} {noun} of columns")
        return self.card.model_copy(update={"relations": (*self.card.relations, *told)})

    def day_hints(self, name: str) -> tuple[Relation, ...]:
        """Return the relations whose tokens hint at the day that the column `name` holds."""
        return tell_of_days(self.relations, name)


@dataclass(frozen=True, eq=False)
class FittedModel:
    """What `fit` yields and `load` reads: immutable, deterministic given a seed.

    `kept` are all rows of the tables that stay as they are, `kept_codes` their tokens
    [rows, T], which also say how many rows of other tables depend on each. `readings` are
    columns of times that the tables hold as counts; the schema has them as they are written.
    """

    schema: Schema
    settings: FitSettings
    family: Family
    tables: Mapping[str, TableModel]
    codebooks: Mapping[str, Codebook]
    kept: Mapping[str, pa.Table] = field(default_factory=dict)
    kept_codes: Mapping[str, npt.NDArray[np.uint16]] = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)

    @property
    def cards(self) -> tuple[TableCard, ...]:
        """Facts about each table, in schema order."""
        found = []
        for name in self.schema.table_names:
            card = self.tables[name].told_card
            read = tuple(reading.describe() for reading in self.readings.of(name).values())
            found.append(card.model_copy(update={"relations": (*card.relations, *read)}))
        return tuple(found)

    @cached_property
    def blocks(self) -> dict[str, int]:
        """Rows of each root table that one unit makes: a constant of the model.

        Such that a unit holds about 16,384 rows, or at most 64,000 where siblings are made
        one after another (larger batches are faster), of all its tables together. There the
        real number of rows makes units of equal size, two at least, so that two processes
        have the same to do; small tables get smaller blocks so that the last, partly used
        one costs little.
        """
        return {root: self.block_of(root) for root in self.family.roots}

    def block_of(self, table: str) -> int:
        """Return how many rows of `table` one unit holds if it begins with that table."""
        rows = max(1, self.family[table].rows)
        everything = sum(self.family[name].rows for name in self.family.below(table))
        alone = not self.family.owned_by(table)
        if not alone:
            least = 2 if everything > _UNIT_ROWS else 1
            # Where a few rows own most others, two of them should seldom share a unit.
            least = max(least, -(-everything // _FAMILY_ROWS), _APART * self._giants(table))
            return -(-rows // least)
        block = max(1, int(_UNIT_ROWS * rows / max(everything, 1)))
        return min(block, max(_FEWEST_ROOTS, 1 << (rows - 1).bit_length()))

    def _giants(self, table: str) -> int:
        """Return how many rows of `table` own a good part of what a unit should hold."""
        found = 0
        for child in self.family.owned_by(table):
            below = sum(self.family[name].rows for name in self.family.below(child))
            each = below / max(1, self.family[child].rows)
            crowd = self.family[table].crowds.get(child, ())
            found = max(found, sum(rows for count, rows in crowd if count * each > _GIANT))
        return found

    def save(self, directory: Path) -> None:
        """Write the artefact (safetensors and JSON only) into an existing directory."""
        from syntheflow_server.engine.artefact import write_artefact

        write_artefact(self, directory)
