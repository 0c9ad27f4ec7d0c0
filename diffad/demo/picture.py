"""The picture of the demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffad.data.lesions import KINDS
from diffad.demo.measure import NAMES, DemoCase
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import save_montage
from diffad.report.planes import PictureRow, Planes, orient_plane


def draw_demo(
    case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput, result: dict[str, Any], path: Path
) -> Path:
    """Draw a row through the middle of each lesion, and the slice of the healthy brain that looks worst.

    Args:
        case: What was looked for.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
        result: What was measured.
        path: PNG to write.
    """
    planes, clean = Planes.of(sick, case.labels > 0), Planes.of(healthy, np.zeros_like(case.labels))
    middles = _middles(case)
    rows = [_row(planes, case, kind, middles[kind], result) for kind in KINDS]
    worst = clean.choose(1, result["threshold"])[0]
    alarms = f"false alarms {result['healthy']['false_alarm_rate']:.1%}"
    rows.append(clean.row(worst, "No lesion", f"axial {worst} (worst)\n{alarms}"))
    pooled = result["pooled"]
    subtitle = (
        f"all four: AP {pooled['ap']:.2f} (chance {pooled['chance_ap']:.2f}) · "
        f"best Dice {pooled['best_dice_oracle']:.2f} (oracle) · "
        f"Dice {pooled['dice']:.2f} at threshold {result['threshold']:.3g} ({result['threshold_rule']})"
    )
    title = "Four implanted lesions in a real brain"
    return save_montage(rows, path, sick.info, title, subtitle, planes)


def _middles(case: DemoCase) -> dict[str, int]:
    """Pick the slice that shows most of each lesion, no slice twice."""
    taken: dict[str, int] = {}
    for kind in KINDS:
        area = (case.lesion(kind) & case.seen).sum((0, 1))
        area[list(taken.values())] = 0
        taken[kind] = int(area.argmax())
    return taken


def _row(planes: Planes, case: DemoCase, kind: str, k: int, result: dict[str, Any]) -> PictureRow:
    own = case.lesion(kind)
    figures, lesion = result["kinds"][kind], orient_plane(torch.from_numpy(own)[None], "axial", k)
    note = f"axial {k}, {figures['ml']:.1f} ml\nAP {figures['ap']:.2f}\nAUROC {figures['auroc']:.2f}"
    row = planes.row(k, NAMES.get(kind, kind), note)
    return replace(row, lesion=lesion, others=row.lesion & ~lesion)
