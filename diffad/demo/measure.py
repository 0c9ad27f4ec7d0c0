"""Measures how well the lesions of the demo are detected, and lays the measures out for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from scipy import ndimage

from diffad.data.lesions import KINDS
from diffad.data.volume import Array, Volume
from diffad.demo.case import KIND_NAMES, DemoCase
from diffad.evaluation.metrics import RankCurve, dice, false_alarm_rate
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import NOTICE


def measure(case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput) -> dict[str, Any]:
    """Score the maps inside the brain of the analysed slices; a kind leaves out the other kinds' lesions.

    Args:
        case: The brain and its lesions.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
    """
    anomaly, detections = sick.anomaly_map[0, 0].numpy(), sick.mask[0, 0].numpy()
    analysed_mask, any_lesion = case.analysed, case.labels > 0
    kinds = {}
    for kind in KINDS:
        lesion = case.lesion(kind)
        region = analysed_mask & (lesion | ~any_lesion)
        kinds[kind] = _score_lesion(anomaly, detections, lesion, region, case.healthy)
    return {
        "kinds": kinds,
        "pooled": _score_lesion(anomaly, detections, any_lesion, analysed_mask, case.healthy),
        "healthy": {
            "false_alarm_rate": false_alarm_rate(healthy.mask[0, 0].numpy() & analysed_mask, analysed_mask),
            "detections": int(ndimage.label(healthy.mask[0, 0].numpy(), np.ones((3, 3, 3)))[1]),
            "score": float(healthy.score[0]),
            "score_with_lesions": float(sick.score[0]),
        },
        "threshold": sick.info["threshold"],
        "threshold_rule": sick.info["threshold_rule"],
        "slices": list(case.slices),
        "nfe": sick.info["nfe"],
        "seconds": sick.info["seconds"],
    }


def _score_lesion(
    anomaly: Array, detections: Array, lesion: Array, region: Array, volume: Volume
) -> dict[str, float]:
    curve = RankCurve.of(anomaly[region], lesion[region])
    return {
        "ml": round(int((lesion & region).sum()) * float(volume.spacing.prod()) / 1000, 2),
        "ap": curve.average_precision(),
        "chance_ap": float(lesion[region].mean()),
        "auroc": curve.auroc(),
        "best_dice_oracle": curve.best_dice().dice,
        "dice": dice(detections[region], lesion[region]),
    }


def format_measures(result: dict[str, Any]) -> Table:
    """Lay out the measures for a terminal."""
    title = f"{result['model']}: lesions in axial slices {result['slices'][0]} to {result['slices'][1] - 1}"
    grid = Table(title=title, title_justify="left", caption=_format_caption(result), caption_justify="left")
    grid.add_column("lesion")
    threshold = f"Dice at\n{result['threshold']:.3g}"
    for name in ("ml", "AP", "AP by\nchance", "AUROC", "best Dice\n(oracle)", threshold):
        grid.add_column(name, justify="right")
    for kind, measures in result["kinds"].items():
        grid.add_row(KIND_NAMES.get(kind, kind), *_format_cells(measures))
    grid.add_section()
    grid.add_row("all four", *_format_cells(result["pooled"]), style="bold")
    return grid


def _format_cells(measures: dict[str, float]) -> list[str]:
    names = ("ap", "chance_ap", "auroc", "best_dice_oracle", "dice")
    return [f"{measures['ml']:.1f}", *(f"{measures[name]:.3f}" for name in names)]


def _format_caption(result: dict[str, Any]) -> str:
    healthy, count = result["healthy"], result["slices"][1] - result["slices"][0]
    return (
        f"All brain pixels of these slices count. Threshold: {result['threshold_rule']}.\n"
        f"Same brain without lesions: {healthy['detections']} false detection(s), "
        f"{healthy['false_alarm_rate']:.1%} of the pixels; "
        f"image score {healthy['score']:.3g} ({healthy['score_with_lesions']:.3g} with lesions).\n"
        f"{result['seconds']:.1f} s for {count} slices, {result['nfe']} network evaluations per slice; "
        f"{result['total_seconds']:.0f} s in all, with every file written."
    )


def describe_files(out: Path, name: str) -> str:
    """Say where the picture is and how to look at the volumes."""
    scan, report = out / "scan" / f"{name}.nii.gz", out / "prediction" / f"{name}_report.png"
    anomaly = out / "prediction" / f"{name}_anomaly.nii.gz"
    lesions = out / "lesions" / f"{name}_lesions.nii.gz"
    return (
        f"\nPicture  {out / 'montage.png'}\n"
        f"Planes   {out / 'planes.png'} and {out / 'planes_healthy.png'}\n"
        f"Report   {report}\n"
        f"Table    {out / 'table.json'}\n"
        f"Volumes  to be overlaid in any NIfTI viewer (ITK-SNAP, FSLeyes, MRIcroGL):\n"
        f"         scan          {scan}\n"
        f"         anomaly map   {anomaly}\n"
        f"         true lesions  {lesions}\n"
        f"{NOTICE}"
    )
