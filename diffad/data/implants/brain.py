"""Implanting all lesions of one volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from diffad.data.implants.plan import COUNTS, DEPTHS, ImplantPlan, draw_volume
from diffad.data.intensity import make_percentile_window
from diffad.data.lesions.irregular import implant_irregular
from diffad.data.regions import REGIONS, find_regions, measure_depth
from diffad.data.volume import Array, Volume

GAP = 1.4
"""Smallest distance of two centres, in sums of their radii."""


@dataclass(frozen=True)
class LesionRow:
    """One lesion as the table says it.

    Args:
        kind: One of ``KINDS``.
        size: A key of ``SIZES``.
        ml: Its volume.
        region: One of ``REGIONS``, of its centre.
        centre: Voxel of its centre, in RAS.
        contrast: Contrast as a fraction of the intensity range.
    """

    kind: str
    size: str
    ml: float
    region: str
    centre: tuple[int, ...]
    contrast: float


def implant_brain(
    volume: Volume, brain: Array, plan: ImplantPlan, generator: torch.Generator
) -> tuple[Array, Array, list[LesionRow]]:
    """Implant the lesions of one plan, apart from one another, in turn near the surface and deep.

    Args:
        volume: Scan; its first channel is changed.
        brain: Brain mask, (I, J, K), boolean.
        plan: What is implanted.
        generator: Source of all randomness.

    Returns:
        The changed scan (I, J, K) in its own intensities, the mask of all lesions, and a row for each.

    Raises:
        VolumeError: If the intensities of the brain cannot be used.
    """
    raw, mask = torch.from_numpy(volume.data[:1]).float(), torch.from_numpy(brain)[None]
    spacing = tuple(float(edge) for edge in volume.spacing)
    window = make_percentile_window(raw, mask)
    x = healthy = window.apply(raw, channel_axis=0)
    depth = measure_depth(brain, spacing)
    regions, truth, rows = find_regions(brain, depth), torch.zeros_like(mask), []
    free = np.ones_like(brain)
    for number in range(COUNTS[str(plan.size)]):
        low, high = list(DEPTHS.values())[(number + int(torch.randint(2, (), generator=generator))) % 2]
        ml = draw_volume(str(plan.size), generator) / 1000
        places = brain & free & (depth >= low) & (depth <= high)
        if not places.any():
            continue
        lesion = implant_irregular(
            x, mask, torch.from_numpy(places), str(plan.kind), 1000 * ml, spacing, generator
        )
        x, truth, centre = lesion.image, truth | lesion.mask, lesion.params["centre"]
        free &= _mark_far(brain.shape, centre, spacing, 2 * GAP * lesion.params["radius"])
        size_ml = float(lesion.mask.sum()) * math.prod(spacing) / 1000
        region = REGIONS[int(regions[centre])]
        rows.append(
            LesionRow(lesion.kind, str(plan.size), size_ml, region, centre, lesion.params["contrast"])
        )
    raw_image = torch.where(x == healthy, raw, window.invert(x, channel_axis=0))
    return raw_image[0].numpy(), truth[0].numpy(), rows


def _mark_far(
    shape: tuple[int, ...], centre: tuple[int, ...], spacing: tuple[float, ...], distance: float
) -> Array:
    """Mark the voxels (I, J, K) that are further than some mm from a centre."""
    squares = [((np.arange(n) - c) * edge) ** 2 for n, c, edge in zip(shape, centre, spacing, strict=True)]
    return np.asarray(
        squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :] > distance**2
    )
