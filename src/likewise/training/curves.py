"""Curves of a run as an SVG picture: the loss above, scores of validation below."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from likewise.training.record import EPISODE

Rows = Sequence[dict[str, float]]
_WIDTH, _HEIGHT, _LEFT, _GAP = 720, 220, 60, 40  # of a panel, in pixels
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
_POINTS = 400  # of a curve: more cannot be seen


def curves(losses: Rows, validations: Rows, title: str) -> str:
    """An SVG picture of the columns of two logs; losses are averaged over neighbouring steps, as one episode says little."""
    panels = [(_averaged(losses), "loss", [name for name in (losses[0] if losses else {}) if name not in (EPISODE, "rate")])]
    if validations:
        panels.append((validations, "validation, percent", [name for name in validations[0] if name != EPISODE]))
    total = len(panels) * (_HEIGHT + _GAP) + _GAP
    drawn = [_panel(rows, label, names, _GAP + place * (_HEIGHT + _GAP)) for place, (rows, label, names) in enumerate(panels)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{total}" font-family="sans-serif" font-size="12">'
    back = f'<rect width="{_WIDTH}" height="{total}" fill="white"/><text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>'
    return "\n".join([head, back, *drawn, "</svg>", ""])


def _averaged(rows: Rows) -> Rows:
    size = -(-len(rows) // _POINTS)
    groups = [rows[start : start + size] for start in range(0, len(rows), max(size, 1))]
    return [{name: float(np.mean([row[name] for row in group])) for name in group[0]} for group in groups]


def _panel(rows: Rows, label: str, names: Sequence[str], top: int) -> str:
    right, bottom = _WIDTH - 20, top + _HEIGHT - 20
    parts = [f'<text x="{_LEFT}" y="{top - 4}">{escape(label)}</text>', f'<path d="M{_LEFT} {top}V{bottom}H{right}" fill="none" stroke="#888"/>']
    if not rows or not names:
        return "".join(parts)
    across = np.array([row[EPISODE] for row in rows])
    values = np.array([[row[name] for name in names] for row in rows])
    low, high = float(min(values.min(), 0)), float(values.max())
    xs = _LEFT + (across - 0) / max(float(across.max()), 1) * (right - _LEFT)
    ys = bottom - (values - low) / max(high - low, 1e-9) * (bottom - top)
    for text, y in ((f"{high:.3g}", top + 10), (f"{low:.3g}", bottom)):
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end">{text}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{int(across.max()):,} episodes</text>')
    for place, name in enumerate(names):
        colour = _COLOURS[place % len(_COLOURS)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys[:, place], strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{right - 110}" y="{top + 14 + 14 * place}" fill="{colour}">{escape(name)}</text>')
    return "".join(parts)
