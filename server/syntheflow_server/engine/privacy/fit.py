"""Fit models that are differentially private; here tables that stand alone, one row a person."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.resources import TableCard
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.tables import Tables, TableSource
from syntheflow_server.engine.encoding import Codec, column_order
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.boolean import BooleanCodec
from syntheflow_server.engine.graph.clusters import Featurizer
from syntheflow_server.engine.graph.structure import Family, Structure
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.model import FittedModel, TableModel
from syntheflow_server.engine.privacy.columns import Price, private_codec, queries_of
from syntheflow_server.engine.privacy.kinship import kinship
from syntheflow_server.engine.privacy.learn import Learned, learn
from syntheflow_server.engine.privacy.ledger import Budget, Ledger
from syntheflow_server.engine.privacy.newborn import fresh_maker
from syntheflow_server.engine.privacy.related import fit_related
from syntheflow_server.engine.settings import FitProgress, FitSettings, Report
from syntheflow_server.engine.training.holdout import holdout_rows

Mask = npt.NDArray[np.bool_]

_COUNTING = 0.01
_COLUMNS = 0.17
_SINGLES = 0.07
_ASKING = 0.05
"""Shares of the budget for the rows' number, the columns' codecs, single distributions and
which pairs to measure; pairs of columns get the rest."""
_BINS = 22


def fit_private(
    schema: Schema,
    tables: Tables,
    settings: FitSettings,
    report: Report,
    *,
    base: FittedModel | None = None,
    entropy: int | None = None,
) -> FittedModel:
    """Return a model that is (settings.epsilon, settings.delta)-differentially private.

    The unit of protection is one row. All that the model holds was either measured with
    noise, at the ledger's expense, or follows from the schema alone, which counts as
    public. Noise comes from the system's entropy, not from the seed: two fits differ.
    `entropy` replaces it in tests. Raises UnsupportedError, naming them, for foreign
    keys, composite keys and texts that hardly repeat, and for a `base`: what that knows
    would not be paid for.
    """
    assert settings.epsilon is not None
    if base is not None:
        raise UnsupportedError(
            "A differentially private training cannot start from another model; leave out the"
            " base model or epsilon",
            reason="PRIVATE_BASE",
        )
    if schema.foreign_keys or settings.keep:
        from syntheflow_server.engine.training.fit import fit

        return fit_related(schema, tables, settings, report, fit, entropy=entropy)
    kinship(schema, ())
    held = holdout_rows(schema, tables, settings.holdout_share, settings.seed)
    end = None
    if settings.time_limit_seconds is not None:
        end = time.monotonic() + settings.time_limit_seconds
    models, delta = {}, 0.0
    for i, table in enumerate(schema.tables):
        budget = Budget.of(settings.epsilon, settings.delta, tables[table.name].num_rows)
        delta = max(delta, budget.delta)
        left = None if end is None else (end - time.monotonic()) / (len(schema.tables) - i)

        def tick(stage: str, fraction: float, i: int = i) -> None:
            report(FitProgress((i + fraction) / len(schema.tables), stage))

        teacher = _Teacher(table, tables[table.name], held[table.name], settings, tick)
        models[table.name] = teacher.fit(Ledger(budget, entropy=entropy), left)
    family = Family({n: m.structure for n, m in models.items()}, tuple(models))
    report(FitProgress(1.0, "done"))
    return FittedModel(schema, replace(settings, delta=delta), family, models, {})


@dataclass(frozen=True, slots=True)
class _Teacher:
    """Learns one table from its rows that are not held out."""

    table: Table
    source: TableSource
    held: Mask
    settings: FitSettings
    tick: Callable[[str, float], None]

    def fit(self, ledger: Ledger, seconds: float | None) -> TableModel:
        """Return the model; `seconds` bound the training, which sees no data."""
        deadline = None if seconds is None else time.monotonic() + seconds
        whole = ledger.precision
        count = np.array([(~self.held).sum()])
        rows = max(1.0, float(ledger.noisy(count, _COUNTING * whole, "number of rows")[0]))
        made = tuple(c.name for c in self.table.columns if self._identifies(c))
        pieces = self._pieces(ledger, whole, rows, made)
        layout = Layout.of(pieces)
        learned = Learned(None, 0.0, 0.0)
        if layout.size:
            codes = np.concatenate([self._codes(piece) for piece in layout.pieces], axis=1)
            shares = (_SINGLES * whole, _ASKING * whole)
            learned = learn(
                codes, layout, rows, shares, ledger, self.settings, deadline, self._training
            )
        # Not the exact share, which would tell the exact number of rows.
        held = min(self.settings.holdout_share, 0.99) if self.held.any() else 0.0
        card = TableCard(
            table=self.table.name,
            train_rows=round(rows),
            holdout_rows=round(rows * held / (1 - held)),
            columns=len(self.table.columns),
            tokens=layout.size,
            parameters=sum(p.numel() for p in learned.network.parameters())
            if learned.network
            else 0,
            epochs=learned.epochs,
            validation_loss=0.0,
            train_seconds=learned.seconds,
            stopped="differentially private: trained on rows made from noisy distributions",
            privacy=ledger.entries(),
        )
        return TableModel(
            table=self.table,
            structure=Structure(
                table=self.table.name,
                rows=max(1, round(rows / (1 - held))),
                surrogate=made,
                modelled=tuple(n for n in self.table.column_names if n not in made),
            ),
            layout=layout,
            makers=tuple(fresh_maker(self.table.column(name)) for name in made),
            owner_makers=(),
            network=learned.network,
            relatives=None,
            history=Featurizer.of(layout.tokens, [1.0] * layout.size, self.settings.seed),
            card=card,
        )

    def _identifies(self, column: Column) -> bool:
        key = self.table.primary_key == (column.name,)
        return key or column.semantic_type is SemanticType.IDENTIFIER

    def _values(self, name: str) -> pa.Array:
        return combined(self.source.column(name)).filter(pa.array(~self.held))

    def _pieces(
        self, ledger: Ledger, whole: float, rows: float, made: tuple[str, ...]
    ) -> list[Piece]:
        """Return the pieces of all columns that are learned, in the network's order."""
        learned = [c for c in self.table.columns if c.name not in made]
        asked = sum(queries_of(column) for column in learned)
        price = Price(
            _COLUMNS * whole / max(asked, 1), ledger.delta_each(3 * len(learned)), _BINS, rows
        )
        own: list[tuple[PieceKind, Codec]] = []
        for i, column in enumerate(learned):
            self.tick(f"reading {self.table.name}", 0.1 * i / len(learned))
            values = self._values(column.name)
            codec = private_codec(self.table.name, column, values, ledger, price)
            own.append((PieceKind.COLUMN, codec))
        own += [
            (PieceKind.MISSING, BooleanCodec.of(name, 2))
            for name in made
            if self.table.primary_key != (name,) and self.table.column(name).nullable
        ]
        order = column_order([codec for _, codec in own])
        chosen = (own[i] for i in order)
        return [Piece(kind, codec.name, codec.tokens, codec) for kind, codec in chosen]

    def _codes(self, piece: Piece) -> npt.NDArray[np.uint16]:
        assert piece.codec is not None
        values = self._values(piece.name)
        return piece.codec.encode(values.is_null() if piece.kind is PieceKind.MISSING else values)

    def _training(self, fraction: float) -> None:
        self.tick(f"training {self.table.name}", 0.1 + 0.9 * fraction)
