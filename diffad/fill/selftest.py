"""How well healthy tissue is filled: masks are laid into healthy scans, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from diffad.data.implants.plan import seed_generator
from diffad.data.lesions.irregular import draw_irregular
from diffad.data.regions import measure_depth
from diffad.data.volume import Array, Volume
from diffad.evaluation.metrics.inpainting import measure_inpainting, measure_sharpness
from diffad.fill.fill import FillOptions, close_region, sample_region
from diffad.fill.lesion import FillRegion, plan_region
from diffad.fill.result import measure_rim_step
from diffad.fill.simple import fill_mirror, fill_rim_mean
from diffad.inference.scan import read_source
from diffad.pipeline import AnomalyPipeline

VOLUMES_ML = (1.0, 4.0, 12.0)
"""Volumes of the masks, in turn."""
MIN_DEPTH = 4.0
"""Least distance of a mask from the surface of the brain, in mm."""


def draw_healthy_mask(brain: Array, volume: Volume, ml: float, generator: torch.Generator) -> Array:
    """Draw a mask shaped like a lesion in healthy tissue, away from the surface of the brain.

    Args:
        brain: Brain mask, (I, J, K), bool.
        volume: The scan.
        ml: Volume of the mask.
        generator: Source of all randomness.

    Raises:
        ValueError: If the brain has no place for it.
    """
    spacing = [float(edge) for edge in volume.spacing]
    depth = measure_depth(brain, tuple(spacing))
    radius = (3000 * ml / (4 * np.pi)) ** (1 / 3)
    places = np.argwhere(depth > MIN_DEPTH + radius)
    if not len(places):
        raise ValueError(f"{volume.name}: expected a brain with room for {ml:g} ml, found none")
    index = int(torch.randint(len(places), (), generator=generator))
    deep = torch.from_numpy(np.asarray(depth > MIN_DEPTH))
    centre = tuple(int(i) for i in places[index])
    return np.asarray(draw_irregular(centre, 1000 * ml, spacing, deep, generator)[1].numpy())


def compare_fills(
    pipe: AnomalyPipeline | None, scan: Path, brain: Path | None, number: int, options: FillOptions
) -> dict[str, dict[str, float]]:
    """Fill one healthy scan in several ways and score each; rows by name of the way.

    Args:
        pipe: The model; none compares the fills that need none.
        scan: A healthy scan.
        brain: Its brain mask, or none.
        number: Number of the scan, which sets the volume of its mask.
        options: How the model fills.
    """
    source = read_source(Volume.load(scan), brain)
    volume = source.volume
    assert volume is not None
    brain_mask, ml = source.brain[0, 0].numpy(), VOLUMES_ML[number % len(VOLUMES_ML)]
    lesion = draw_healthy_mask(brain_mask, volume, ml, seed_generator(options.seed, scan.name))
    region = plan_region(lesion, brain_mask, volume, options.dilate)
    context = region.brain & ~region.fill_mask
    smooth_fill = close_region(volume, region)
    fills = {
        "rim mean": fill_rim_mean(volume.data[0], region.fill_mask, context),
        "harmonic": smooth_fill,
        "mirror": fill_mirror(volume.data[0], region.fill_mask, context, volume.spacing),
    }
    if pipe is not None:
        fills["network"] = sample_region(pipe, source, region, smooth_fill, options, []).image
    return {name: score_fill(volume.data[0], fill, region) for name, fill in fills.items()}


def score_fill(truth: Array, fill: Array, region: FillRegion) -> dict[str, float]:
    """Score a fill where the mask was before it grew, with its sharpness and the step at its rim."""
    brain_truth, brain_fill = truth * region.brain, fill * region.brain
    hole_truth = np.where(region.fill_mask, 0, brain_truth)
    scores = measure_inpainting(brain_truth, brain_fill, hole_truth, region.lesion)
    extra = {"sharpness": measure_sharpness(truth, fill, region.lesion)}
    return scores | extra | {"rim_step": measure_rim_step(fill, region)}


def summarise_fills(cases: Sequence[Mapping[str, Mapping[str, float]]]) -> list[dict[str, float | str]]:
    """Return mean and SD over scans of each score, a row for each way to fill."""
    rows: list[dict[str, float | str]] = []
    for name in cases[0]:
        row: dict[str, float | str] = {"fill": name, "scans": len(cases)}
        for score in cases[0][name]:
            values = np.array([case[name][score] for case in cases])
            row[score] = float(values.mean())
            row[f"{score}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        rows.append(row)
    return rows
