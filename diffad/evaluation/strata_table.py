"""Strata for the eye."""

from __future__ import annotations

import math
from typing import Any

from rich.table import Table

from diffad.evaluation.strata import Strata
from diffad.io.terminal import show

COLUMNS = {
    "stratum": "stratum",
    "lesions": "lesions",
    "scans": "scans",
    "prevalence": "prevalence",
    "pixel_ap": "AP",
    "best_dice": "best Dice (oracle)",
    "dice": "Dice",
    "sensitivity": "detected",
    "false_positives": "false per head",
    "false_positives_1ml": "over 1 ml",
}
HEALTHY = {
    "heads": "heads without a lesion",
    "share_flagged": "share of the brain flagged, mean",
    "highest_share": "share of the brain flagged, highest",
    "detections": "detections per head",
    "detections_1ml": "detections above 1 ml per head",
}


def print_strata(strata: Strata) -> None:
    """Print a row for each stratum, and what is flagged in healthy heads; a dash is what is not defined."""
    table = Table(*COLUMNS.values(), title="by stratum", title_justify="left")
    for row in strata.lesions:
        table.add_row(*(_format(row[key]) for key in COLUMNS))
    show("table", table)
    if strata.healthy:
        healthy = Table("healthy heads", "")
        for key, label in HEALTHY.items():
            healthy.add_row(label, _format(strata.healthy[key]))
        show("table", healthy)


def _format(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)
