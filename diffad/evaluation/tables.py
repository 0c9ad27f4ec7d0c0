"""An evaluation for the eye, for a spreadsheet and for a program."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from diffad.evaluation.cohort import Evaluation
from diffad.evaluation.result import Result
from diffad.io.atomic import write_text

LABELS = {
    "scans": "scans",
    "lesioned": "of them with lesions",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_ap": "pixel AP",
    "pixel_auroc": "pixel AUROC",
    "dice": "Dice at the stored threshold, all voxels",
    "mean_dice": "Dice at the stored threshold, mean of scans",
    "oracle_dice": "best Dice (oracle: threshold from the truth)",
    "oracle_threshold": "threshold of the best Dice (oracle)",
    "healthy_voxels_flagged": "false alarms: share of healthy scans' voxels",
    "healthy_scans_flagged": "false alarms: share of healthy scans",
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


def print_evaluation(result: Evaluation) -> None:
    """Print the pooled figures, and a row for each scan; a dash is what is not defined."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    scans = Table(*COLUMNS.values(), title="per scan", title_justify="left")
    for row in result.volumes:
        scans.add_row(*(_cell(row[key]) for key in COLUMNS))
    console.print(scans)
    pooled = Table("pooled", "")
    for key, label in LABELS.items():
        pooled.add_row(label, _cell(result.pooled[key]))
    console.print(pooled)


def print_protocol(result: Result) -> None:
    """Print what one protocol says, with 95 % intervals over subjects where it has any."""
    for warning in result.warnings:
        print(f"warning: {result.protocol}: {warning}", file=sys.stderr)
    title = f"protocol {result.protocol} (95 % intervals over subjects)"
    table = Table("figure", "", title=title, title_justify="left")
    for name, figure in result.figures.items():
        table.add_row(name.replace("_", " "), str(figure))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4f}"
    return str(value)


def write_evaluation(result: Evaluation, path: Path) -> None:
    """Write all figures as JSON or CSV, by the suffix, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, WRITERS[path.suffix](result))


def as_json(result: Evaluation) -> str:
    """Return everything as JSON; what is not defined is null."""
    volumes = [_defined(row) for row in result.volumes]
    whole = {"pooled": _defined(result.pooled), "volumes": volumes}
    rest = {"missing": result.missing, "warnings": result.warnings}
    protocols = {one.protocol: _told(one) for one in result.protocols}
    return json.dumps({**whole, **rest, "protocols": protocols}, indent=1)


def _told(result: Result) -> dict[str, Any]:
    figures = {name: _defined(asdict(figure)) for name, figure in result.figures.items()}
    rows = [_defined(row) for row in result.rows]
    settings = {**result.settings}
    return {"settings": settings, "figures": figures, "samples": rows, "warnings": result.warnings}


def as_csv(result: Evaluation) -> str:
    """Return a row for each scan and the row "pooled"; what is not defined is empty."""
    columns = list(dict.fromkeys([*result.volumes[0], *result.pooled]))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows([*map(_defined, result.volumes), {"scan": "pooled", **_defined(result.pooled)}])
    return text.getvalue()


def _defined(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


WRITERS: dict[str, Callable[[Evaluation], str]] = {".json": as_json, ".csv": as_csv}
