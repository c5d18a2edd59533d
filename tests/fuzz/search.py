"""The search itself: mutate, read, keep what reaches new lines, make findings small."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .corpus import Case, kept
from .harness import Child, Outcome
from .mutate import mutated
from .seeds import seeds

_POOL = 400
_FINDINGS_OF_A_KIND = 3
_OPTIONS: list[Callable[[random.Random], dict[str, Any]]] = [
    lambda rng: {"on_bad_row": rng.choice(("skip", "report"))},
    lambda rng: {"encoding": rng.choice(("utf-8", "utf-16", "cp1252", "latin-1", "gb18030", "x"))},
    lambda rng: {"separator": rng.choice((",", ";", "\t", "|", "||", " ", "a"))},
    lambda rng: {"quote": rng.choice(('"', "'", "", "a")), "escape": rng.choice(("\\", '"'))},
    lambda rng: {"header": rng.choice((0, 1, 2, 1_000)), "skip_rows": rng.choice((0, 1, 3))},
    lambda rng: {"decimal": rng.choice((".", ",")), "thousands": rng.choice((".", ",", " ", "'"))},
    lambda rng: {"date_order": rng.choice(("dmy", "mdy", "ymd")), "comment": rng.choice("#1-")},
    lambda rng: {"null_values": rng.choice(((), ("1",), ("NA", "-")))},
    lambda rng: {"records": rng.choice(("people", "data.items", "/feed/person", "", "a..b"))},
    lambda rng: {"tables": rng.choice((("*",), ("people",), ("no",))), "sheets": None},
    lambda rng: {"sheets": rng.choice((("people",), ("no",), ()))},
]


@dataclass
class Search:
    """Runs until told to stop; `findings` are the cases with what came of them."""

    child: Child
    rng: random.Random
    only: str = ""
    runs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[Case, Outcome]] = field(default_factory=list)
    _pool: list[Case] = field(default_factory=list)
    _seen: Counter[str] = field(default_factory=Counter)
    _lines: int = 0

    def __post_init__(self) -> None:
        cases = [Case(name, data, {}) for name, data in seeds().items()] + kept()
        self._pool = [case for case in cases if self.only in case.name]
        self._first = len(self._pool)

    def run(self, *, until: float, most: int | None = None) -> None:
        """Go on to the moment `until` (time.monotonic) or for `most` files."""
        while time.monotonic() < until and (most is None or self.runs < most):
            self.step()

    def step(self) -> None:
        """Try one file."""
        base = self.rng.choice(self._pool)
        others = [self.rng.choice(self._pool).data for _ in range(2)]
        options = dict(base.options)
        if self.rng.random() < 0.2:
            options |= self.rng.choice(_OPTIONS)(self.rng)
        case = Case(base.name, mutated(base.data, base.name, self.rng, others), options)
        outcome = self._outcome(case)
        self.runs += 1
        self.outcomes[f"{outcome.kind} {case.name.partition('.')[2]}"] += 1
        if outcome.is_finding:
            self._note(case, outcome)
        elif outcome.lines > self._lines:
            self._pool.append(case)
            if len(self._pool) > _POOL + self._first:
                del self._pool[self._first + self.rng.randrange(_POOL)]
        self._lines = outcome.lines

    def _outcome(self, case: Case) -> Outcome:
        return self.child.read(case.data, case.name, options=case.options)

    def _note(self, case: Case, outcome: Outcome) -> None:
        """Keep the first few of a kind, made small."""
        mark = _mark(outcome)
        self._seen[mark] += 1
        if self._seen[mark] <= _FINDINGS_OF_A_KIND:
            self.findings.append((self._smaller(case, mark), outcome))

    def _smaller(self, case: Case, mark: str, tries: int = 60) -> Case:
        """Cut pieces out as long as the same still happens."""
        if outcome_is_slow(mark):
            return case
        size = len(case.data) // 2
        while size and tries:
            at = 0
            while at < len(case.data) and tries:
                tries -= 1
                cut = Case(case.name, case.data[:at] + case.data[at + size :], case.options)
                if _mark(self._outcome(cut)) == mark:
                    case = cut
                else:
                    at += size
            size //= 2
        return case


def outcome_is_slow(mark: str) -> bool:
    """Say whether to see it again takes long."""
    return mark.startswith(("hang", "memory"))


def _mark(outcome: Outcome) -> str:
    """Return what findings of one cause share: their kind and the last lines of the trace."""
    lines = [line.strip() for line in outcome.what.splitlines() if "File " in line]
    last = outcome.what.strip().splitlines()[-1:] if outcome.kind == "bad" else []
    kind = last[0].partition(":")[0] if last else ""
    return f"{outcome.kind} {kind} {lines[-1] if lines else ''}"
