"""The files of the demo: scans, what ``diffad predict`` makes of them, and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.demo.case import DemoCase
from diffad.demo.measure import measure
from diffad.demo.plan import DemoPlan
from diffad.inference.output import AnomalyOutput
from diffad.io.terminal import hold_interrupts
from diffad.pipeline import AnomalyPipeline
from diffad.report.montage import NOTICE

if TYPE_CHECKING:
    from diffad.predict import Options

SICK, HEALTHY = "implanted", "healthy"
"""What the scans with and without lesions are called."""


def write_files(
    pipe: AnomalyPipeline, case: DemoCase, plan: DemoPlan, options: Options, folder: Path
) -> dict[str, Any]:
    """Write everything but the table, and return what goes into it.

    Args:
        pipe: The model.
        case: The brain and its lesions.
        plan: What is shown.
        options: How the scans are analysed.
        folder: Gets the files.

    Raises:
        ValueError: If a scan cannot be used.
        OSError: If a file cannot be written.
    """
    from diffad.demo.heads import draw_heads
    from diffad.demo.picture import draw_demo

    (folder / "scan").mkdir()
    (folder / "lesions").mkdir()
    name = plan.name_scan(SICK)
    case.healthy.save(case.labels, folder / "lesions" / f"{name}_lesions.nii.gz", dtype=np.uint8)
    sick = predict_scan(pipe, case.healthy, case.image, name, folder, options)
    # without a stored threshold, that of the first scan serves both
    if sick.info["threshold_rule"] == "otsu":
        options = replace(options, threshold=sick.info["threshold"])
    healthy = predict_scan(pipe, case.healthy, case.healthy.data[0], plan.name_scan(HEALTHY), folder, options)
    result = measure(case, sick, healthy) | {"head": plan.head, "note": plan.note}
    _redraw_report(sick, case.labels, name, folder / "prediction")
    draw_demo(case, sick, healthy, result, folder / "montage.png")
    draw_heads(sick, healthy, result, folder)
    return result


def _redraw_report(sick: AnomalyOutput, labels: Array, name: str, results: Path) -> None:
    """Draw the picture of the scan with lesions again, with their outlines."""
    from diffad.io.naming import Naming
    from diffad.predict.finished import store_files
    from diffad.report.montage import save_report

    files = Naming(name).files(results)
    save_report(sick, files["report"], labels)
    store_files(sick.info, files["info"], {"report": files["report"]})


def predict_scan(
    pipe: AnomalyPipeline, like: Volume, image: Array, name: str, folder: Path, options: Options
) -> AnomalyOutput:
    """Write a scan, do with it what ``diffad predict`` does, and read the results back.

    Args:
        pipe: The model.
        like: Volume whose grid the scan has.
        image: The scan, (I, J, K).
        name: Name of the scan.
        folder: Gets ``scan/NAME.nii.gz`` and the results in ``prediction``.
        options: How the scan is analysed.

    Raises:
        ValueError: If the scan cannot be used.
    """
    from diffad.io.subjects import Subject
    from diffad.predict import Cohort
    from diffad.report.reading import read_result

    path, results = folder / "scan" / f"{name}.nii.gz", folder / "prediction"
    like.save(image, path)
    cohort = Cohort(pipe, results, options)
    if not cohort.run([Subject(name, (path,))]).complete:
        raise ValueError(f"{name}: {cohort.results.rows[name]['error']}")
    return read_result(results, name, path)


def publish_files(folder: Path, out: Path) -> None:
    """Move every finished file from a folder to its place in ``out``; nothing else there is touched."""
    for info in folder.glob("prediction/*_info.json"):  # they name their scan
        info.write_text(info.read_text(encoding="utf-8").replace(str(folder), str(out)), encoding="utf-8")
    with hold_interrupts():
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            target = out / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def describe_files(out: Path, plan: DemoPlan) -> str:
    """Say where the pictures are and how to look at the volumes.

    Args:
        out: Folder of the results.
        plan: What is shown.
    """
    name, healthy = plan.name_scan(SICK), plan.name_scan(HEALTHY)
    scans, results = out / "scan", out / "prediction"
    return (
        f"\nPicture  {out / 'demo.png'}: both heads in three planes\n"
        f"Lesions  {out / 'montage.png'}: a row for each\n"
        f"Reports  {results / f'{name}_report.png'} and {results / f'{healthy}_report.png'}\n"
        f"Table    {out / 'table.json'}\n"
        f"Volumes  to be overlaid in any NIfTI viewer (ITK-SNAP, FSLeyes, MRIcroGL):\n"
        f"         scans         {scans / f'{name}.nii.gz'} and {scans / f'{healthy}.nii.gz'}\n"
        f"         anomaly map   {results / f'{name}_anomaly.nii.gz'}\n"
        f"         true lesions  {out / 'lesions' / f'{name}_lesions.nii.gz'}\n"
        f"{NOTICE}"
    )
