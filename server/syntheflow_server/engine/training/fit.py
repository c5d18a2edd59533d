"""Fit a model to a dataset."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from syntheflow_server.domain.resources import TableCard
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.cvae import TrainingProgress
from syntheflow_server.engine.cvae.recipe import Recipe
from syntheflow_server.engine.graph.structure import Family, Link, LinkKind, Structure
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.model import FittedModel, TableModel
from syntheflow_server.engine.privacy.fit import fit_private
from syntheflow_server.engine.readings import Readings, find_readings, holding
from syntheflow_server.engine.relations import find_relations
from syntheflow_server.engine.settings import FitProgress, FitSettings, Report
from syntheflow_server.engine.support import Support
from syntheflow_server.engine.training.addresses import guarded
from syntheflow_server.engine.training.analysis import Analysis, analyse
from syntheflow_server.engine.training.checkpoints import Checkpoints, fingerprint
from syntheflow_server.engine.training.crowds import with_crowds
from syntheflow_server.engine.training.encode import Encoded, Encoder, learn_support
from syntheflow_server.engine.training.entities import holders as whose
from syntheflow_server.engine.training.holdout import holdout_of
from syntheflow_server.engine.training.inclusion import with_inclusions
from syntheflow_server.engine.training.keeping import check_keep, kept_rows
from syntheflow_server.engine.training.makers import Makers, learn_makers
from syntheflow_server.engine.training.tables import Trained, train_table
from syntheflow_server.engine.training.thinning import Mask, Whole, thin
from syntheflow_server.engine.training.told import told_keys
from syntheflow_server.engine.training.warm import Base, check_base

_READING = 0.05
_TICK_SECONDS = 0.2
_ROW_COST = 8.0
_FLOOR_SHARE = 0.1
_STOPPED = {
    "finished": "all planned steps were done",
    "no progress": "the validation loss stopped falling",
    "deadline": "the time limit was reached",
}


def fit(
    schema: Schema,
    tables: Tables,
    settings: FitSettings,
    report: Report,
    *,
    base: FittedModel | None = None,
    checkpoints: Path | None = None,
) -> FittedModel:
    """Learn `tables` and return the model.

    With `base`, an earlier model of the same schema, training starts from its weights
    and keeps what still suits of its codes; InvalidArgumentError names what differs in
    the schemas.
    In the directory `checkpoints`, which is this fit's own, the state of training is kept
    now and then: a fit that is started again with the same settings and data goes on
    there and yields the same model. Whoever gave the directory removes it in the end.
    `report` is called at least every 0.5 s while networks train and may raise
    CancelledError, which ends the fit. Raises UnsupportedError for keys and references
    that cannot be kept, naming them.
    """
    schema = schema.checked()
    check_keep(schema, settings.keep)
    if settings.epsilon is not None:
        return fit_private(schema, tables, settings, report, base=base)
    if base is not None:
        check_base(base, schema)
    old = Base(base) if base is not None else None
    progress = _Progress(report)
    progress.reading("reading keys")
    told = schema
    readings = _readings(schema, tables, settings, base)
    schema, tables = readings.schema(schema), readings.tables(tables)
    thinned = thin(schema, tables, settings.holdout_share, settings.seed, settings.keep)
    tables, whole = thinned.tables, thinned.whole
    schema = with_inclusions(schema, tables)
    analysis = analyse(schema, tables, settings.keep, orphans=settings.orphans)
    hidden = holdout_of(analysis, settings.holdout_share, settings.seed)
    hidden |= {name: np.zeros(analysis.rows[name], bool) for name in whole}
    held = {name: rows | analysis.strays(name) for name, rows in hidden.items()}
    holders = settings.rare_holders
    relations = find_relations(
        schema, tables, analysis, held, progress.reading, thinned.obeys, holders
    )
    relations |= dict.fromkeys(settings.keep, ())
    encoder = Encoder(
        schema,
        tables,
        analysis,
        held,
        relations,
        settings.seed,
        progress.reading,
        whole,
        old,
        needed=holders,
    )
    encoded = encoder.run()
    supports = {name: learn_support(encoded[name], held[name]) for name in encoded}
    supports |= {name: Support() for name in settings.keep}
    kept = None
    if checkpoints is not None:
        digest = old.digest if old else ""
        kept = Checkpoints(checkpoints, fingerprint(schema, settings, encoded, digest))
    trained = _train_all(analysis, encoded, held, settings, progress, kept, old)
    teaching = {name: ~rows for name, rows in held.items()}
    for name, all_rows in whole.items():
        held[name] = hidden[name] = all_rows.held
    family = with_crowds(_family(analysis, encoded, whole), analysis, holders)
    models = {}
    for name in family.order:
        table = schema.table(name)
        makers = learn_makers(table, tables[name], family[name], whole.get(name), holders)
        model = _table_model(table, makers, family, encoded[name], trained[name], held[name])
        words = told_keys(analysis.family[name], analysis, orphans=settings.orphans)
        facts = {"keys": words, "holdout_rows": int(hidden[name].sum())}
        card = model.card.model_copy(update=facts)
        rules = guarded(
            relations[name],
            tables[name],
            teaching[name],
            whole.get(name),
            holders,
            whose(analysis, name),
        )
        models[name] = replace(model, card=card, relations=rules, support=supports[name])
    progress.done()
    return FittedModel(
        told,
        settings,
        family,
        models,
        encoder.codebooks,
        kept=kept_rows(told, tables, settings.keep),
        kept_codes={name: encoded[name].codes for name in settings.keep},
        readings=readings,
    )


def _readings(
    schema: Schema, tables: Tables, settings: FitSettings, base: FittedModel | None
) -> Readings:
    """Return which columns write times: those of the `base` model as far as they still do."""
    if base is not None:
        return holding(base.readings, tables)
    every = find_readings(schema, tables).every
    return Readings([reading for reading in every if reading.table not in settings.keep])


def _family(
    analysis: Analysis, encoded: Mapping[str, Encoded], whole: Mapping[str, Whole]
) -> Family:
    """Return the tables' structures with what encoding taught and the sizes before thinning."""
    structures = {}
    for name in analysis.family.order:
        structures[name] = _with_code_sizes(analysis.family[name], encoded[name])
        if name in whole:
            rows = len(whole[name].held)
            structures[name] = structures[name].model_copy(update={"rows": rows})
    return Family(structures, analysis.family.order)


class _Progress:
    """Turns what the stages say into one fraction that never falls."""

    def __init__(self, report: Report) -> None:
        self._report, self._last, self._spoke = report, 0.0, -np.inf
        self._base, self._span = 0.0, 1.0

    def reading(self, stage: str) -> None:
        """Say that tables are being read."""
        now = time.monotonic()
        if now - self._spoke >= _TICK_SECONDS:
            self._spoke = now
            self._report(FitProgress(self._last, stage))

    def table(self, base: float, span: float) -> None:
        """Say which part of the whole the next table's training is."""
        self._base = _READING + (1 - _READING) * base
        self._span = (1 - _READING) * span

    def training(self, name: str, state: TrainingProgress) -> None:
        """Pass on how a table's training stands."""
        self._last = max(self._last, self._base + self._span * min(state.fraction, 1.0))
        figures = {
            "train_loss": state.train_loss,
            "validation_loss": state.validation_loss,
            "rows_per_second": state.rows_per_second,
            "eta_seconds": state.eta_seconds / max(self._span, 1e-9) * (1 - self._last)
            if state.fraction < 1
            else 0.0,
        }
        metrics = {key: float(value) for key, value in figures.items() if np.isfinite(value)}
        self._report(FitProgress(self._last, f"training {name}", metrics))

    def done(self) -> None:
        """Say that all is done."""
        self._report(FitProgress(1.0, "done"))


def _train_all(
    analysis: Analysis,
    encoded: Mapping[str, Encoded],
    held: Mapping[str, Mask],
    settings: FitSettings,
    progress: _Progress,
    kept: Checkpoints | None,
    base: Base | None,
) -> dict[str, Trained]:
    """Train table after table; the time limit, if any, begins here."""
    idle = {name for name in encoded if analysis.family[name].kept}
    work = {name: 1.0 if name in idle else _work(item) for name, item in encoded.items()}
    purse = _Purse(work, settings, kept.spent if kept else 0.0)
    trained = {}
    for number, name in enumerate(analysis.family.order):
        progress.table(*purse.share(name))
        deadline = purse.deadline(name)
        trained[name] = train_table(
            name,
            analysis,
            encoded,
            held[name],
            settings,
            deadline=deadline,
            report=lambda state, name=name: progress.training(name, state),  # type: ignore[misc]
            checkpoint=kept.table(number) if kept else None,
            base=base,
        )
    return trained


def _work(encoded: Encoded) -> float:
    """Return what a whole training costs, in cells that are read."""
    rows, tokens = encoded.codes.shape
    return float(rows * Recipe.of(rows).epochs * (tokens + _ROW_COST)) if rows else 1.0


class _Purse:
    """Shares the time that is left among the tables that are left, by their work.

    No table gets less than its even share of a tenth of the limit; what one leaves goes
    to those after it. `spent` seconds went by before an interruption.
    """

    def __init__(self, work: Mapping[str, float], settings: FitSettings, spent: float) -> None:
        self._work, self._total = dict(work), sum(work.values())
        limit = settings.time_limit_seconds
        self._end = None if limit is None else time.monotonic() + limit - spent
        self._floor = _FLOOR_SHARE * (limit or 0.0) / max(1, len(work))

    def share(self, name: str) -> tuple[float, float]:
        """Return where the table's work begins and how long it is, as shares of all."""
        return 1 - sum(self._work.values()) / self._total, self._work[name] / self._total

    def deadline(self, name: str) -> float | None:
        """Return when the training of `name`, which begins now, must end; None for never."""
        left = sum(self._work.values())
        mine = self._work.pop(name)
        if self._end is None:
            return None
        now = time.monotonic()
        spare = max(0.0, self._end - now - self._floor * (len(self._work) + 1))
        return now + self._floor + spare * mine / left


def _with_code_sizes(structure: Structure, encoded: Encoded) -> Structure:
    """Return the structure whose coded links know the sizes of their codes."""
    sized: dict[str, Link] = {
        piece.name: piece.link for piece in encoded.layout.of_kind(PieceKind.LINK) if piece.link
    }
    links = tuple(
        sized.get(str(link.key), link) if link.kind is LinkKind.CODED else link
        for link in structure.links
    )
    return structure.model_copy(update={"links": links})


def _table_model(
    table: Table,
    makers: Makers,
    family: Family,
    encoded: Encoded,
    trained: Trained,
    held: Mask,
) -> TableModel:
    name = table.name
    modules = [m for m in (trained.network, trained.relatives) if m is not None]
    result = trained.result
    card = TableCard(
        table=name,
        train_rows=int((~held).sum()),
        holdout_rows=int(held.sum()),
        columns=len(table.columns),
        tokens=encoded.layout.size,
        parameters=sum(p.numel() for module in modules for p in module.parameters()),
        epochs=result.epochs if result else 0.0,
        validation_loss=result.validation_loss if result else 0.0,
        train_seconds=result.seconds if result else 0.0,
        owner_table=family.owner_of(name),
        train_loss=result.train_loss if result and np.isfinite(result.train_loss) else 0.0,
        stopped=_STOPPED.get(result.stopped, result.stopped) if result else "",
    )
    return TableModel(
        table=table,
        structure=family[name],
        layout=encoded.layout,
        makers=makers[0],
        owner_makers=makers[1],
        network=trained.network,
        relatives=trained.relatives,
        history=trained.history,
        card=card,
    )
