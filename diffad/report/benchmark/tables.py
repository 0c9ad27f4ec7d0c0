"""Results of a benchmark laid out in rows and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffad.evaluation.result import Metric
from diffad.evaluation.statistics import compare_paired, holm, summarise_seeds
from diffad.report.benchmark.outcome import MetricRow, Outcome

OTHER_METRICS = {
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "dice": "Dice at the protocol's threshold",
    "mean_dice": "mean Dice of samples",
    "oracle_dice": "best Dice (oracle)",
    "estimated_dice": "Dice at the estimated threshold",
    "estimated_fpr": "healthy voxels flagged there",
    "image_auroc": "image AUROC",
    "healthy_voxels_flagged": "healthy voxels flagged",
}
"""Metrics of the second table, with the heads of their columns."""
METRIC_NAMES = {"pixel_ap": "pixel AP", **OTHER_METRICS}
MEAN = "mean"

NOTE = (
    "Values are means over seeds. In brackets: the 95 % confidence interval over subjects, from the first "
    "seed. Behind ±: the standard deviation between seeds, if there are several. An oracle chooses its "
    "threshold with the ground truth in hand, so its Dice is an upper bound, not a result; the estimated one "
    "is exceeded by a share of the healthy voxels of other subjects, 1 % unless the protocol says otherwise, "
    "and what it flags of the healthy scans tested stands beside it. A dash means that "
    "the value is not defined. p: paired permutation test against the best method on the same subjects, with "
    "Holm's correction for the number of methods."
)


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


def describe_metric(name: str) -> str:
    """Return the name of a metric for readers."""
    return METRIC_NAMES.get(name, name.replace("_", " "))


def make_tables(outcome: Outcome) -> list[TextTable]:
    """Return two tables for each protocol: the ranking metric by kind of lesion, and the other metrics."""
    protocols = list(dict.fromkeys(row.protocol for row in outcome.rows))
    return [make(outcome, name) for name in protocols for make in (_tabulate_kinds, _tabulate_metrics)]


def format_markdown(outcome: Outcome) -> str:
    """Lay all tables out as Markdown; a bar in a name cannot break a row."""
    parts = [f"# {outcome.name}", NOTE]
    for grid in make_tables(outcome):
        rows = [grid.head, ["---"] * len(grid.head), *grid.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts += [f"## {grid.title}", "\n".join(lines)]
    parts += [f"{label} has no results: {reason}" for label, reason in outcome.failures.items()]
    return "\n\n".join(parts) + "\n"


def order_methods(outcome: Outcome, protocol: str | None = None) -> list[str]:
    """Return the methods that have results, by the mean of the ranking metric, best first."""
    protocol = protocol or find_first_protocol(outcome)
    means = {
        m: average_seeds(outcome, m, protocol, MEAN, outcome.ranking_metric).value for m in outcome.methods
    }
    methods = [m for m in outcome.methods if any(row.method == m for row in outcome.rows)]
    return sorted(methods, key=lambda m: (math.isnan(means[m]), -means[m]))


def find_first_protocol(outcome: Outcome) -> str:
    """Return the protocol everything is ranked by; empty if there is no result."""
    return outcome.rows[0].protocol if outcome.rows else ""


def average_seeds(outcome: Outcome, method: str, protocol: str, data: str, metric: str) -> Metric:
    """Return a metric over the seeds, see ``summarise_seeds``."""
    return summarise_seeds([row.value for row in _select_rows(outcome, method, protocol, data, metric)])


def correct_p_values(outcome: Outcome) -> dict[str, float]:
    """Return Holm-corrected p-values against the best method; none for those without its subjects."""
    table = outcome.subjects.get(find_first_protocol(outcome), {})
    methods = [m for m in order_methods(outcome) if table.get(m)]
    if len(methods) < 2:
        return {}
    best, *others = methods
    comparable = [m for m in others if set(table[m]) == set(table[best])]
    p = holm([compare_paired(table[best], table[m]).p_permutation for m in comparable])
    return dict(zip(comparable, p, strict=True))


def _tabulate_kinds(outcome: Outcome, protocol: str) -> TextTable:
    """Lay out the ranking metric, a column for each kind of lesion."""
    name = outcome.ranking_metric
    metric_rows = [row for row in outcome.rows if row.protocol == protocol and row.metric == name]
    kinds = [kind for kind in dict.fromkeys(row.data for row in metric_rows) if kind != MEAN]
    p = correct_p_values(outcome) if protocol == find_first_protocol(outcome) else {}
    rows = []
    for method in order_methods(outcome, protocol):
        cells = [_format_interval(outcome, method, protocol, kind) for kind in kinds]
        mean = _format_spread(average_seeds(outcome, method, protocol, MEAN, name))
        seeds = len({row.seed for row in metric_rows if row.method == method})
        rows.append([method, mean, *cells, str(seeds), *([_format_p(p.get(method))] if p else [])])
    head = ["method", MEAN, *(kind.replace("_", " ") for kind in kinds), "seeds", *(["p"] if p else [])]
    return TextTable(f"{protocol}: {describe_metric(name)}", head, rows)


def _tabulate_metrics(outcome: Outcome, protocol: str) -> TextTable:
    rows = [
        [m, *(_format_spread(average_seeds(outcome, m, protocol, MEAN, name)) for name in OTHER_METRICS)]
        for m in order_methods(outcome, protocol)
    ]
    head = ["method", *OTHER_METRICS.values()]
    return TextTable(f"{protocol}: other metrics, means over the kinds", head, rows)


def _format_interval(outcome: Outcome, method: str, protocol: str, kind: str) -> str:
    rows = _select_rows(outcome, method, protocol, kind, outcome.ranking_metric)
    if not rows:
        return "-"
    value = summarise_seeds([row.value for row in rows]).value
    return str(Metric(value, rows[0].low, rows[0].high))


def _format_spread(metric: Metric) -> str:
    if math.isnan(metric.value):
        return "-"
    half = "" if math.isnan(metric.high) else f" ± {metric.high - metric.value:.3f}"
    return f"{metric.value:.3f}{half}"


def _select_rows(outcome: Outcome, method: str, protocol: str, data: str, metric: str) -> Sequence[MetricRow]:
    key = (method, protocol, data, metric)
    rows = [row for row in outcome.rows if (row.method, row.protocol, row.data, row.metric) == key]
    return sorted(rows, key=lambda row: row.seed)


def _format_p(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return "< .001" if value < 0.001 else f"{value:.3f}"
