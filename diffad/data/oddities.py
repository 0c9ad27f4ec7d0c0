"""What is odd about the voxels of a scan and costs little to see."""

from __future__ import annotations

import numpy as np

from diffad.config.choices import AXES
from diffad.data.head import head_warning
from diffad.data.volume import Array, Volume
from diffad.data.zero import find_border

FEW, SAMPLE = 12, 50_000
"""Fewest intensities of a scan that is no map of labels, and how many voxels are looked at."""
LEAST_EDGE, MOST_EDGE = 30.0, 400.0
"""Longest edge of a brain in mm: that of an adult's is some 180, and 18 where centimetres pass for mm; that
of a mouse's is some 15. Five slices of a head are as long as the whole of it."""
MOST_BACKGROUND = 0.05
"""Largest share of a brain mask that may lie where the scan shows nothing, as masks are smooth."""


def list_oddities(volume: Volume, brain: Array) -> list[str]:
    """List what a reader should know of a scan and its brain mask, in whole sentences.

    Args:
        volume: The scan.
        brain: Its brain mask, (I, J, K), bool, not empty.
    """
    warnings = [head_warning(brain, volume.voxel_ml)]
    warnings += [_describe_labels(channel, brain) for channel in volume.data]
    warnings += [_describe_empty_slices(volume.data, brain), _describe_background(volume.data, brain)]
    warnings += [_describe_extent(volume, brain)]
    return list(dict.fromkeys(warning for warning in warnings if warning))


def _describe_labels(channel: Array, brain: Array) -> str | None:
    """Say so if a scan holds a few different numbers only, as a segmentation does, scaled or not."""
    values = channel[brain]
    sample = values[:: max(1, values.size // SAMPLE)]
    levels = np.unique(sample)
    if len(levels) > FEW or sample.size <= 8 * FEW:
        return None
    names = ", ".join(f"{v:.3g}" for v in levels[:4]) + (", ..." if len(levels) > 4 else "")
    return f"its brain has {len(levels)} different values only ({names}), as labels have and scans do not"


def _describe_extent(volume: Volume, brain: Array) -> str | None:
    """Say so if no brain is that long, as where a header has another unit than its voxels."""
    others = ((1, 2), (0, 2), (0, 1))
    lines = [np.flatnonzero(brain.any(axes)) for axes in others]
    edge = max((at[-1] - at[0] + 1) * mm for at, mm in zip(lines, volume.spacing, strict=True))
    if LEAST_EDGE <= edge <= MOST_EDGE:
        return None
    size = f"its brain is {edge:.3g} mm long, and that of an adult some 180"
    return f"{size}: are its voxels of {volume.spacing[0]:.3g} mm given in another unit, such as centimetres?"


def _describe_background(data: Array, brain: Array) -> str | None:
    """Say so if some of a mask lies on the constant background of its scan, as that of another scan does."""
    border = find_border(data)
    is_air = np.all([channel[brain] == value for channel, value in zip(data, border, strict=True)], 0)
    share = float(is_air.mean())
    if share <= MOST_BACKGROUND or not _is_even(data, border):
        return None
    return f"{share:.0%} of its brain mask lies on the background of the scan: does the mask belong to it?"


def _is_even(data: Array, border: list[float]) -> bool:
    """Tell whether most of the faces of a scan are background."""
    faces = [data.take(index, axis).reshape(len(data), -1) for axis in (1, 2, 3) for index in (0, -1)]
    return bool((np.concatenate(faces, 1) == np.array(border)[:, None]).mean() > 0.5)


def _describe_empty_slices(data: Array, brain: Array) -> str | None:
    """Say so if slices in the midst of the brain have no brain, or one intensity only."""
    high = np.where(brain, data, -np.inf).max(0)
    low = np.where(brain, data, np.inf).min(0)
    texts = []
    for axis, plane in enumerate(AXES):
        others = tuple(a for a in range(3) if a != axis)
        areas = brain.sum(others)
        is_flat = ~(high.max(others) > low.min(others))
        large = np.flatnonzero(areas > 0.2 * areas.max())
        middle = np.arange(large[0], large[-1] + 1)
        if len(flat := middle[is_flat[middle]]):
            texts.append(f"{len(flat)} {plane} slices ({flat[0]} is the first)")
    return f"{', '.join(texts)} in the midst of its brain show nothing: data are missing" if texts else None
