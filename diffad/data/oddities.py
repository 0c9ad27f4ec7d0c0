"""What is odd about the voxels of a scan and costs little to see."""

from __future__ import annotations

import numpy as np

from diffad.config.choices import AXES
from diffad.data.head import head_warning
from diffad.data.volume import Array, Volume

FEW, SAMPLE = 12, 50_000
"""Fewest intensities of a scan that is no map of labels, and how many voxels are looked at."""


def list_oddities(volume: Volume, brain: Array) -> list[str]:
    """List what a reader should know of a scan and its brain mask, in whole sentences.

    Args:
        volume: The scan.
        brain: Its brain mask, (I, J, K), bool, not empty.
    """
    warnings = [head_warning(brain, volume.voxel_ml)]
    warnings += [_describe_labels(channel, brain) for channel in volume.data]
    warnings += [_describe_empty_slices(volume.data, brain)]
    return list(dict.fromkeys(warning for warning in warnings if warning))


def _describe_labels(channel: Array, brain: Array) -> str | None:
    """Say so if a scan holds a few whole numbers only, as a segmentation does."""
    values = channel[brain]
    sample = values[:: max(1, values.size // SAMPLE)]
    levels = np.unique(sample)
    if len(levels) > FEW or sample.size <= 8 * FEW or (levels % 1 != 0).any():
        return None
    names = ", ".join(f"{v:g}" for v in levels[:4]) + (", ..." if len(levels) > 4 else "")
    return f"its brain has {len(levels)} different values only ({names}), as labels have and scans do not"


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
