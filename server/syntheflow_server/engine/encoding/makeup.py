"""What a column of strings is made of: its templates, its prose, and which strings repeat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import Floats, Ints
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.holders import Held
from syntheflow_server.engine.encoding.letters import LetterModel
from syntheflow_server.engine.encoding.prose import Prose
from syntheflow_server.engine.encoding.slots import Whose
from syntheflow_server.engine.encoding.templates import (
    Template,
    letters_of,
    pieces,
    template_groups,
)

_TEMPLATES = 64
_COVERED = 0.8


def repeated(made: pa.Array, composed: npt.NDArray[np.bool_], keys: Floats) -> Ints:
    """Return the `composed` rows whose string a row of another key has already."""
    codes = made.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(composed, kind="stable")
    _, first, index = np.unique(codes[order], return_index=True, return_inverse=True)
    leading = np.empty(len(keys))
    leading[order] = keys[order][first][index]
    return np.flatnonzero(composed & (keys != leading))


def longest_of(texts: Sequence[str], held: Ints, needed: int) -> int:
    """Return the length that rows reach and none surpasses, 0 where fewer than `needed` do."""
    lengths = np.array([len(text) for text in texts])
    greatest = int(lengths.max(initial=0))
    return greatest if held[lengths == greatest].sum() >= needed else 0


def entities_of(held: Held, texts: Ints, times: Ints) -> list[int] | None:
    """Return the entities of the texts, each repeated so many `times`."""
    if held.who is None:
        return None
    within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    found: list[int] = held.who[np.repeat(held.start[texts], times) + within].tolist()
    return found


def learn(
    texts: Sequence[str], needed: int, whose: Whose
) -> tuple[tuple[Template, ...], LetterModel | None, Prose | None, Bins | None]:
    """Return templates and letters if few templates cover the texts, and prose for the rest."""
    if not texts:
        return (), None, None, None
    split = [pieces(text) for text in texts]
    groups = template_groups(split, whose)[:_TEMPLATES]
    kept = [group for group in groups if group.holders >= needed]
    if sum(len(group.rows) for group in kept) < _COVERED * len(texts):
        kept = []
    shapes = {group.shapes for group in kept}
    left = [i for i, own in enumerate(split) if tuple(p.shape for p in own) not in shapes]
    rest = [texts[i] for i in left]
    prose, counts = None, None
    if rest and (len(rest) >= needed or not kept):
        lengths = np.array([len(text.split()) for text in rest], np.int64)
        theirs = None if whose is None else [whose[i] for i in left]
        prose, counts = Prose.fit(rest, needed, theirs), Bins.fit(lengths, needed)
    letters = letters_of(split) if kept else None
    return tuple(group.template(needed) for group in kept), letters, prose, counts
