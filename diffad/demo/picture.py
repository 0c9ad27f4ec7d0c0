"""The picture of the demo that has a row for each lesion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffad.demo.case import DemoCase
from diffad.demo.plan import format_name
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import save_montage
from diffad.report.planes import PictureRow, Planes, orient_plane


def draw_demo(
    case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput, result: dict[str, Any], path: Path
) -> Path:
    """Draw a row through the middle of each lesion, and one of the healthy brain.

    That is the slice that looks worst, or, where nothing is detected, the one of the first lesion.

    Args:
        case: The brain and its lesions.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
        result: The measures.
        path: PNG to write.
    """
    planes, healthy_planes = Planes.of(sick, case.labels > 0), Planes.of(healthy, np.zeros_like(case.labels))
    middles = _find_middles(case)
    rows = [_make_row(planes, case, name, middles[name], result) for name in case.names]
    place, note = middles[case.names[0]], "no detection"
    if result["healthy"]["detections"]:
        place = healthy_planes.choose(1, result["threshold"])[0]
        note = f"false alarms {result['healthy']['false_alarm_rate']:.1%}"
    rows.append(healthy_planes.cut_row(place, "No lesion", f"axial {place}\n{note}"))
    measures = result["pooled"]
    subtitle = (
        f"All four lesions: AP {measures['ap']:.2f} (by chance {measures['chance_ap']:.2f}) · "
        f"best Dice {measures['best_dice_oracle']:.2f} (oracle) · "
        f"Dice {measures['dice']:.2f} at threshold {result['threshold']:.3g} ({result['threshold_rule']})"
    )
    return save_montage(
        rows, path, sick.info, f"Four synthetic lesions in {result['head']}", subtitle, planes
    )


def _find_middles(case: DemoCase) -> dict[str, int]:
    """Pick the slice that shows most of each lesion, no slice twice."""
    slices: dict[str, int] = {}
    for name in case.names:
        area = (case.lesion(name) & case.analysed).sum((0, 1))
        area[list(slices.values())] = 0
        slices[name] = int(area.argmax())
    return slices


def _make_row(planes: Planes, case: DemoCase, name: str, k: int, result: dict[str, Any]) -> PictureRow:
    measures = result["lesions"][name]
    lesion = orient_plane(torch.from_numpy(case.lesion(name))[None], "axial", k)
    note = f"axial {k}, {measures['ml']:.1f} ml\nAP {measures['ap']:.2f}\nAUROC {measures['auroc']:.2f}"
    row = planes.cut_row(k, format_name(name), note)
    return replace(row, lesion=lesion, others=row.lesion & ~lesion)
