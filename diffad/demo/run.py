"""The demo: four lesions of known extent in a real brain, and what a model makes of them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import Tensor

from diffad.data.lesions import KINDS, ImplantedLesion, implant
from diffad.data.masks import brain_mask
from diffad.data.volume import Volume
from diffad.demo.measure import DemoCase, format_measures, measure, say_where
from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import scratch_folder
from diffad.io.terminal import hold_interrupts
from diffad.pipeline import AnomalyPipeline
from diffad.types import generator_for

if TYPE_CHECKING:
    from diffad.predict import Options

Array = npt.NDArray[Any]
SLICES = (91, 100)
"""First and last (exclusive) axial slice of the MNI152 grid that the shipped model knows."""

RADIUS = (10.0, 14.0)
"""Smallest and largest radius of a lesion, in voxels."""

BRIGHTEST = 0.85
"""Where the 99th percentile of the brain goes while lesions are made; leaves room for brighter ones."""

TRIES = 1000
"""Draws until a lesion lies whole inside its quarter of the brain."""

SICK, HEALTHY = "implanted", "healthy"


def run_demo(
    out: str | Path = "demo_out",
    model: str | Path = "ixi-t1-axial",
    seed: int = 0,
    brain: Volume | None = None,
    slices: tuple[int, int] = SLICES,
    radius: tuple[float, float] = RADIUS,
    console: Console | None = None,
) -> dict[str, Any]:
    """Implant four lesions in a real brain, look for them, and say how well that went.

    Writes scans, lesion mask, the files of ``diffad predict``, ``montage.png`` and ``table.json``. Nothing
    in ``out`` changes before all is done; files of an older run are then replaced one by one, others stay.

    Args:
        out: Folder to write to.
        model: A shipped model, a folder, or a hub id; it must look at axial slices.
        seed: Seed of lesions and noise.
        brain: A skull-stripped scan; by default the MNI152 T1 template that nilearn ships.
        slices: First and last (exclusive) axial slice to look at.
        radius: Smallest and largest radius of the lesions, in voxels.
        console: Where to print.

    Returns:
        What the table shows, as in ``table.json``.

    Raises:
        ImportError: If the default brain is wanted and nilearn is missing.
        ValueError: If the model does not look at axial slices, or the lesions do not fit the brain.
        OSError: If there is no such model, or a file cannot be written.
    """
    began, console, out = time.perf_counter(), console or Console(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    healthy, pipe = load_template() if brain is None else brain, load_axial_model(model)
    console.print("Implanting four lesions in a real brain ...")
    case = make_case(healthy, slices, seed, radius)
    console.print(f"Looking at axial slices {slices[0]} to {slices[1] - 1}, with and without lesions ...")
    with scratch_folder(out / "demo") as made:
        result = _make(pipe, case, seed, made)
        result |= {"model": str(model), "seed": seed, "total_seconds": round(time.perf_counter() - began, 1)}
        (made / "table.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        publish_files(made, out)
    console.print(format_measures(result))
    console.print(say_where(out, SICK), soft_wrap=True)
    return result


def load_axial_model(model: str | Path) -> AnomalyPipeline:
    """Load a model, refusing one that does not look at axial slices.

    Raises:
        OSError: If there is no such model.
        ValueError: If its slices are not axial.
    """
    pipe = AnomalyPipeline.from_pretrained(model)
    if (axis := pipe.config.space["axis"]) != "axial":
        raise ValueError(f"{model}: expected a model of axial slices, got one of axis {axis!r}")
    return pipe


def load_template() -> Volume:
    """Return the MNI152 T1 brain that nilearn ships: skull-stripped, 1 mm; nothing is downloaded.

    Raises:
        ImportError: If nilearn is missing.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise ImportError("the demo takes its brain from nilearn: pip install 'diffad[demo]'") from error
    image = load_mni152_template(resolution=1)
    return Volume(image.get_fdata(dtype=np.float32)[None], image.affine)


def make_case(
    healthy: Volume,
    slices: tuple[int, int] = SLICES,
    seed: int = 0,
    radius: tuple[float, float] = RADIUS,
) -> DemoCase:
    """Put one lesion of each kind into a quarter of the brain of its own.

    The lesions are three-dimensional; each is centred in the middle half of the slices.

    Args:
        healthy: Skull-stripped scan of one sequence, with intensities from 0 up.
        slices: First and last (exclusive) axial slice that will be looked at.
        seed: Seed of kinds, places and shapes.
        radius: Smallest and largest radius, in voxels.

    Raises:
        ValueError: If the slices or the lesions do not fit the brain.
    """
    scan, brain, (first, last) = healthy.data[0], brain_mask(healthy.data)[0], slices
    if not (0 <= first < last <= scan.shape[2] and brain[..., first:last].any()):
        raise ValueError(f"expected slices with brain out of {scan.shape[2]}, got {first} to {last - 1}")
    scale = BRIGHTEST / float(np.percentile(scan[brain], 99))
    image, labels = scan.copy(), np.zeros(scan.shape, np.uint8)
    order = torch.randperm(len(KINDS), generator=generator_for(seed)).tolist()
    edge = (last - first) // 4
    for index, box in zip(order, _quarters(brain, slices, radius[1]), strict=True):
        part = torch.from_numpy(scan[box] * scale)[None].clamp(0, 1)
        middle = range(first + edge - box[2].start, last - edge - box[2].start)
        inside = torch.from_numpy(brain[box])[None]
        lesion = _whole(part, inside, KINDS[index], generator_for(seed, index), radius, middle)
        changed = (lesion.image != part)[0].numpy()
        image[box][changed] = lesion.image[0].numpy()[changed] / scale
        labels[box][lesion.mask[0].numpy()] = 1 + index
    return DemoCase(healthy, brain, image, labels, slices)


def _quarters(brain: Array, slices: tuple[int, int], radius: float) -> list[tuple[slice, ...]]:
    """Cut the slices, and as much around them as lesions may reach, into left, right, front and back."""
    marked = brain[..., slice(*slices)].nonzero()
    left, back = (int(axis.min() + axis.max() + 1) // 2 for axis in marked[:2])
    reach = round(1.5 * radius)
    height = (slice(max(0, slices[0] - reach), slices[1] + reach),)
    halves = (slice(0, left), slice(left, None)), (slice(0, back), slice(back, None)), height
    return list(product(*halves))


def _whole(
    part: Tensor,
    brain: Tensor,
    kind: str,
    generator: torch.Generator,
    radius: tuple[float, float],
    middle: range,
) -> ImplantedLesion:
    """Draw lesions until one is centred in the ``middle`` and changes nothing at the faces of its box."""
    for _ in range(TRIES):
        lesion = implant(part, brain, kind, generator, radius)
        changed = (lesion.image != part)[0]
        inner = changed[1:-1, 1:-1, 1:-1]
        if lesion.params["centre"][2] in middle and inner.sum() == changed.sum():
            return lesion
    shape = tuple(part.shape[1:])
    raise ValueError(f"expected room for a {kind} lesion of radius {radius} in a box {shape}, found none")


def _make(pipe: AnomalyPipeline, case: DemoCase, seed: int, folder: Path) -> dict[str, Any]:
    """Write everything but the table, and return what goes into it."""
    from diffad.demo.picture import draw_demo
    from diffad.predict import Options
    from diffad.report.montage import save_report

    (folder / "scan").mkdir()
    (folder / "lesions").mkdir()
    case.healthy.save(case.labels, folder / "lesions" / f"{SICK}_lesions.nii.gz", dtype=np.uint8)
    options = Options(slices=case.slices, seed=seed)
    sick = predict_scan(pipe, case.healthy, case.image, SICK, folder, options)
    # without a stored threshold, that of the first scan serves both
    if sick.info["threshold_rule"] == "otsu":
        options = replace(options, threshold=sick.info["threshold"])
    healthy = predict_scan(pipe, case.healthy, case.healthy.data[0], HEALTHY, folder, options)
    result = measure(case, sick, healthy)
    save_report(sick, folder / "prediction" / f"{SICK}_report.png", case.labels)
    draw_demo(case, sick, healthy, result, folder / "montage.png")
    return result


def predict_scan(
    pipe: AnomalyPipeline, like: Volume, image: Array, name: str, folder: Path, options: Options
) -> AnomalyOutput:
    """Write a scan, do with it what ``diffad predict`` does, and read what that has written.

    Args:
        pipe: The model.
        like: Volume whose grid the scan has.
        image: The scan, (I, J, K).
        name: Name of the scan.
        folder: Gets ``scan/NAME.nii.gz`` and the results in ``prediction``.
        options: How the scan is looked at.

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


def publish_files(made: Path, out: Path) -> None:
    """Move every finished file from ``made`` to its place in ``out``; nothing else there is touched."""
    for info in made.glob("prediction/*_info.json"):  # they name their scan
        info.write_text(info.read_text(encoding="utf-8").replace(str(made), str(out)), encoding="utf-8")
    with hold_interrupts():
        for file in sorted(p for p in made.rglob("*") if p.is_file()):
            target = out / file.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
