"""What sampling prepares once per model and process."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.cvae import TableSampler
from syntheflow_server.engine.cvae.precision import compute_type
from syntheflow_server.engine.encoding.base import Codec
from syntheflow_server.engine.graph.codes import code_tokens
from syntheflow_server.engine.graph.context import RelativesNetwork
from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.model import FittedModel, TableModel

if TYPE_CHECKING:
    from syntheflow_server.engine.sampling.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Runtime:
    """A model with its samplers and the smallest step behind each code of a step piece.

    `pilots` are rows by table, and `domains` the ends of columns by table and name, that
    conditions are carried along relations with; both are filled as they are needed.

    `relatives` are copies of the graph networks in the precision that samples fastest.
    """

    model: FittedModel
    samplers: dict[str, TableSampler]
    relatives: dict[str, RelativesNetwork]
    lowest_steps: dict[str, npt.NDArray[np.int64]]
    pilots: dict[str, Frame] = field(default_factory=dict)
    domains: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: FittedModel) -> Runtime:
        """Prepare `model` for sampling."""
        samplers, relatives, lowest = {}, {}, {}
        for name, table in model.tables.items():
            if table.network is not None:
                samplers[name] = TableSampler(table.network)
            if table.relatives is not None:
                relatives[name] = copy.deepcopy(table.relatives).to(compute_type())
            for piece in table.layout.of_kind(PieceKind.STEP):
                if piece.codec is not None and piece.tokens:
                    lowest[name] = lowest_values(piece.codec)
        return cls(model, samplers, relatives, lowest)

    def table(self, name: str) -> TableModel:
        """Return what was learned of a table."""
        return self.model.tables[name]

    def layout(self, name: str) -> Layout:
        """Return a table's tokens."""
        return self.model.tables[name].layout

    def piece(self, table: str, kind: PieceKind, name: str) -> Piece:
        """Return a piece that must be there."""
        piece = self.layout(table).find(kind, name)
        assert piece is not None, (table, kind, name)
        return piece

    def code_tokens(self, link: Link) -> tuple[list[int], list[int], list[float]]:
        """Return the tokens that the link's code of a parent is made of."""
        parent = link.key.parent_table
        owner = self.model.family.owner_of(parent)
        return code_tokens(self.layout(parent), self.layout(owner) if owner else None, link)


def lowest_values(codec: Codec) -> npt.NDArray[np.int64]:
    """Return the smallest number that each code of the first token stands for; 0 if missing."""
    first = codec.sizes[0] if codec.sizes else 1  # no token: always the same number
    codes = np.zeros((first, len(codec.sizes)), np.uint16)
    if codec.sizes:
        codes[:, 0] = np.arange(first)
    values = codec.decode(codes, np.zeros((first, codec.draws)))
    numbers: npt.NDArray[np.int64] = values.fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64)


def decode_numbers(
    codec: Codec, codes: npt.NDArray[np.uint16], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the integers behind codes [n, k] and which are missing (0 there)."""
    values = codec.decode(codes, rng.random((len(codes), codec.draws)))
    missing = values.is_null().to_numpy(zero_copy_only=False)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, missing
