"""What the demo measures, and how it tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from diffad.data.lesions import KINDS
from diffad.data.volume import Volume
from diffad.evaluation.metrics import RankCurve, dice, false_alarm_rate
from diffad.inference.output import AnomalyOutput
from diffad.report.planes import Array

NAMES = {"dark": "Dark", "bright": "Bright", "textured": "Textured", "mass_effect": "Mass effect"}


@dataclass(frozen=True)
class DemoCase:
    """A brain with and without lesions.

    Args:
        healthy: The brain as it came.
        brain: Its mask, (I, J, K), bool.
        image: The brain with lesions, (I, J, K), in the same intensities.
        labels: Lesions, (I, J, K), uint8: 1 + position in ``KINDS``, 0 elsewhere.
        slices: First and last (exclusive) axial slice to look at.
    """

    healthy: Volume
    brain: Array
    image: Array
    labels: Array
    slices: tuple[int, int]

    @property
    def seen(self) -> Array:
        """The part of the brain that is looked at, (I, J, K), bool."""
        looked = np.zeros_like(self.brain)
        looked[..., slice(*self.slices)] = True
        return looked & self.brain

    def lesion(self, kind: str) -> Array:
        """Return the extent of the lesion of one kind, (I, J, K), bool."""
        return self.labels == 1 + KINDS.index(kind)


def measure(case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput) -> dict[str, Any]:
    """Score the maps inside the brain of the slices looked at; a kind leaves out the other kinds' lesions.

    Args:
        case: What was looked for.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
    """
    scores, flagged = sick.anomaly_map[0, 0].numpy(), sick.mask[0, 0].numpy()
    seen, any_lesion = case.seen, case.labels > 0
    kinds = {}
    for kind in KINDS:
        lesion = case.lesion(kind)
        kinds[kind] = _row(scores, flagged, lesion, seen & (lesion | ~any_lesion), case.healthy)
    return {
        "kinds": kinds,
        "pooled": _row(scores, flagged, any_lesion, seen, case.healthy),
        "healthy": {
            "false_alarm_rate": false_alarm_rate(healthy.mask[0, 0].numpy() & seen, seen),
            "score": float(healthy.score[0]),
            "score_with_lesions": float(sick.score[0]),
        },
        "threshold": sick.info["threshold"],
        "threshold_rule": sick.info["threshold_rule"],
        "slices": list(case.slices),
        "nfe": sick.info["nfe"],
        "seconds": sick.info["seconds"],
    }


def _row(scores: Array, flagged: Array, lesion: Array, where: Array, volume: Volume) -> dict[str, float]:
    curve = RankCurve.of(scores[where], lesion[where])
    return {
        "ml": round(int((lesion & where).sum()) * float(volume.spacing.prod()) / 1000, 2),
        "ap": curve.average_precision(),
        "chance_ap": float(lesion[where].mean()),
        "auroc": curve.auroc(),
        "best_dice_oracle": curve.best_dice().dice,
        "dice": dice(flagged[where], lesion[where]),
    }


def format_measures(result: dict[str, Any]) -> Table:
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
    anomaly = out / "prediction" / f"{name}_anomaly.nii.gz"
    lesions = out / "lesions" / f"{name}_lesions.nii.gz"
    return (
        f"\n[bold]Picture[/]  {out / 'montage.png'}\n"
        f"[bold]Report[/]   {report}\n"
        f"[bold]Figures[/]  {out / 'table.json'}\n"
        f"[bold]Volumes[/]  open in any NIfTI viewer (ITK-SNAP, FSLeyes, MRIcroGL), laid over each other:\n"
        f"         scan {scan}\n         map  {anomaly}\n         true {lesions}\n"
        "Research use only. Not a medical device."
    )
