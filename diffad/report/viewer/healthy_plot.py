"""A small plot of one scan among the healthy scans of its model, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

WIDTH, HEIGHT, BASE, LEFT, BINS = 560, 150, 112, 14, 24
"""Size of the plot, its base line and left margin, in pixels; number of bars."""
NONE = (
    "This scan as a whole is compared with no healthy scans: the model keeps no scores of whole healthy "
    "scans, or only a part of this one was analysed."
)
STATISTIC = "mean of the highest percent of the map"


def render_healthy_plot(info: Mapping[str, Any]) -> str:
    """Return the p-value of a whole scan with the distribution it comes from, or that there is none.

    Args:
        info: What is stored of the result.
    """
    scan = info.get("healthy_scans")
    healthy = scan.get("healthy") if isinstance(scan, Mapping) else None
    if not isinstance(scan, Mapping) or not healthy:
        return f"<p>{escape(NONE)}</p>"
    value, p_value, count = float(scan["by"]["topk"]["value"]), float(scan["p_value"]), int(scan["scans"])
    floor = float(scan["floor"])
    bound = " and cannot be lower" if p_value <= floor * (1 + 1e-6) else ""
    text = (
        f"p of the whole scan = {p_value:.2g}{bound}: so often a healthy scan has at least as high a "
        f"{STATISTIC}. It comes from {count} healthy scans, so it is never below 1/{count + 1} = {floor:.2g}."
    )
    return f"{_draw(value, [float(v) for v in healthy])}<p>{escape(text)}</p>"


def _draw(value: float, healthy: Sequence[float]) -> str:
    """Draw bars of the healthy scans, and the scan as a line; on a logarithmic axis where that fits."""
    is_log = min(*healthy, value) > 0 and max(*healthy, value) > 5 * min(*healthy, value)
    move = math.log if is_log else float
    points = [move(v) for v in healthy]
    low, high = min(*points, move(value)), max(*points, move(value))
    span = (high - low) or 1.0
    counts, edges = np.histogram(points, bins=BINS, range=(low, low + span))

    def place(x: float) -> float:
        return LEFT + (x - low) / span * (WIDTH - 2 * LEFT)

    step, top = (WIDTH - 2 * LEFT) / BINS, max(1, int(counts.max()))
    bars = "".join(
        f'<rect x="{place(float(edge)):.1f}" y="{BASE - 84 * n / top:.1f}" width="{step - 1:.1f}" '
        f'height="{84 * n / top:.1f}" class="bar"/>'
        for n, edge in zip(counts.tolist(), edges[:-1], strict=True)
        if n
    )
    x = place(move(value))
    end = "end" if x > WIDTH / 2 else "start"
    start = x + (-5 if end == "end" else 5)
    label = f'<text x="{start:.1f}" y="14" text-anchor="{end}">this scan {value:.3g}</text>'
    ends = [(LEFT, "start", low), (WIDTH - LEFT, "end", low + span)]
    ticks = "".join(
        f'<text x="{edge}" y="{BASE + 15}" text-anchor="{anchor}">{(math.exp(v) if is_log else v):.3g}</text>'
        for edge, anchor, v in ends
    )
    scale = ", logarithmic" if is_log else ""
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="This scan among {len(healthy)} healthy scans">{bars}'
        f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{BASE}" y2="{BASE}" class="base"/>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{BASE}" class="scan"/>{label}{ticks}'
        f'<text x="{WIDTH / 2}" y="{BASE + 31}" text-anchor="middle">{STATISTIC}{scale}; '
        f"bars: {len(healthy)} healthy scans</text></svg>"
    )
