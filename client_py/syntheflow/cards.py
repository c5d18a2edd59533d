"""A model's card: what it was trained on, how, and what it knows; shapes, no values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from syntheflow.values import Model, PrivacySpending, TableCard

Pairs = list[tuple[str, str]]
Grid = tuple[list[str], list[list[str]]]


def render_card(model: Model, form: str = "text") -> str:
    """Return the card as `text`, `html` (one page) or `json`."""
    if form == "json":
        return json.dumps(card(model), indent=2, ensure_ascii=False) + "\n"
    return _html(model) if form == "html" else _text(model)


def card(model: Model) -> dict[str, Any]:
    """Return the card as plain values: the model with its totals, without the schema."""
    facts = model.to_dict()
    del facts["schema"]
    epsilon, delta = privacy_spent(model)
    facts["train_rows"] = sum(table.train_rows for table in model.tables)
    facts["parameters"] = sum(table.parameters for table in model.tables)
    facts["privacy_spent"] = None if epsilon is None else {"epsilon": epsilon, "delta": delta}
    return facts


def privacy_spent(model: Model) -> tuple[float | None, float]:
    """Return (epsilon, delta) of all ledgers together, epsilon None without a ledger.

    Of one table the entry `total`, which composes the others; over several tables the
    sum, an upper bound whatever the mechanisms are.
    """
    entries = [entry for table in model.tables for entry in _bounding(table)]
    if not entries:
        return None, 0.0
    return sum(entry.epsilon for entry in entries), sum(entry.delta for entry in entries)


def _bounding(table: TableCard) -> tuple[PrivacySpending, ...]:
    """Return the entries of a table's ledger whose sum bounds the whole."""
    totals = tuple(entry for entry in table.privacy if entry.spent_on == "total")
    return totals or table.privacy


def facts_of(model: Model) -> Pairs:
    """Return the facts of the whole model."""
    epsilon, delta = privacy_spent(model)
    private = "without differential privacy"
    if epsilon is not None:
        private = f"epsilon {epsilon:.3g}, delta {delta:.2g}, of each person"
    facts = [
        ("model", model.name),
        ("trained on", model.dataset),
        ("started from", model.base_model),
        ("engine", model.engine),
        ("made", _moment(model.create_time)),
        ("trained in", f"{model.train_seconds:.1f} s"),
        ("artefact", f"{model.bytes:,} bytes"),
        ("privacy", private),
        ("kept as they are", ", ".join(model.kept_tables)),
        ("settings", _joined(model.settings)),
        ("versions", _joined(model.versions)),
    ]
    return [(name, value) for name, value in facts if value]


def tables_of(model: Model) -> Grid:
    """Return a heading and a row for each table; headings of numbers begin with `>`."""
    heads = [
        "TABLE", "MADE FOR", ">ROWS LEARNED", ">HELD BACK", ">COLUMNS", ">TOKENS", ">PARAMETERS",
        ">EPOCHS", ">TRAIN LOSS", ">LOSS", ">SECONDS", "STOPPED",
    ]  # fmt: skip
    return heads, [_table_row(table) for table in model.tables]


def ledger_of(model: Model) -> Grid:
    """Return a heading and a row for each entry of the privacy ledgers."""
    rows = [
        [table.table, entry.spent_on, f"{entry.epsilon:.4g}", f"{entry.delta:.2g}", entry.mechanism]
        for table in model.tables
        for entry in table.privacy
    ]
    return ["TABLE", "SPENT ON", ">EPSILON", ">DELTA", "MECHANISM"], rows


def keys_of(model: Model) -> Pairs:
    """Return (table, how it hangs together with others) of all tables."""
    return [(table.table, text) for table in model.tables for text in table.keys]


def relations_of(model: Model) -> Pairs:
    """Return (table, exact relation between its columns) of all tables."""
    return [(table.table, text) for table in model.tables for text in table.relations]


def _table_row(table: TableCard) -> list[str]:
    trained = table.parameters > 0
    return [
        table.table,
        table.owner_table,
        f"{table.train_rows:,}",
        f"{table.holdout_rows:,}",
        f"{table.columns:,}",
        f"{table.tokens:,}",
        f"{table.parameters:,}",
        f"{table.epochs:.1f}",
        f"{table.train_loss:.3f}" if trained and table.train_loss else "",
        f"{table.validation_loss:.3f}" if trained and table.validation_loss else "",
        f"{table.train_seconds:.1f}",
        table.stopped,
    ]


def _text(model: Model) -> str:
    facts = facts_of(model)
    width = max(len(name) for name, _ in facts)
    parts = ["\n".join(f"{name:<{width}}  {value}" for name, value in facts), ""]
    for heads, rows in (tables_of(model), ledger_of(model)):
        if rows:
            parts += [_text_grid(heads, rows), ""]
    for lines in (keys_of(model), relations_of(model)):
        parts += [*(f"{table}: {text}" for table, text in lines), ""] if lines else []
    return "\n".join(parts).rstrip() + "\n"


def _text_grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = [head.lstrip(">") for head in heads]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = []
    for line in (names, *rows):
        cells = [
            cell.rjust(width) if head.startswith(">") else cell.ljust(width)
            for cell, width, head in zip(line, widths, heads, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem;
       padding: 0 1rem }}
table {{ border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid #ccc; padding: .25rem .75rem; text-align: left }}
th.n, td.n {{ text-align: right; font-variant-numeric: tabular-nums }}
</style></head><body>
<h1>{title}</h1>
<p>What the model was trained on and what it knows: shapes and settings, no values.</p>
{body}
</body></html>
"""


def _html(model: Model) -> str:
    parts = [_html_grid(["", ""], [[name, value] for name, value in facts_of(model)])]
    grids = (("Tables", tables_of(model)), ("Privacy ledger", ledger_of(model)))
    for title, (heads, rows) in grids:
        if rows:
            parts += [f"<h2>{title}</h2>", _html_grid(heads, rows)]
    told = (("Keys", keys_of(model)), ("Exact relations", relations_of(model)))
    for title, lines in told:
        if lines:
            grid = _html_grid(["TABLE", "WHAT HOLDS"], [list(line) for line in lines])
            parts += [f"<h2>{title}</h2>", grid]
    return _PAGE.format(title=escape(f"Model card of {model.name}"), body="\n".join(parts))


def _html_grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = [' class="n"' if head.startswith(">") else "" for head in heads]

    def line(kind: str, cells: Sequence[str]) -> str:
        made = (
            f"<{kind}{mark}>{escape(cell)}</{kind}>"
            for mark, cell in zip(marks, cells, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    names = [head.lstrip(">").capitalize() for head in heads]
    top = line("th", names) if any(names) else ""
    return f"<table>{top}{''.join(line('td', row) for row in rows)}</table>"


def _joined(pairs: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(pairs.items()))


def _moment(when: datetime | None) -> str:
    return "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S UTC")
