"""The demo: four lesions of known extent in a real brain, and how well a model detects them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.demo.case import KNOWN_SLICES, RADIUS, DemoCase, load_template, make_case
from diffad.demo.measure import describe_files, format_measures, measure
from diffad.inference.output import AnomalyOutput
from diffad.io.scratch import scratch_folder
from diffad.io.terminal import hold_interrupts, show, tell
from diffad.pipeline import AnomalyPipeline

if TYPE_CHECKING:
    from rich.console import Console

    from diffad.predict import Options

SICK, HEALTHY = "implanted", "healthy"
DEMO_MODEL = "ixi-t1-axial"
"""Of the shipped models the one that does best on the brain of the demo, an average of many brains."""


def run_demo(
    out: str | Path = "demo_out",
    model: str | Path = DEMO_MODEL,
    seed: int = 0,
    brain: Volume | None = None,
    slices: tuple[int, int] | None = None,
    radius: tuple[float, float] = RADIUS,
    console: Console | None = None,
) -> dict[str, Any]:
    """Implant four lesions in a real brain, look for them, and measure how well they are detected.

    Writes scans, lesion mask, the files of ``diffad predict``, ``montage.png``, both scans in three planes
    (``planes.png``, ``planes_healthy.png``) and ``table.json``. Nothing
    in ``out`` changes before all is done; files of an older run are then replaced one by one, others stay.

    Args:
        out: Folder to write to.
        model: A shipped model, a folder, or a hub id; it must analyse axial slices.
        seed: Seed of lesions and noise.
        brain: A skull-stripped scan; by default the MNI152 T1 template that nilearn ships.
        slices: First and last (exclusive) axial slice to analyse; none for those that the model knows.
        radius: Smallest and largest radius of the lesions, in voxels.
        console: Where to print; where all commands do by default.

    Returns:
        The measures, as in ``table.json``.

    Raises:
        ImportError: If the default brain is asked for and nilearn is missing.
        ValueError: If the model does not analyse axial slices, or the lesions do not fit the brain.
        OSError: If there is no such model, or a file cannot be written.
    """
    from diffad.predict import Options

    start, out = time.perf_counter(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    healthy, pipe = load_template() if brain is None else brain, load_axial_model(model)
    _show(console, "Implanting four synthetic lesions in a real brain ...")
    slices = KNOWN_SLICES.get(pipe.config.provenance.get("name")) if slices is None else slices
    case = make_case(healthy, slices, seed, radius)
    part = "the whole brain" if slices is None else f"axial slices {slices[0]} to {slices[1] - 1}"
    _show(console, f"Analysing {part}, with and without lesions ...")
    with scratch_folder(out / "demo") as folder:
        result = _write_files(pipe, case, Options(slices=slices, seed=seed), folder)
        result |= {"model": str(model), "seed": seed, "total_seconds": round(time.perf_counter() - start, 1)}
        (folder / "table.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        publish_files(folder, out)
    _show(console, format_measures(result))
    _show(console, describe_files(out, SICK), **result)
    return result


def _show(console: Console | None, thing: Any, **fields: Any) -> None:
    """Print on a console of rich, or, where there is none, as all commands do."""
    if console is not None:
        console.print(thing, soft_wrap=isinstance(thing, str))
    elif fields or not isinstance(thing, str):
        show("demo", thing, **fields)
    else:
        tell(thing)


def load_axial_model(model: str | Path) -> AnomalyPipeline:
    """Load a model, refusing one that does not analyse axial slices.

    Raises:
        OSError: If there is no such model.
        ValueError: If its slices are not axial.
    """
    pipe = AnomalyPipeline.from_pretrained(model)
    if (axis := pipe.config.space["axis"]) != "axial":
        raise ValueError(f"{model}: expected a model of axial slices, got one of axis {axis!r}")
    return pipe


def _write_files(pipe: AnomalyPipeline, case: DemoCase, options: Options, folder: Path) -> dict[str, Any]:
    """Write everything but the table, and return what goes into it."""
    from diffad.demo.picture import draw_demo
    from diffad.io.naming import Naming
    from diffad.predict.finished import store_files
    from diffad.report.figure import save_figure
    from diffad.report.montage import save_report

    (folder / "scan").mkdir()
    (folder / "lesions").mkdir()
    case.healthy.save(case.labels, folder / "lesions" / f"{SICK}_lesions.nii.gz", dtype=np.uint8)
    sick = predict_scan(pipe, case.healthy, case.image, SICK, folder, options)
    # without a stored threshold, that of the first scan serves both
    if sick.info["threshold_rule"] == "otsu":
        options = replace(options, threshold=sick.info["threshold"])
    healthy = predict_scan(pipe, case.healthy, case.healthy.data[0], HEALTHY, folder, options)
    result = measure(case, sick, healthy)
    files = Naming(SICK).files(folder / "prediction")
    save_report(sick, files["report"], case.labels)
    store_files(sick.info, files["info"], {"report": files["report"]})
    draw_demo(case, sick, healthy, result, folder / "montage.png")
    save_figure(sick, folder / "planes.png", lesions=sick.lesions())
    save_figure(healthy, folder / "planes_healthy.png", lesions=healthy.lesions())
    return result


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
