"""Figures of a benchmark laid out in rows and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffad.evaluation.result import Metric
from diffad.evaluation.statistics import compare_paired, holm, summarise_seeds
from diffad.report.benchmark.outcome import Line, Outcome

OTHERS = {
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "dice": "Dice at the protocol's threshold",
    "mean_dice": "mean Dice of samples",
    "oracle_dice": "best Dice (oracle)",
    "image_auroc": "image AUROC",
    "healthy_voxels_flagged": "healthy voxels flagged",
}
"""Figures of the second table, by their heads."""
MEAN = "mean"


@dataclass(frozen=True)
class TextTable:
    """A table of words.

    Args:
        title: What it shows.
        head: Names of the columns.
        rows: Cells, the method first.
    """

    title: str
    head: list[str]
    rows: list[list[str]]


def make_tables(outcome: Outcome) -> list[TextTable]:
    """Return two tables for each protocol: the ranked figure by kind of lesion, and the other figures."""
    protocols = list(dict.fromkeys(line.protocol for line in outcome.lines))
    return [make(outcome, name) for name in protocols for make in (_by_kind, _by_figure)]


def format_markdown(outcome: Outcome) -> str:
    """Lay all tables out as Markdown; a bar in a name cannot break a row."""
    parts = [f"# {outcome.name}", NOTE]
    for grid in make_tables(outcome):
        rows = [grid.head, ["---"] * len(grid.head), *grid.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts += [f"## {grid.title}", "\n".join(lines)]
    parts += [f"Not shown: {label}: {why}" for label, why in outcome.failed.items()]
    return "\n\n".join(parts) + "\n"


NOTE = (
    "Mean over seeds; in brackets the 95 % interval over subjects of the first seed, behind ± the standard "
    "deviation between seeds, where there are several. An oracle's threshold is chosen with the truth in "
    "hand: it is a bound, no result. A dash is what is not defined. p: paired permutation test against the "
    "best method on the same subjects, corrected for the number of methods (Holm)."
)


def order_methods(outcome: Outcome, protocol: str | None = None) -> list[str]:
    """Return the methods that have figures, by the mean of the ranked figure, best first."""
    protocol = protocol or first_protocol(outcome)
    means = {m: average_seeds(outcome, m, protocol, MEAN, outcome.ranked_by).value for m in outcome.methods}
    known = [m for m in outcome.methods if any(line.method == m for line in outcome.lines)]
    return sorted(known, key=lambda m: (math.isnan(means[m]), -means[m]))


def first_protocol(outcome: Outcome) -> str:
    """Return the protocol everything is ranked by; empty where there is no figure."""
    return outcome.lines[0].protocol if outcome.lines else ""


def average_seeds(outcome: Outcome, method: str, protocol: str, data: str, figure: str) -> Metric:
    """Return a figure over the seeds, see ``summarise_seeds``."""
    return summarise_seeds([line.value for line in _lines(outcome, method, protocol, data, figure)])


def corrected_p_values(outcome: Outcome) -> dict[str, float]:
    """Return Holm-corrected p-values against the best method; none for those without its subjects."""
    table = outcome.subjects.get(first_protocol(outcome), {})
    methods = [m for m in order_methods(outcome) if table.get(m)]
    if len(methods) < 2:
        return {}
    best, *others = methods
    same = [m for m in others if set(table[m]) == set(table[best])]
    p = holm([compare_paired(table[best], table[m]).p_permutation for m in same])
    return dict(zip(same, p, strict=True))


def _by_kind(outcome: Outcome, protocol: str) -> TextTable:
    lines = [ln for ln in outcome.lines if ln.protocol == protocol and ln.figure == outcome.ranked_by]
    kinds = [k for k in dict.fromkeys(ln.data for ln in lines) if k != MEAN]
    p = corrected_p_values(outcome) if protocol == first_protocol(outcome) else {}
    rows = []
    for method in order_methods(outcome, protocol):
        cells = [_interval(outcome, method, protocol, kind) for kind in kinds]
        mean = _spread(average_seeds(outcome, method, protocol, MEAN, outcome.ranked_by))
        seeds = len({ln.seed for ln in lines if ln.method == method})
        rows.append([method, mean, *cells, str(seeds), *([_p(p.get(method))] if p else [])])
    words = outcome.ranked_by.replace("_", " ")
    head = ["method", MEAN, *(k.replace("_", " ") for k in kinds), "seeds", *(["p"] if p else [])]
    return TextTable(f"{protocol}: {words}", head, rows)


def _by_figure(outcome: Outcome, protocol: str) -> TextTable:
    rows = [
        [m, *(_spread(average_seeds(outcome, m, protocol, MEAN, name)) for name in OTHERS)]
        for m in order_methods(outcome, protocol)
    ]
    return TextTable(f"{protocol}: other figures, mean of the kinds", ["method", *OTHERS.values()], rows)


def _interval(outcome: Outcome, method: str, protocol: str, kind: str) -> str:
    lines = _lines(outcome, method, protocol, kind, outcome.ranked_by)
    if not lines:
        return "-"
    value = summarise_seeds([line.value for line in lines]).value
    return str(Metric(value, lines[0].low, lines[0].high))


def _spread(figure: Metric) -> str:
    if math.isnan(figure.value):
        return "-"
    half = "" if math.isnan(figure.high) else f" ± {figure.high - figure.value:.3f}"
    return f"{figure.value:.3f}{half}"


def _lines(outcome: Outcome, method: str, protocol: str, data: str, figure: str) -> Sequence[Line]:
    wanted = (method, protocol, data, figure)
    found = [ln for ln in outcome.lines if (ln.method, ln.protocol, ln.data, ln.figure) == wanted]
    return sorted(found, key=lambda line: line.seed)


def _p(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return "< .001" if value < 0.001 else f"{value:.3f}"
