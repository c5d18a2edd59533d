"""Train the networks of one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.cvae import TableNetwork, TrainingProgress, TrainingResult, train
from syntheflow_server.engine.cvae.calibration import calibrate
from syntheflow_server.engine.cvae.snapshots import Snapshot
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.clusters import Featurizer, Matrix
from syntheflow_server.engine.graph.context import WIDTH, Kin, Place, RelativesNetwork
from syntheflow_server.engine.graph.summary import elder, summary
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.privacy.copying import look_for_copying
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.settings import FitSettings
from syntheflow_server.engine.training.analysis import Analysis
from syntheflow_server.engine.training.checkpoints import TableCheckpoint
from syntheflow_server.engine.training.encode import Encoded
from syntheflow_server.engine.training.entities import entity_rows, entity_table
from syntheflow_server.engine.training.kin import Siblings
from syntheflow_server.engine.training.warm import Base

_INNER_SHARE = 0.08
_LATENT_MEAN = 2.0
_LARGEST_SHARE = 0.3
_STOPPING_ROWS = 10
_FEW_ROWS = 5
"""With fewer rows there is nothing to learn but the marginals, where networks start."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The networks of one table and what training came to; all None without tokens."""

    network: TableNetwork | None
    relatives: RelativesNetwork | None
    history: Featurizer
    result: TrainingResult | None


def train_table(
    table: str,
    analysis: Analysis,
    encoded: Mapping[str, Encoded],
    held: npt.NDArray[np.bool_],
    settings: FitSettings,
    *,
    deadline: float | None,
    report: Callable[[TrainingProgress], None],
    checkpoint: TableCheckpoint | None = None,
    base: Base | None = None,
) -> Trained:
    """Train the networks of `table`; all relatives must be encoded.

    With a `checkpoint` training goes on from what that holds, and writes to it; with a
    `base` it starts from that model's weights as far as they fit.
    """
    mine = encoded[table]
    tokens = mine.layout.tokens
    histories = partial(_history, encoded, settings.seed, base)
    history = histories(table)
    teaching = np.flatnonzero(~held)
    if not tokens or not len(teaching) or analysis.family[table].kept:
        return Trained(None, None, history, None)
    counts = [
        np.bincount(mine.codes[teaching, i][mine.counted[teaching, i]], minlength=token.size)
        for i, token in enumerate(tokens)
    ]
    kin = KinReader(table, analysis, encoded, histories) if mine.siblings else None
    network, relatives = _untrained(tokens, counts, kin, settings.seed)
    if len(teaching) < _FEW_ROWS:
        return Trained(network, relatives.eval() if relatives else None, history, None)
    if checkpoint is not None and (ended := checkpoint.finished()) is not None:
        return Trained(network, relatives, history, _put_back(ended, network, relatives))
    rows_train, rows_valid = _inner_split(table, analysis, teaching, settings.seed)
    warm = base is not None and base.start(table, mine.layout, network, relatives)
    network.train()
    result = train(
        network,
        mine.codes,
        rows_train,
        rows_valid,
        context=relatives,
        inputs=kin,
        loss_mask=mine.counted,
        columns=mine.layout.askable,
        seed=settings.seed,
        deadline=deadline,
        threads=settings.threads,
        report=report,
        recipe=base.recipe(table, len(rows_train)) if base and warm else None,
        device=settings.device,
        keeper=checkpoint,
    )
    network.eval()
    if relatives is not None:
        relatives.eval()
    else:
        calibrate(network, counts, generator(settings.seed, table, 0, "calibration"))
        result = _checked_for_copies(network, mine, rows_train, rows_valid, result)
    if checkpoint is not None:
        checkpoint.finish(Snapshot(asdict(result), _weights(network, relatives)))
    return Trained(network, relatives, history, result)


def _untrained(
    tokens: Sequence[Token],
    counts: Sequence[npt.NDArray[np.int64]],
    kin: KinReader | None,
    seed: int,
) -> tuple[TableNetwork, RelativesNetwork | None]:
    """Return the networks as they start: at the marginals, with no word from relatives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        relatives = kin.network() if kin else None
    width = WIDTH if relatives is not None else 0
    network = TableNetwork.create(tokens, counts, seed, context_width=width, any_given=True)
    network.eval()
    return network, relatives


def _checked_for_copies(
    network: TableNetwork,
    mine: Encoded,
    learned: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64],
    result: TrainingResult,
) -> TrainingResult:
    """Return the result with a warning in `stopped` if rows were learned by heart."""

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        nats = network.loss(torch.from_numpy(mine.codes[rows].astype(np.int64)))
        return nats * torch.from_numpy(mine.counted[rows])

    found = look_for_copying(loss, learned, others)
    if not found.alarming:
        return result
    warning = f"{result.stopped}; may have learned rows by heart ({found.advantage:.2f}, not .50)"
    return replace(result, stopped=warning)


def _weights(network: TableNetwork, relatives: RelativesNetwork | None) -> dict[str, Tensor]:
    """Return the modules' own parameters by name."""
    weights = {f"net/{name}": p.detach() for name, p in network.named_parameters()}
    if relatives is not None:
        weights |= {f"kin/{name}": p.detach() for name, p in relatives.named_parameters()}
    return weights


def _put_back(
    ended: Snapshot, network: TableNetwork, relatives: RelativesNetwork | None
) -> TrainingResult:
    """Give the modules the weights that training ended with; return what it came to."""
    with torch.no_grad():
        for name, parameter in _weights(network, relatives).items():
            parameter.copy_(ended.tensors[name])
    if relatives is not None:
        relatives.eval()
    return TrainingResult(**ended.facts)


def _inner_split(
    table: str, analysis: Analysis, teaching: npt.NDArray[np.int64], seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows that teach and those that say when to stop, split by entity.

    The fewer rows there are, the larger is the share that says when to stop: a small
    table would otherwise be learned by heart.
    """
    share = max(_INNER_SHARE, min(_LARGEST_SHARE, _STOPPING_ROWS / len(teaching)))
    entity = entity_table(analysis, table)
    chance = generator(seed, entity, 0, "inner").random(analysis.rows[entity])
    apart = chance[entity_rows(analysis, table, entity)][teaching] < share
    if not apart.any() or apart.all():
        count = max(1, round(share * len(teaching)))
        apart = np.zeros(len(teaching), bool)
        apart[generator(seed, table, 0, "inner rows").permutation(len(teaching))[:count]] = True
    return teaching[~apart], teaching[apart]


def _history(
    encoded: Mapping[str, Encoded], seed: int, base: Base | None, table: str
) -> Featurizer:
    """Return what gives the points of a table's rows, whoever reads them."""
    tokens = encoded[table].layout.tokens
    kept = base.history(table, tokens) if base else None
    return kept or Featurizer.of(tokens, [1.0] * len(tokens), seed)


class KinReader:
    """Gives `train` what the rows of one owned table hear of their relatives."""

    def __init__(
        self,
        table: str,
        analysis: Analysis,
        encoded: Mapping[str, Encoded],
        histories: Callable[[str], Featurizer],
    ) -> None:
        history = histories(table)
        structure = analysis.family[table]
        self._mine = encoded[table]
        siblings = self._mine.siblings
        assert siblings is not None
        self._siblings: Siblings = siblings
        owner = analysis.family.owner_of(table)
        grand = analysis.family.owner_of(owner)
        self._owner = encoded[owner]
        self._grand = encoded[grand] if grand else None
        self._grand_rows = analysis.owners(owner) if grand else None
        self._beside = self._summaries(table, analysis, encoded, histories)
        sequence = structure.sequence
        self.history = sequence is not None and not sequence.long
        self._width = history.width
        mean_count = len(siblings.owner) / max(1, len(np.unique(siblings.owner)))
        self.latent = mean_count >= _LATENT_MEAN
        self._pooled, self._running = self._means(history)
        self._left = self._remaining()

    def network(self) -> RelativesNetwork:
        """Return an untrained network that reads these relatives."""
        return RelativesNetwork(
            self._owner.layout.tokens,
            self._grand.layout.tokens if self._grand else None,
            self._mine.layout.tokens if self.history else None,
            self._width,
            latent=self.latent,
            beside=0 if self._beside is None else self._beside.shape[1],
        )

    def _summaries(
        self,
        table: str,
        analysis: Analysis,
        encoded: Mapping[str, Encoded],
        histories: Callable[[str], Featurizer],
    ) -> Matrix | None:
        """Return what the owners' rows in tables made before come to [owners, S]."""
        owners = len(self._owner.codes)
        parts = []
        for name in elder(analysis.family, table):
            other = encoded[name]
            assert other.siblings is not None
            parts.append(summary(histories(name), other.codes, other.siblings.owner, owners))
        return np.concatenate(parts, axis=1) if parts else None

    def _means(
        self, history: Featurizer
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the mean point of all siblings by owner, and of the earlier ones by row.

        Coordinate by coordinate: all points of a large table at once would be its largest
        matrix.
        """
        siblings, codes = self._siblings, self._mine.codes
        owners = int(siblings.owner.max(initial=-1)) + 1
        counts = np.maximum(np.bincount(siblings.owner, minlength=owners), 1)
        pooled = np.zeros((owners, history.width), np.float32)
        running = np.zeros((len(codes) if self.history else 1, history.width), np.float32)
        begins = np.flatnonzero(siblings.position[siblings.order] == 0)
        lengths = np.diff(np.append(begins, len(codes)))
        earlier = np.maximum(siblings.position[siblings.order], 1)
        columns = [(i, part) for i, table in enumerate(history.tables) for part in table.T]
        for place, (token, part) in enumerate(columns):
            points = part.astype(np.float64).take(codes[:, token])
            pooled[:, place] = np.bincount(siblings.owner, points, owners) / counts
            if self.history:
                ordered = points[siblings.order]
                total = np.cumsum(ordered) - ordered
                total -= np.repeat(total[begins], lengths)
                running[siblings.order, place] = total / earlier
        return pooled, running

    def _remaining(self) -> npt.NDArray[np.float32]:
        """Return the span that is left before each row, in units."""
        siblings = self._siblings
        steps = self._mine.layout.of_kind(PieceKind.STEP)
        left = np.zeros(len(siblings.owner), np.float32)
        if not steps or not self.history or self._mine.steps is None:
            return left
        passed = self._mine.steps[siblings.order].cumsum()
        begins = np.flatnonzero(siblings.position[siblings.order] == 0)
        lengths = np.diff(np.append(begins, len(passed)))
        ends = passed[begins + lengths - 1] if len(begins) else passed[:0]
        before = passed - self._mine.steps[siblings.order]
        left[siblings.order] = np.repeat(ends, lengths) - before
        return left

    def __call__(self, rows: npt.NDArray[np.int64]) -> Kin:
        """Return the relatives of `rows`."""
        siblings = self._siblings
        owner = siblings.owner[rows]
        place = Place(
            _float(siblings.position[rows]),
            _float(siblings.count[rows]),
            _float(self._left[rows]),
        )
        kin = Kin(
            owner=_long(self._owner.codes[owner]),
            grand=_long(self._grand.codes[self._grand_rows[owner]])
            if self._grand and self._grand_rows is not None
            else None,
            place=place,
            beside=None if self._beside is None else torch.as_tensor(self._beside[owner]),
            pooled=torch.as_tensor(self._pooled[owner]),
            weight=1 / place.count,
        )
        if not self.history:
            return kin
        previous, second = siblings.previous[rows], siblings.second[rows]
        return Kin(
            owner=kin.owner,
            grand=kin.grand,
            place=place,
            beside=kin.beside,
            previous=_long(self._mine.codes[previous]),
            second=_long(self._mine.codes[second]),
            before=torch.as_tensor(np.stack([previous >= 0, second >= 0], axis=1)).float(),
            mean=torch.as_tensor(self._running[rows]),
            pooled=kin.pooled,
            weight=kin.weight,
        )


def _long(codes: npt.NDArray[np.uint16]) -> Tensor:
    return torch.as_tensor(codes.astype(np.int64))


def _float(values: npt.NDArray[np.int64] | npt.NDArray[np.float32]) -> Tensor:
    return torch.as_tensor(values.astype(np.float32))
