"""What the values of a mask mean: labels, probabilities, or something else."""

from __future__ import annotations

import math

import numpy as np

from diffad.data.volume import Array

HINT = "--mask-threshold sets another limit"
PROBABILITY = 0.5
"""Limit of a mask of probabilities."""


def cut_mask(values: Array, threshold: float | None, name: str) -> tuple[Array, list[str]]:
    """Return the voxels of a brain mask that are inside, and what a reader should know of the others.

    Args:
        values: The mask, (*S).
        threshold: What lies above it is inside; none takes 0, or .5 of probabilities.
        name: What messages call the mask.

    Raises:
        ValueError: If the threshold is no finite number.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"mask_threshold: expected a finite number, got {threshold}")
    inside: Array = values > (threshold or 0.0)
    if values.dtype == np.bool_:
        return values, []
    if threshold is not None or np.array_equal(values, inside):
        return inside, _describe_cover(inside, name)
    levels = np.unique(values)
    if levels[0] >= 0 and levels[-1] <= 1 and len(levels) > 2:
        inside = values > PROBABILITY
        text = f"{name}: the brain mask has values from {levels[0]:g} to {levels[-1]:g}, as probabilities"
        return inside, [f"{text}; what is above {PROBABILITY:g} counts as brain ({HINT})"]
    warnings = [] if _is_label(levels) else [_describe_levels(levels, name)]
    return inside, warnings + _describe_cover(inside, name)


def list_odd_values(values: Array) -> str:
    """Return the first values of a mask other than 0 and 1, in words; nothing where there are none."""
    odd = np.setdiff1d(np.unique(values), (0, 1)).tolist()
    return ", ".join(f"{v:g}" for v in odd[:4]) + (", ..." if len(odd) > 4 else "")


def _is_label(levels: Array) -> bool:
    """Tell whether there are but zero and one whole number, such as 255."""
    return len(levels) == 2 and levels[0] == 0 and float(levels[1]).is_integer()


def _describe_levels(levels: Array, name: str) -> str:
    whole, others = bool((levels % 1 == 0).all()), list_odd_values(levels)
    kind = "several labels" if whole and levels[0] >= 0 else "values that are no labels"
    fault = f"{name}: the brain mask has other values than 0 and 1, {kind}: {others}"
    return f"{fault}; all above 0 counts as brain ({HINT})"


def _describe_cover(inside: Array, name: str) -> list[str]:
    return [f"{name}: the brain mask covers the whole field"] if inside.size and inside.all() else []
