"""Picture and table of the demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.table import Table

from diffad.data.lesions import KINDS
from diffad.output import AnomalyOutput
from diffad.report.montage import save_montage
from diffad.report.planes import Planes, Row, hang

if TYPE_CHECKING:
    from diffad.demo import Case

NAMES = {"dark": "Dark", "bright": "Bright", "textured": "Textured", "mass_effect": "Mass effect"}


def draw(case: Case, sick: AnomalyOutput, healthy: AnomalyOutput, result: dict[str, Any], path: Path) -> Path:
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


def _middles(case: Case) -> dict[str, int]:
    """Pick the slice that shows most of each lesion, no slice twice."""
    taken: dict[str, int] = {}
    for kind in KINDS:
        area = (case.lesion(kind) & case.seen).sum((0, 1))
        area[list(taken.values())] = 0
        taken[kind] = int(area.argmax())
    return taken


def _row(planes: Planes, case: Case, kind: str, k: int, result: dict[str, Any]) -> Row:
    own = case.lesion(kind)
    figures, lesion = result["kinds"][kind], hang(torch.from_numpy(own)[None], "axial", k)
    note = f"axial {k}, {figures['ml']:.1f} ml\nAP {figures['ap']:.2f}\nAUROC {figures['auroc']:.2f}"
    row = planes.row(k, NAMES.get(kind, kind), note)
    return replace(row, lesion=lesion, others=row.lesion & ~lesion)


def table(result: dict[str, Any]) -> Table:
    """Lay out what was measured for a terminal."""
    title = f"{result['model']}: lesions in axial slices {result['slices'][0]} to {result['slices'][1] - 1}"
    grid = Table(title=title, title_justify="left", caption=_caption(result), caption_justify="left")
    grid.add_column("lesion")
    for name in ("ml", "AP", "chance", "AUROC", "best Dice\n(oracle)", f"Dice at\n{result['threshold']:.3g}"):
        grid.add_column(name, justify="right")
    for kind, figures in result["kinds"].items():
        grid.add_row(NAMES.get(kind, kind), *_cells(figures))
    grid.add_section()
    grid.add_row("all four", *_cells(result["pooled"]), style="bold")
    return grid


def _cells(figures: dict[str, float]) -> list[str]:
    names = ("ap", "chance_ap", "auroc", "best_dice_oracle", "dice")
    return [f"{figures['ml']:.1f}", *(f"{figures[name]:.3f}" for name in names)]


def _caption(result: dict[str, Any]) -> str:
    healthy, count = result["healthy"], result["slices"][1] - result["slices"][0]
    return (
        f"Pixels of the brain in these slices. Threshold: {result['threshold_rule']}.\n"
        f"Same brain without lesions: {healthy['false_alarm_rate']:.1%} of the pixels are false alarms; "
        f"image score {healthy['score']:.3g}, with lesions {healthy['score_with_lesions']:.3g}.\n"
        f"{result['seconds']:.1f} s for {count} slices, {result['nfe']} network evaluations a slice; "
        f"{result['total_seconds']:.0f} s with all files."
    )


def say_where(out: Path, name: str) -> str:
    """Tell where the picture lies and how to look at the volumes."""
    scan, report = out / "scan" / f"{name}.nii.gz", out / "prediction" / f"{name}_report.png"
    anomaly, lesions = (
        out / "prediction" / f"{name}_anomaly.nii.gz",
        out / "lesions" / f"{name}_lesions.nii.gz",
    )
    return (
        f"\n[bold]Picture[/]  {out / 'montage.png'}\n"
        f"[bold]Report[/]   {report}\n"
        f"[bold]Figures[/]  {out / 'table.json'}\n"
        f"[bold]Volumes[/]  open in any NIfTI viewer (ITK-SNAP, FSLeyes, MRIcroGL), laid over each other:\n"
        f"         scan {scan}\n         map  {anomaly}\n         true {lesions}\n"
        "Research use only. Not a medical device."
    )
