"""Private models of related tables: a database of noisy answers, and a fit of that.

Each family is measured table by table, all paid from the family's own ledger; from the
answers alone a whole new database is made. Whatever is learned of that is free, so the
fit of every other dataset learns it, with keys, links and sequences as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from syntheflow_server.domain.resources import TableCard
from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import MemoryTable, Tables, TableSource
from syntheflow_server.engine.encoding import column_order
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.joins import Rows, parent_rows
from syntheflow_server.engine.layout import Layout, Piece
from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.privacy.chain import Link, fit_chain, make_rows
from syntheflow_server.engine.privacy.columns import Price
from syntheflow_server.engine.privacy.held import held_roots
from syntheflow_server.engine.privacy.household import MOST_CHILDREN, Household
from syntheflow_server.engine.privacy.kinship import kinship
from syntheflow_server.engine.privacy.ledger import Budget, Ledger, Share
from syntheflow_server.engine.privacy.marginals import Marginals, measure
from syntheflow_server.engine.privacy.newborn import Database, Made
from syntheflow_server.engine.settings import FitProgress, FitSettings, Report

ENTITY_ROWS = 1
"""Rows of a table that are learned from for each entity, unless a fit says otherwise: beyond
one, noise grows as fast as what is counted."""
_COUNTING = 0.01
_COLUMNS = 0.17
_SINGLES = 0.07
_ASKING = 0.05
_BINS = 22
_CHAIN_ROWS = (4_000, 20_000)
_ROWS_A_ROW = 4
"""Rows that chains are fitted on: of their own making, some times as many as were counted."""
_MEASURED = 0.5
"""Share of the progress that measuring takes; the rest is the fit of the new database."""

Fit = Callable[[Schema, Tables, FitSettings, Report], FittedModel]


def fit_related(
    schema: Schema,
    tables: Tables,
    settings: FitSettings,
    report: Report,
    fit: Fit,
    *,
    entropy: int | None = None,
) -> FittedModel:
    """Return a private model of related tables; `fit` learns the database made for it.

    An entity is a row of a table without owner (see `kinship`) with all rows below it; of
    tables with different roots each root's rows are entities of their own. Raises
    UnsupportedError naming what is not covered.
    """
    assert settings.epsilon is not None
    kin = kinship(schema, settings.keep)
    parents = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    home = Household.of(
        tables, kin, parents, held_roots(kin, tables, settings.holdout_share, settings.seed)
    )
    end = None
    if settings.time_limit_seconds is not None:
        end = time.monotonic() + settings.time_limit_seconds
    studied = Study(home, settings, report, entropy)
    made = studied.run()
    left = None if end is None else max(end - time.monotonic(), 1.0)

    def told(progress: FitProgress) -> None:
        fraction = _MEASURED + (1 - _MEASURED) * progress.fraction
        report(replace(progress, fraction=min(fraction, 1.0)))

    plain = replace(settings, epsilon=None, delta=None, holdout_share=0.0, time_limit_seconds=left)
    sources: dict[str, TableSource] = {name: tables[name] for name in kin.keep}
    sources |= {name: MemoryTable(table) for name, table in made.items()}
    model = fit(schema, sources, plain, told)
    delta = max(ledger.budget.delta for ledger in studied.ledgers.values())
    cards = {name: _card(model, name, studied) for name in kin.order}
    learned = {
        name: replace(table, card=cards.get(name, table.card))
        for name, table in model.tables.items()
    }
    return replace(model, settings=replace(settings, delta=delta), tables=learned)


def _card(model: FittedModel, name: str, studied: Study) -> TableCard:
    kin = studied.home.kin
    card = model.tables[name].card
    told = {
        "stopped": "differentially private: trained on a database made from noisy answers",
        "privacy": studied.ledgers[kin.root_of(name)].entries(),
        "relations": (),
    }
    return card.model_copy(update=told)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What the noisy answers say of one table: its pieces, and the chain that makes them."""

    layout: Layout
    links: list[Link]
    rows: float


class Study:
    """Measures all families and makes a database of the answers, table after table."""

    def __init__(
        self, home: Household, settings: FitSettings, report: Report, entropy: int | None
    ) -> None:
        """Open a ledger for each family."""
        assert settings.epsilon is not None
        self.home, self._settings, self._report = home, settings, report
        self._most = settings.entity_rows or ENTITY_ROWS
        self._rng = np.random.default_rng(settings.seed)
        self._done = 0
        self.ledgers: dict[str, Ledger] = {}
        self._picks: dict[str, np.random.Generator] = {}
        self._layouts: dict[str, Layout] = {}
        self._codes: dict[str, npt.NDArray[np.uint16]] = {}
        kin = home.kin
        for root in (name for name in kin.order if name not in kin.owners):
            rows = home.tables[root].num_rows
            budget = Budget.of(settings.epsilon, settings.delta, rows)
            self.ledgers[root] = Ledger(budget, entropy, self._unit(root))
            # Apart from the noise, so that who is looked at depends on nothing that is seen.
            for name in kin.family_of(root):
                self._picks[name] = self.ledgers[root].rng.spawn(1)[0]

    def run(self) -> dict[str, pa.Table]:
        """Return the new database: all tables that are not kept."""
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        kin = self.home.kin
        data = Database(self.home.schema, self.home.tables, kin, self._rng)
        for name in kin.order:
            self._tick(name, 0.0)
            data.add(name, self._made(name, data))
            self._done += 1
        return data.tables()

    def _unit(self, root: str) -> str:
        below = self.home.kin.family_of(root)[1:]
        with_rows = f" with at most {self._most} rows of each of {', '.join(below)}"
        return f"one row of {root}" + with_rows * bool(below)

    def _tick(self, table: str, fraction: float) -> None:
        whole = (self._done + fraction) / max(len(self.home.kin.order), 1)
        self._report(FitProgress(_MEASURED * whole, f"measuring {table}"))

    def _made(self, table: str, data: Database) -> Made:
        """Return new rows of `table` for the owners that are made already."""
        kin = self.home.kin
        most = self._most if table in kin.owners else 1
        root = kin.root_of(table)
        ledger = self.ledgers[root]
        account = Share(ledger, most, ledger.precision * self._share(table))
        rows = self.home.chosen(table, most, self._picks[table])
        count = np.array([len(rows)])
        paid = _COUNTING * account.precision
        noisy = max(1.0, float(account.noisy(count, paid, "number of rows")[0]))
        layout, codes = self._read(table, rows, account, noisy)
        given, above = self._given(table, rows)
        tokens = (*above.tokens, *layout.tokens)
        shares = (_SINGLES * account.precision, _ASKING * account.precision)
        pairs = max(account.left - sum(shares), 0.0) * (1 - 1e-9)
        known = given.shape[1]
        joined = np.concatenate([given, codes], axis=1)
        sizes = [token.size for token in tokens]
        if not layout.size:
            return self._newborn(table, layout, [], noisy, data)
        marginals = measure(joined, sizes, noisy, (*shares, pairs), account, known)
        links = self._chain(table, marginals, tokens, most, data)
        return self._newborn(table, layout, links, noisy, data)

    def _share(self, table: str) -> float:
        """Return the table's share of its family's budget: by the number of its columns."""
        family = self.home.kin.family_of(self.home.kin.root_of(table))
        weights = {name: len(self.home.schema.table(name).columns) + 1 for name in family}
        return weights[table] / sum(weights.values()) * (1 - 1e-9)

    def _read(
        self, table: str, rows: Rows, account: Share, noisy: float
    ) -> tuple[Layout, npt.NDArray[np.uint16]]:
        """Return the table's layout and the codes of `rows`; codes of all rows are kept."""
        found = list(self.home.attributes(table))
        asked = max(sum(own.queries for own in found), 1)
        ledger = self.ledgers[self.home.kin.root_of(table)]
        price = Price(
            _COLUMNS * account.precision / asked, self._delta(ledger, table), _BINS, noisy
        )
        codecs = []
        for i, own in enumerate(found):
            self._tick(table, 0.3 * i / len(found))
            codecs.append(own.codec(table, rows, account, price))
        order = column_order(codecs)
        layout = Layout.of(
            [Piece(found[i].kind, found[i].name, codecs[i].tokens, codecs[i]) for i in order]
        )
        whole = [codecs[i].encode(found[i].values) for i in order]
        blank = np.zeros((self.home.tables[table].num_rows, 0), np.uint16)
        self._layouts[table] = layout
        self._codes[table] = np.concatenate([blank, *whole], axis=1)
        return layout, self._codes[table][rows]

    def _delta(self, ledger: Ledger, table: str) -> float:
        """Return what each threshold may spend: at most three a piece of the family's tables."""
        kin = self.home.kin
        pieces = 0
        for name in kin.family_of(kin.root_of(table)):
            pieces += len(self.home.schema.table(name).columns) + len(kin.links[name])
            pieces += 2 * len(kin.owned_by(name))
        return ledger.delta_each(3 * pieces)

    def _given(self, table: str, rows: Rows) -> tuple[npt.NDArray[np.uint16], Layout]:
        """Return the codes of the owners of `rows`, and their layout."""
        key = self.home.kin.owners.get(table)
        if key is None:
            return np.zeros((len(rows), 0), np.uint16), Layout(())
        above = self._layouts[key.parent_table]
        return self._codes[key.parent_table][self.home.parents[key][rows]], above

    def _chain(
        self, table: str, marginals: Marginals, tokens: Sequence[Token], most: int, data: Database
    ) -> list[Link]:
        """Return the chain that makes the table's codes after those of its owner."""
        given = None
        rows = int(np.clip(_ROWS_A_ROW * marginals.rows, *_CHAIN_ROWS))
        if table in self.home.kin.owners:
            owners, counts = data.crowd(table)
            weights = np.minimum(counts, most).astype(np.float64)
            weights = weights if weights.sum() else np.ones(len(counts))
            picked = self._rng.choice(len(counts), rows, p=weights / weights.sum())
            given = owners[picked]
        seed = self._settings.seed

        def tick(done: float) -> None:
            self._tick(table, 0.3 + 0.6 * done)

        return fit_chain(tokens, marginals, rows, seed, tick, given)

    def _newborn(
        self, table: str, layout: Layout, links: list[Link], noisy: float, data: Database
    ) -> Made:
        """Return rows of the table: as many as were counted, or as their owners have."""
        owner, given = None, None
        rows = round(noisy)
        if table in self.home.kin.owners:
            owners, counts = data.crowd(table)
            owner = np.repeat(np.arange(len(counts)), np.minimum(counts, MOST_CHILDREN))
            given, rows = owners[owner], len(owner)
        codes = make_rows(links, rows, self._settings.seed + 1, given)
        first = given.shape[1] if given is not None else 0
        return Made(layout, codes[:, first:], owner)
