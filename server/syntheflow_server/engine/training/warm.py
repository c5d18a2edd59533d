"""Start from an earlier model of the same schema: its codecs where they fit, its weights.

A codec is kept where the new values are as well told apart by it as the old ones were,
extended where only names or gaps are new, and learned anew otherwise. Codes of the new
codecs take the weights of the codes that stood for the same values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from torch import nn

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Schema, Table, arrow_type
from syntheflow_server.engine.cvae import TableNetwork
from syntheflow_server.engine.cvae.recipe import Recipe
from syntheflow_server.engine.cvae.transfer import Origin, transfer
from syntheflow_server.engine.encoding.base import Codec, Token
from syntheflow_server.engine.graph.clusters import Featurizer
from syntheflow_server.engine.graph.context import RelativesNetwork
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.training.suits import adapted, same_codes

_EPOCHS = 0.3
_RATE = 0.3
_ALIKE = 0.5
_PATIENCE = 8


def check_base(base: FittedModel, schema: Schema) -> None:
    """Raise InvalidArgumentError, naming table and column, if `base` is of another schema."""
    old = {table.name: table for table in base.schema.tables}
    new = {table.name: table for table in schema.tables}
    for name in sorted(old.keys() ^ new.keys()):
        raise _differs(name, "", "the new data lack it" if name in old else "the base lacks it")
    for name, table in new.items():
        _compare(old[name], table)
    if set(base.schema.foreign_keys) != set(schema.foreign_keys):
        odd = min(map(str, set(base.schema.foreign_keys) ^ set(schema.foreign_keys)))
        raise _differs(odd.split("(")[0], "", f"only one of both has the foreign key {odd}")


def _compare(old: Table, new: Table) -> None:
    mine, theirs = ({c.name: c for c in table.columns} for table in (old, new))
    for name in (*new.column_names, *old.column_names):
        if name not in mine or name not in theirs:
            why = "the new data lack it" if name in mine else "the base lacks it"
            raise _differs(new.name, name, why)
        for part in ("type", "semantic_type"):
            was, now = str(getattr(mine[name], part)), str(getattr(theirs[name], part))
            if was != now:
                raise _differs(new.name, name, f"it was of {part} {was} and is now {now}")
    if old.primary_key != new.primary_key:
        raise _differs(new.name, "", "the primary keys differ")


def _differs(table: str, column: str, rule: str) -> InvalidArgumentError:
    place = f"table {table!r}" + (f", column {column!r}" if column else "")
    return InvalidArgumentError(
        f"a model can start from another one of the same schema only; {place}: {rule}",
        reason="BASE_SCHEMA_DIFFERS",
        metadata={"table": table} | ({"column": column} if column else {}),
    )


class Base:
    """An earlier model, asked for what can be taken over."""

    def __init__(self, model: FittedModel) -> None:
        self._model = model

    @property
    def digest(self) -> str:
        """What tells this model's weights from others'."""
        digest = hashlib.blake2b(digest_size=16)
        for table in self._model.tables.values():
            for module in (table.network, table.relatives):
                for parameter in module.parameters() if module is not None else ():
                    digest.update(parameter.detach().numpy().tobytes())
        return digest.hexdigest()

    def layout(self, table: str) -> Layout:
        """Return the layout of the table's old rows."""
        return self._model.tables[table].layout

    def codec(
        self,
        table: str,
        kind: PieceKind,
        name: str,
        values: pa.Array,
        needed: int,
        entity: npt.NDArray[np.int64] | None = None,
    ) -> Codec | None:
        """Return the old codec, extended if need be; None where the values need a new one."""
        piece = self.layout(table).find(kind, name)
        if piece is None or piece.codec is None:
            return None
        stored = getattr(piece.codec, "type", None)
        if stored is not None and arrow_type(stored) != values.type:
            return None  # times that the earlier model read as counts
        return adapted(piece.codec, values, needed, entity)

    def in_old_order(self, table: str, pieces: Sequence[Piece]) -> list[Piece] | None:
        """Return the pieces in the order of the old ones; None if they are others."""
        place = {(p.kind, p.name): i for i, p in enumerate(self.layout(table).pieces)}
        if {(p.kind, p.name) for p in pieces} - place.keys():
            return None
        return sorted(pieces, key=lambda piece: place[piece.kind, piece.name])

    def history(self, table: str, tokens: Sequence[Token]) -> Featurizer | None:
        """Return the old points of the table's codes; None if there are other codes now."""
        old = self._model.tables[table]
        same = [token.size for token in old.layout.tokens] == [token.size for token in tokens]
        return old.history if same else None

    def start(
        self,
        table: str,
        layout: Layout,
        network: TableNetwork,
        relatives: RelativesNetwork | None,
    ) -> bool:
        """Give the networks the old weights of what is the same; False if that is too little."""
        old = self._model.tables[table]
        origins = _origins(old.layout, layout)
        same = np.concatenate([codes for _, codes in origins]) >= 0
        if old.network is None or float(same.mean()) < _ALIKE:
            return False
        if relatives is None:
            return transfer(old.network, network, origins)
        # Points of other codes would mean other things to the old weights.
        if old.relatives is None or self.history(table, layout.tokens) is None:
            return False
        if not _alike(old.relatives, relatives) or not transfer(old.network, network, origins):
            return False
        relatives.load_state_dict(old.relatives.state_dict())
        return True

    def recipe(self, table: str, rows: int) -> Recipe:
        """Return a gentler and shorter recipe than that of a beginner."""
        usual = Recipe.of(rows)
        epochs = max(1.0, _EPOCHS * min(self._model.tables[table].card.epochs, usual.epochs))
        return replace(usual, rate=usual.rate * _RATE, epochs=epochs, patience=_PATIENCE)


def _alike(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(
        mine[name].shape == theirs[name].shape for name in mine
    )


def _origins(old: Layout, new: Layout) -> list[Origin]:
    """Return for each new token the old one, and for each of its codes the old code (-1: none)."""
    origins: list[Origin] = []
    for piece in new.pieces:
        before = old.find(piece.kind, piece.name)
        if before is None or len(before.tokens) != len(piece.tokens):
            origins += [(-1, np.full(token.size, -1)) for token in piece.tokens]
            continue
        for place, codes in enumerate(_codes(before, piece)):
            origins.append((before.start + place, codes))
    return origins


def _codes(old: Piece, new: Piece) -> list[npt.NDArray[np.int64]]:
    if old.codec is not None and new.codec is not None:
        return same_codes(old.codec, new.codec)
    sizes = [token.size for token in new.tokens]
    # Codes of links are numbers of clusters, which are found anew.
    if new.kind is PieceKind.LINK or sizes != [token.size for token in old.tokens]:
        return [np.full(size, -1) for size in sizes]
    return [np.arange(size) for size in sizes]
