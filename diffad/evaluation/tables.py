"""An evaluation for the eye, for a spreadsheet and for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from diffad.evaluation.cohort import Evaluation
from diffad.evaluation.result import Result
from diffad.io.atomic import write_text
from diffad.io.escape import format_csv
from diffad.io.terminal import plain_text, say, show

LABELS = {
    "scans": "scans",
    "lesioned": "scans with lesions",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_ap": "pixel AP",
    "pixel_auroc": "pixel AUROC",
    "dice": "Dice at the stored threshold, all voxels",
    "mean_dice": "Dice at the stored threshold, mean of scans",
    "oracle_dice": "best Dice (oracle: threshold from the truth)",
    "oracle_threshold": "threshold of the best Dice (oracle)",
    "healthy_voxels_flagged": "false alarms: fraction of the voxels of healthy scans",
    "healthy_scans_flagged": "false alarms: fraction of the healthy scans",
}
COLUMNS = {
    "scan": "scan",
    "lesion_voxels": "lesion voxels",
    "image_score": "score",
    "pixel_ap": "AP",
    "pixel_auroc": "AUROC",
    "dice": "Dice",
    "oracle_dice": "best Dice (oracle)",
    "false_alarm_rate": "false alarms",
}
TABLE_KEYS = ("voxels", "pixel_auroc", "oracle_dice", "oracle_threshold")
"""Keys of a row that the table of scans has; they are no part of what a protocol says in JSON."""


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the metrics of each scan and of the whole cohort; a dash is what is not defined."""
    scans = Table(*COLUMNS.values(), title="per scan", title_justify="left")
    for row in evaluation.volumes:
        scans.add_row(*(plain_text(_format_cell(row[key])) for key in COLUMNS))
    show("table", scans)
    pooled = Table("pooled", "")
    for key, label in LABELS.items():
        pooled.add_row(label, _format_cell(evaluation.pooled[key]))
    show("table", pooled)


def print_protocol(result: Result) -> None:
    """Print what one protocol says, with 95 % intervals over subjects where it has any."""
    for warning in result.warnings:
        say(f"warning: {result.protocol}: {warning}")
    title = f"protocol {result.protocol} (95 % intervals over subjects)"
    table = Table("metric", "", title=title, title_justify="left")
    for name, metric in result.figures.items():
        table.add_row(name.replace("_", " "), str(metric))
    show("table", table)


def _format_cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4f}"
    return str(value)


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write all metrics as JSON or CSV, by the suffix, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, WRITERS[path.suffix](evaluation))


def as_json(evaluation: Evaluation) -> str:
    """Return everything as JSON; what is not defined is null."""
    content: dict[str, Any] = {
        "pooled": _replace_nan(evaluation.pooled),
        "volumes": [_replace_nan(row) for row in evaluation.volumes],
        "missing": evaluation.missing,
        "warnings": evaluation.warnings,
        "protocols": {result.protocol: _describe_result(result) for result in evaluation.protocols},
    }
    if (strata := evaluation.strata) is not None:
        rows = [_replace_nan(row) for row in strata.lesions]
        content["strata"] = {"lesions": rows, "healthy": _replace_nan(strata.healthy)}
    return json.dumps(content, indent=1)


def _describe_result(result: Result) -> dict[str, Any]:
    rows = [{key: value for key, value in row.items() if key not in TABLE_KEYS} for row in result.rows]
    return {
        "settings": {**result.settings},
        "figures": {name: _replace_nan(asdict(metric)) for name, metric in result.figures.items()},
        "samples": [_replace_nan(row) for row in rows],
        "warnings": result.warnings,
    }


def as_csv(evaluation: Evaluation) -> str:
    """Return a row for each scan and the row "pooled"; what is not defined is empty."""
    pooled = {"scan": "pooled", **evaluation.pooled}
    rows = [_replace_nan(row) for row in [*evaluation.volumes, pooled]]
    return format_csv(list({**evaluation.volumes[0], **pooled}), rows)


def _replace_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


WRITERS: dict[str, Callable[[Evaluation], str]] = {".json": as_json, ".csv": as_csv}
