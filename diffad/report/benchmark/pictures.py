"""Pictures of a benchmark: ranks, costs and curves, as PNG."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from diffad.evaluation.result import Curve
from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.ranking import draw_ranking
from diffad.report.benchmark.style import COLOURS, DASHES, make_axes
from diffad.report.benchmark.tables import (
    MEAN,
    average_seeds,
    describe_metric,
    find_first_protocol,
    order_methods,
)

AXIS_LABELS = {
    "roc": ("false-positive rate", "true-positive rate"),
    "pr": ("recall", "precision"),
    "dice": ("threshold / threshold of the method's best Dice", "Dice"),
}


def draw_pictures(outcome: Outcome) -> dict[str, bytes]:
    """Return the pictures that can be drawn, by name: ranking, cost, roc, pr, dice."""
    figures = {"ranking": draw_ranking(outcome), "cost": _draw_costs(outcome)}
    figures |= {name: _draw_curves(outcome, name) for name in AXIS_LABELS}
    return {name: _encode_png(figure) for name, figure in figures.items() if figure is not None}


def _draw_costs(outcome: Outcome) -> Any:
    """Draw accuracy against seconds, with the line of methods that no faster one beats."""
    points = _list_points(outcome)
    if not points:
        return None
    figure, axes = make_axes(8, 5)
    axes.set_xscale("log")
    front = [p for i, p in enumerate(points) if all(p[1] > q[1] for q in points[:i])]
    axes.plot([p[0] for p in front], [p[1] for p in front], color="#999999", lw=1, ls="--", zorder=1)
    heights = _spread_labels(points)
    for i, ((seconds, value, label), y) in enumerate(zip(points, heights, strict=True)):
        axes.scatter(seconds, value, s=28, color=COLOURS[i % len(COLOURS)], zorder=2)
        arrow = {"arrowstyle": "-", "lw": 0.4, "color": "#999999"} if y != value else None
        place = (seconds * 1.08, y)
        axes.annotate(label, (seconds, value), place, fontsize=8, va="center", arrowprops=arrow)
    axes.set_xlim(points[0][0] / 1.6, points[-1][0] * 4)
    note = "in brackets: network evaluations; dashed: no faster method is better"
    axes.set_xlabel(f"seconds per slice ({note})")
    axes.set_ylabel(f"{describe_metric(outcome.ranking_metric)}, mean over the kinds")
    axes.grid(alpha=0.25)
    return figure


def _list_points(outcome: Outcome) -> list[tuple[float, float, str]]:
    """Return seconds, mean of the ranking metric and label of each method, the fastest first."""
    protocol = find_first_protocol(outcome)
    points = []
    for cost in outcome.costs:
        value = average_seeds(outcome, cost.method, protocol, MEAN, outcome.ranking_metric).value
        if cost.seconds > 0 and not math.isnan(value):
            label = f"{cost.method} ({cost.nfe})" if cost.nfe else cost.method
            points.append((cost.seconds, value, label))
    return sorted(points)


def _spread_labels(points: list[tuple[float, float, str]]) -> list[float]:
    """Return the heights of labels, raised until none lies on another."""
    places: list[tuple[float, float]] = []
    span = max(value for _, value, _ in points) or 1.0
    for seconds, value, _ in points:
        y = value
        while any(abs(y - h) < 0.032 * span and abs(math.log10(seconds / x)) < 0.55 for x, h in places):
            y += 0.034 * span
        places.append((seconds, y))
    return [y for _, y in places]


def _draw_curves(outcome: Outcome, name: str) -> Any:
    curves = {m: outcome.curves[m][name] for m in order_methods(outcome) if name in outcome.curves.get(m, {})}
    curves = {method: curve for method, curve in curves.items() if len(curve[0])}
    if not curves:
        return None
    figure, axes = make_axes(8, 5)
    for i, (method, curve) in enumerate(curves.items()):
        x, y = _scale_to_best(curve) if name == "dice" else curve
        if not len(x):
            continue
        style = DASHES[(i // len(COLOURS)) % len(DASHES)]
        axes.plot(x, y, label=method, color=COLOURS[i % len(COLOURS)], ls=style, lw=1.3)
    across, up = AXIS_LABELS[name]
    axes.set(xlabel=across, ylabel=up, ylim=(0, 1), xlim=(0, 3 if name == "dice" else 1))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _scale_to_best(curve: Curve) -> Curve:
    """Divide thresholds by that of the best Dice; an empty curve if that is not positive."""
    x, y = np.asarray(curve[0]), np.asarray(curve[1])
    best = float(x[int(np.nanargmax(y))])
    return (x / best, y) if best > 0 else (x[:0], y[:0])


def _encode_png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
