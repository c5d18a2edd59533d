"""Pictures as inline SVG: drawn here with numbers, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

_WIDTH = 300.0
_HEIGHT = 96.0
_ROW = 19.0
_LABELS = 118.0


def ring(value: float) -> Markup:
    """Return a ring filled to `value` 0..1, the figure in its middle."""
    around = 2 * math.pi * 52
    return Markup(
        '<svg class="ring" viewBox="0 0 120 120" role="img" aria-label="quality {text}">'
        '<circle class="track" cx="60" cy="60" r="52"/>'
        '<circle class="fill" cx="60" cy="60" r="52" transform="rotate(-90 60 60)" '
        'stroke-dasharray="{on} {around}"/>'
        '<text x="60" y="66" text-anchor="middle">{text}</text></svg>'
    ).format(text=f"{value:.2f}", on=f"{around * value:.1f}", around=f"{around:.1f}")


def bars(labels: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> Markup:
    """Return horizontal bars, one row a label: real above, synthetic below."""
    top = max([*real, *synthetic, 1e-9])
    room = _WIDTH - _LABELS - 44
    rows = Markup("").join(
        Markup(
            '<g transform="translate(0 {y})"><title>{label}: real {r}, synthetic {s}</title>'
            '<text class="name" x="{end}" y="12" text-anchor="end">{short}</text>'
            '<rect class="real" x="{start}" y="2" width="{rw}" height="6" rx="1.5"/>'
            '<rect class="synthetic" x="{start}" y="9" width="{sw}" height="6" rx="1.5"/>'
            '<text class="figure" x="{after}" y="12">{r}</text></g>'
        ).format(
            y=f"{place * _ROW:.0f}",
            label=label,
            short=label if len(label) <= 17 else label[:16] + "…",
            r=percent(left),
            s=percent(right),
            end=f"{_LABELS - 8:.0f}",
            start=f"{_LABELS:.0f}",
            rw=f"{room * left / top:.1f}",
            sw=f"{room * right / top:.1f}",
            after=f"{_LABELS + room * max(left, right) / top + 5:.1f}",
        )
        for place, (label, left, right) in enumerate(zip(labels, real, synthetic, strict=True))
    )
    return _frame(rows, _WIDTH, len(labels) * _ROW + 2)


def histogram(labels: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> Markup:
    """Return upright bars, one place a bin: real wide, synthetic narrow in front."""
    top = max([*real, *synthetic, 1e-9])
    step = _WIDTH / max(len(labels), 1)
    parts = [
        Markup(
            "<g><title>{label}: real {r}, synthetic {s}</title>"
            '<rect class="hover" x="{x}" y="0" width="{step}" height="{full}"/>'
            '<rect class="real" x="{rx}" y="{ry}" width="{rw}" height="{rh}" rx="1.5"/>'
            '<rect class="synthetic" x="{sx}" y="{sy}" width="{sw}" height="{sh}" rx="1.5"/></g>'
        ).format(
            label=label,
            r=percent(left),
            s=percent(right),
            x=f"{place * step:.1f}",
            step=f"{step:.1f}",
            full=f"{_HEIGHT:.0f}",
            rx=f"{place * step + step * 0.08:.1f}",
            rw=f"{step * 0.84:.1f}",
            ry=f"{_HEIGHT * (1 - left / top):.1f}",
            rh=f"{_HEIGHT * left / top:.1f}",
            sx=f"{place * step + step * 0.3:.1f}",
            sw=f"{step * 0.4:.1f}",
            sy=f"{_HEIGHT * (1 - right / top):.1f}",
            sh=f"{_HEIGHT * right / top:.1f}",
        )
        for place, (label, left, right) in enumerate(zip(labels, real, synthetic, strict=True))
    ]
    axis = Markup(
        '<line class="axis" x1="0" x2="{w}" y1="{h}" y2="{h}"/>'
        '<text class="name" x="0" y="{t}">{first}</text>'
        '<text class="name" x="{w}" y="{t}" text-anchor="end">{last}</text>'
    ).format(
        w=f"{_WIDTH:.0f}",
        h=f"{_HEIGHT:.0f}",
        t=f"{_HEIGHT + 14:.0f}",
        first=labels[0] if labels else "",
        last=labels[-1] if len(labels) > 1 else "",
    )
    return _frame(Markup("").join(parts) + axis, _WIDTH, _HEIGHT + 18)


def heat_map(names: Sequence[str], cells: Mapping[tuple[int, int], Mapping[str, Any]]) -> Markup:
    """Return the lower triangle of all pairs, coloured by how much their relation differs.

    `cells` maps (row, column), row > column, to real and synthetic strength and error.
    """
    side = 22.0 if len(names) <= 16 else 16.0
    left = 150.0
    size = side * len(names)
    parts: list[Markup] = []
    for place, name in enumerate(names):
        short = name if len(name) <= 22 else name[:21] + "…"
        parts.append(
            Markup('<text class="name" x="{x}" y="{y}" text-anchor="end">{t}</text>').format(
                x=f"{left - 8:.0f}", y=f"{(place + 0.68) * side:.1f}", t=short
            )
        )
        parts.append(
            Markup(
                '<text class="name" transform="translate({x} {y}) rotate(40)">{t}</text>'
            ).format(x=f"{left + (place + 0.35) * side:.1f}", y=f"{size + 12:.1f}", t=short)
        )
    for (row, column), cell in cells.items():
        parts.append(
            Markup(
                '<rect class="heat" x="{x}" y="{y}" width="{s}" height="{s}" rx="2" '
                'fill-opacity="{o}"><title>{a} with {b}: strength real {r}, synthetic {q}; '
                "two-way table off by {e}</title></rect>"
            ).format(
                x=f"{left + column * side + 1:.1f}",
                y=f"{row * side + 1:.1f}",
                s=f"{side - 2:.0f}",
                o=f"{min(1.0, max(0.0, cell['error']) / 0.25):.2f}",
                a=names[row],
                b=names[column],
                r=f"{cell['real']:.2f}",
                q=f"{cell['synthetic']:.2f}",
                e=percent(max(0.0, cell["error"])),
            )
        )
        parts.append(
            Markup('<rect class="grid" x="{x}" y="{y}" width="{s}" height="{s}" rx="2"/>').format(
                x=f"{left + column * side + 1:.1f}", y=f"{row * side + 1:.1f}", s=f"{side - 2:.0f}"
            )
        )
    return _frame(Markup("").join(parts), left + size + 96, size + 104, natural=True)


def percent(share: float) -> str:
    """Return a share for reading: 12%, 1.2%, < 0.1%."""
    if share >= 0.0995:
        return f"{share:.0%}"
    if share >= 0.001:
        return f"{share:.1%}"
    return "< 0.1%" if share > 0 else "0%"


def _frame(body: Markup, width: float, height: float, *, natural: bool = False) -> Markup:
    return Markup('<svg viewBox="0 0 {w} {h}" style="{style}" role="img">{body}</svg>').format(
        w=f"{width:.0f}",
        h=f"{height:.0f}",
        style=f"width:{width:.0f}px" if natural else "",
        body=body,
    )
