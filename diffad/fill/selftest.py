"""How well healthy tissue is filled: masks are laid into healthy scans, where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from diffad.data.implants.plan import seed_generator
from diffad.data.lesions.irregular import draw_irregular
from diffad.data.regions import measure_depth
from diffad.data.slices import axis_index
from diffad.data.volume import Array, Volume
from diffad.evaluation.metrics.inpainting import measure_inpainting, measure_sharpness
from diffad.fill.fill import FillOptions, close_region, sample_region
from diffad.fill.lesion import FillRegion, plan_region
from diffad.fill.result import measure_rim_step
from diffad.fill.simple import fill_mirror, fill_rim_mean
from diffad.inference.scan import ScanSource, read_source
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import choose_slices
from diffad.io.terminal import say
from diffad.pipeline import AnomalyPipeline

VOLUMES_ML = (1.0, 4.0, 12.0)
"""Volumes of the masks, in turn."""
MIN_DEPTH = 4.0
"""Least distance of a mask from the surface of the brain, in mm."""


def draw_healthy_mask(
    brain: Array, volume: Volume, ml: float, generator: torch.Generator, slab: Array | None = None
) -> Array:
    """Draw a mask shaped like a lesion in healthy tissue, away from the surface of the brain.

    Args:
        brain: Brain mask, (I, J, K), bool.
        volume: The scan.
        ml: Volume of the mask.
        generator: Source of all randomness.
        slab: Where alone it may lie, (I, J, K), bool; none for anywhere.

    Raises:
        ValueError: If the brain has no place for it.
    """
    spacing = [float(edge) for edge in volume.spacing]
    depth = measure_depth(brain, tuple(spacing))
    radius = (3000 * ml / (4 * np.pi)) ** (1 / 3)
    allowance = np.ones(brain.shape, bool) if slab is None else slab
    places = np.argwhere((depth > MIN_DEPTH + radius) & allowance)
    if not len(places):
        raise ValueError(f"{volume.name}: expected a brain with room for {ml:g} ml, found none")
    index = int(torch.randint(len(places), (), generator=generator))
    deep = torch.from_numpy(np.asarray((depth > MIN_DEPTH) & allowance))
    centre = tuple(int(i) for i in places[index])
    return np.asarray(draw_irregular(centre, 1000 * ml, spacing, deep, generator)[1].numpy())


def find_slab(pipe: AnomalyPipeline, source: ScanSource, dilate_mm: float) -> Array | None:
    """Mark where a mask may lie so that all that is filled is of slices that a model knows, (I, J, K), bool.

    Args:
        pipe: The model.
        source: The scan.
        dilate_mm: How far the mask grows, in mm.

    Returns:
        The marks; none where the model knows all slices, or takes volumes.

    Raises:
        ValueError: If the scan has no slices that the model knows, or too few for a mask that grows.
    """
    axis, volume = str(pipe.config.space["axis"]), source.volume
    assert volume is not None
    slices = choose_slices(source, axis, None, ModelScope.of(pipe.config).range_mm).slices
    if slices is None:
        return None
    index = axis_index(axis)
    margin = math.floor(dilate_mm / float(volume.spacing[index]) + 1e-6)
    first, last = slices[0] + margin, slices[1] - margin
    if first >= last:
        count = slices[1] - slices[0]
        raise ValueError(
            f"{volume.name}: expected slices for a mask that grows by {dilate_mm:g} mm within those that the "
            f"model knows, found {count}; choose a smaller --dilate"
        )
    slab = np.zeros(volume.data.shape[1:], bool)
    np.moveaxis(slab, index, 0)[first:last] = True
    return slab


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
    slab = None if pipe is None else find_slab(pipe, source, options.dilate)
    lesion = draw_healthy_mask(brain_mask, volume, ml, seed_generator(options.seed, scan.name), slab)
    region = plan_region(lesion, brain_mask, volume, options.dilate)
    context = region.brain & ~region.fill_mask
    smooth_fill = close_region(volume, region)
    fills = {
        "rim mean": fill_rim_mean(volume.data[0], region.fill_mask, context),
        "harmonic": smooth_fill,
        "mirror": fill_mirror(volume.data[0], region.fill_mask, context, volume.spacing),
    }
    if pipe is not None:
        result = sample_region(pipe, source, region, smooth_fill, options, [])
        fills["network"] = result.image
        for warning in result.info["warnings"]:
            say(f"warning: {scan.name}: {warning}")
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
