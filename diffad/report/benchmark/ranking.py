"""Who is best: mean ranks over subjects where there are enough, else bars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffad.evaluation.statistics import cliques, friedman
from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.style import COLOURS, make_axes
from diffad.report.benchmark.tables import (
    MEAN,
    average_seeds,
    describe_metric,
    find_first_protocol,
    order_methods,
)

METHODS, SUBJECTS = 3, 5
"""Least methods and subjects whose ranks are compared."""


def draw_ranking(outcome: Outcome) -> Any:
    """Draw mean ranks on a line, or bars of means where ranks say nothing; none without a result."""
    table = outcome.subjects.get(find_first_protocol(outcome), {})
    values = {m: table[m] for m in order_methods(outcome) if table.get(m)}
    common = set.intersection(*(set(v) for v in values.values())) if values else set()
    subjects = {s for s in common if not any(math.isnan(v[s]) for v in values.values())}
    if len(values) < METHODS or len(subjects) < SUBJECTS:
        return _draw_bars(outcome)
    return _draw_ranks({m: {s: v[s] for s in subjects} for m, v in values.items()}, outcome.ranking_metric)


def _draw_ranks(table: dict[str, dict[str, float]], metric: str) -> Any:
    """Draw mean ranks on a line; a bar joins methods that do not differ significantly (Demsar, 2006)."""
    test = friedman(table)
    names = sorted(test.ranks, key=lambda m: test.ranks[m])
    groups = cliques(test.ranks, test.critical_difference)
    half = math.ceil(len(names) / 2)
    figure, axes = make_axes(9, 1.6 + 0.28 * half + 0.12 * len(groups))
    lowest = -(0.9 + 0.12 * len(groups))
    axes.set(xlim=(0.2, len(names) + 0.8), ylim=(lowest - 0.5 * half, 0.9))
    axes.axis("off")
    _draw_scale(axes, len(names))
    for i, name in enumerate(names):
        on_left = i < half
        place = (
            (0.9, lowest - 0.5 * i) if on_left else (len(names) + 0.1, lowest - 0.5 * (len(names) - 1 - i))
        )
        _draw_name(axes, name, test.ranks[name], place, on_left)
    for i, group in enumerate(groups):
        ends = [test.ranks[group[0]] - 0.05, test.ranks[group[-1]] + 0.05]
        axes.plot(ends, [-0.25 - 0.12 * i] * 2, color="black", lw=3, solid_capstyle="butt")
    subject = f"Mean rank by {describe_metric(metric)}, {test.n} subjects"
    limit = f"{test.critical_difference:.2f} (Nemenyi test, .05 level)"
    axes.set_title(f"{subject}; bars join methods whose ranks differ by less than {limit}", fontsize=9)
    return figure


def _draw_scale(axes: Any, count: int) -> None:
    axes.plot([1, count], [0, 0], color="black", lw=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.12], color="black", lw=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=8)


def _draw_name(axes: Any, name: str, rank: float, place: tuple[float, float], on_left: bool) -> None:
    """Draw a line from a rank on the scale to the name of its method beside the scale."""
    x, y = place
    axes.plot([rank, rank, x], [0, y, y], color="#555555", lw=0.8)
    text = f"{name}  {rank:.1f}" if on_left else f"{rank:.1f}  {name}"
    edge, side = (x - 0.05, "right") if on_left else (x + 0.05, "left")
    axes.text(edge, y, text, ha=side, va="center", fontsize=8)


def _draw_bars(outcome: Outcome) -> Any:
    names = order_methods(outcome)
    if not names:
        return None
    protocol, metric = find_first_protocol(outcome), outcome.ranking_metric
    values = [average_seeds(outcome, m, protocol, MEAN, metric).value for m in names]
    figure, axes = make_axes(7, 0.9 + 0.35 * len(names))
    axes.barh(range(len(names)), np.nan_to_num(values), color=COLOURS[0])
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{describe_metric(metric)}, mean over the kinds")
    return figure
