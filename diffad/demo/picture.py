"""The picture of the demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffad.data.lesions import KINDS
from diffad.demo.case import KIND_NAMES, DemoCase
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import save_montage
from diffad.report.planes import PictureRow, Planes, orient_plane


def draw_demo(
    case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput, result: dict[str, Any], path: Path
) -> Path:
    """Draw a row through the middle of each lesion, and the slice of the healthy brain that looks worst.

    Args:
        case: The brain and its lesions.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
        result: The measures.
        path: PNG to write.
    """
    planes, healthy_planes = Planes.of(sick, case.labels > 0), Planes.of(healthy, np.zeros_like(case.labels))
    middles = _find_middles(case)
    rows = [_make_row(planes, case, kind, middles[kind], result) for kind in KINDS]
    worst = healthy_planes.choose(1, result["threshold"])[0]
    alarms = f"false alarms {result['healthy']['false_alarm_rate']:.1%}"
    rows.append(healthy_planes.cut_row(worst, "No lesion", f"axial {worst} (worst)\n{alarms}"))
    measures = result["pooled"]
    subtitle = (
        f"All four lesions: AP {measures['ap']:.2f} (by chance {measures['chance_ap']:.2f}) · "
        f"best Dice {measures['best_dice_oracle']:.2f} (oracle) · "
        f"Dice {measures['dice']:.2f} at threshold {result['threshold']:.3g} ({result['threshold_rule']})"
    )
    title = "Four synthetic lesions in a real brain"
    return save_montage(rows, path, sick.info, title, subtitle, planes)


def _find_middles(case: DemoCase) -> dict[str, int]:
    """Pick the slice that shows most of each lesion, no slice twice."""
    slices: dict[str, int] = {}
    for kind in KINDS:
        area = (case.lesion(kind) & case.analysed).sum((0, 1))
        area[list(slices.values())] = 0
        slices[kind] = int(area.argmax())
    return slices


def _make_row(planes: Planes, case: DemoCase, kind: str, k: int, result: dict[str, Any]) -> PictureRow:
    measures = result["kinds"][kind]
    lesion = orient_plane(torch.from_numpy(case.lesion(kind))[None], "axial", k)
    note = f"axial {k}, {measures['ml']:.1f} ml\nAP {measures['ap']:.2f}\nAUROC {measures['auroc']:.2f}"
    row = planes.cut_row(k, KIND_NAMES.get(kind, kind), note)
    return replace(row, lesion=lesion, others=row.lesion & ~lesion)
