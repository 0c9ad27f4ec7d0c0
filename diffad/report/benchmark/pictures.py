"""Pictures of a benchmark: ranks, costs and curves, as PNG."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from diffad.evaluation.statistics import cliques, friedman
from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.tables import MEAN, average_seeds, first_protocol, order_methods

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")
"""The palette of Okabe and Ito, its yellow darkened."""
DASHES = ("-", "--", ":", "-.")
CURVES = {
    "roc": ("false-positive rate", "true-positive rate"),
    "pr": ("recall", "precision"),
    "dice": ("threshold / threshold of the method's best Dice", "Dice"),
}


def draw_pictures(outcome: Outcome) -> dict[str, bytes]:
    """Return the pictures that can be drawn, by name: ranking, cost, roc, pr, dice."""
    made = {"ranking": _ranking(outcome), "cost": _cost(outcome)}
    made |= {name: _curves(outcome, name) for name in CURVES}
    return {name: _png(figure) for name, figure in made.items() if figure is not None}


def _ranking(outcome: Outcome) -> Any:
    table = outcome.subjects.get(first_protocol(outcome), {})
    kept = {m: table[m] for m in order_methods(outcome) if table.get(m)}
    subjects = set.intersection(*(set(v) for v in kept.values())) if kept else set()
    usable = {s for s in subjects if not any(math.isnan(v[s]) for v in kept.values())}
    if len(kept) < 3 or len(usable) < 5:
        return _bars(outcome)
    return _critical({m: {s: v[s] for s in usable} for m, v in kept.items()}, outcome.ranked_by)


def _critical(table: dict[str, dict[str, float]], figure_name: str) -> Any:
    """Draw mean ranks on a line; a bar joins methods that cannot be told apart (Demsar, 2006)."""
    found = friedman(table)
    names = sorted(found.ranks, key=lambda m: found.ranks[m])
    half = math.ceil(len(names) / 2)
    groups = cliques(found.ranks, found.critical_difference)
    figure, axes = _axes(9, 1.6 + 0.28 * half + 0.12 * len(groups))
    lowest = -(0.9 + 0.12 * len(groups))
    axes.set(xlim=(0.2, len(names) + 0.8), ylim=(lowest - 0.5 * half, 0.9))
    axes.axis("off")
    axes.plot([1, len(names)], [0, 0], color="black", lw=1)
    for tick in range(1, len(names) + 1):
        axes.plot([tick, tick], [0, 0.12], color="black", lw=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=8)
    for i, name in enumerate(names):
        left = i < half
        y: float = lowest - 0.5 * (i if left else len(names) - 1 - i)
        end, rank = (0.9, found.ranks[name]) if left else (len(names) + 0.1, found.ranks[name])
        axes.plot([rank, rank, end], [0, y, y], color="#555555", lw=0.8)
        words = f"{name}  {rank:.1f}" if left else f"{rank:.1f}  {name}"
        axes.text(
            end - 0.05 if left else end + 0.05,
            y,
            words,
            ha="right" if left else "left",
            va="center",
            fontsize=8,
        )
    for i, group in enumerate(groups):
        ends = [found.ranks[group[0]] - 0.05, found.ranks[group[-1]] + 0.05]
        axes.plot(ends, [-0.25 - 0.12 * i] * 2, color="black", lw=3, solid_capstyle="butt")
    words = (
        f"mean rank by {figure_name.replace('_', ' ')}, {found.n} subjects; bars join what differs by less"
    )
    axes.set_title(f"{words} than {found.critical_difference:.2f} (Nemenyi, .05)", fontsize=9)
    return figure


def _bars(outcome: Outcome) -> Any:
    names = order_methods(outcome)
    values = [
        average_seeds(outcome, m, first_protocol(outcome), MEAN, outcome.ranked_by).value for m in names
    ]
    if not names:
        return None
    figure, axes = _axes(7, 0.9 + 0.35 * len(names))
    axes.barh(range(len(names)), np.nan_to_num(values), color=COLOURS[0])
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{outcome.ranked_by.replace('_', ' ')}, mean of the kinds")
    return figure


def _cost(outcome: Outcome) -> Any:
    protocol = first_protocol(outcome)
    every = [
        (c.seconds, average_seeds(outcome, c.method, protocol, MEAN, outcome.ranked_by).value, c)
        for c in outcome.costs
    ]
    points = sorted((s, v, c.method, c.nfe) for s, v, c in every if s > 0 and not math.isnan(v))
    if not points:
        return None
    figure, axes = _axes(8, 5)
    axes.set_xscale("log")
    front = [p for i, p in enumerate(points) if all(p[1] > q[1] for q in points[:i])]
    axes.plot([p[0] for p in front], [p[1] for p in front], color="#999999", lw=1, ls="--", zorder=1)
    heights: list[tuple[float, float]] = []
    span = max(p[1] for p in points) or 1.0
    for i, (seconds, value, method, nfe) in enumerate(points):
        axes.scatter(seconds, value, s=28, color=COLOURS[i % len(COLOURS)], zorder=2)
        y = value
        while any(abs(y - h) < 0.032 * span and abs(math.log10(seconds / x)) < 0.55 for x, h in heights):
            y += 0.034 * span
        heights.append((seconds, y))
        evaluations = f" ({nfe})" if nfe else ""
        axes.annotate(
            f"{method}{evaluations}", (seconds, value), (seconds * 1.08, y), fontsize=8, va="center",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#999999"} if y != value else None,
        )  # fmt: skip
    axes.set_xlim(points[0][0] / 1.6, points[-1][0] * 4)
    axes.set_xlabel("seconds per slice; in brackets network evaluations; dashed: none is better and faster")
    axes.set_ylabel(f"{outcome.ranked_by.replace('_', ' ')}, mean of the kinds")
    axes.grid(alpha=0.25)
    return figure


def _curves(outcome: Outcome, name: str) -> Any:
    curves = {m: outcome.curves[m][name] for m in order_methods(outcome) if name in outcome.curves.get(m, {})}
    curves = {m: (x, y) for m, (x, y) in curves.items() if len(x)}
    if not curves:
        return None
    figure, axes = _axes(8, 5)
    for i, (method, (x, y)) in enumerate(curves.items()):
        if name == "dice":
            best = float(x[int(np.nanargmax(y))])
            if not best > 0:
                continue
            x = np.asarray(x) / best
        style = DASHES[(i // len(COLOURS)) % len(DASHES)]
        axes.plot(x, y, label=method, color=COLOURS[i % len(COLOURS)], ls=style, lw=1.3)
    axes.set(
        xlabel=CURVES[name][0], ylabel=CURVES[name][1], ylim=(0, 1), xlim=(0, 3 if name == "dice" else 1)
    )
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
