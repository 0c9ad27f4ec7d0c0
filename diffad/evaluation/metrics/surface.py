"""How far the rims of detection and lesion lie apart, in mm; distances by MONAI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffad.evaluation.metrics.ranking import check_binary, check_same_shape, check_spacing


def hd95(pred: ArrayLike, truth: ArrayLike, spacing: Sequence[float] = ()) -> float:
    """Return the 95th percentile of the distances between two surfaces, the larger of both ways, in mm.

    Args:
        pred: Detections, (*S), 0 or 1.
        truth: True lesions, (*S), 0 or 1.
        spacing: Edges of a voxel in mm; 1 if absent.

    Returns:
        The distance; NaN where either is empty, as no distance is defined.

    Raises:
        ValueError: If the shapes differ or a value is neither 0 nor 1.
    """
    from monai.metrics import compute_hausdorff_distance

    pair = _check_pair(pred, truth, spacing)
    if not all(part.any() for part in pair):
        return math.nan
    edges = [float(edge) for edge in spacing] or None
    return float(
        compute_hausdorff_distance(*_crop_pair(pair), percentile=95, spacing=edges, include_background=True)
    )


def surface_dice(
    pred: ArrayLike, truth: ArrayLike, spacing: Sequence[float] = (), tolerance_mm: float = 1.0
) -> float:
    """Return the fraction of both surfaces that lies within a tolerance of the other.

    Args:
        pred: Detections, (*S), 0 or 1.
        truth: True lesions, (*S), 0 or 1.
        spacing: Edges of a voxel in mm; 1 if absent.
        tolerance_mm: Distance that does not count, in mm.

    Returns:
        The fraction; NaN where both are empty, 0 where one is.

    Raises:
        ValueError: If the shapes differ, a value is neither 0 nor 1, or the tolerance is negative.

    Reference:
        Deep learning to achieve clinically applicable segmentation (Nikolov et al., 2021).
    """
    from monai.metrics import compute_surface_dice

    if tolerance_mm < 0:
        raise ValueError(f"expected a tolerance of at least 0 mm, got {tolerance_mm}")
    pair = _check_pair(pred, truth, spacing)
    has_voxels = [bool(part.any()) for part in pair]
    if not all(has_voxels):
        return 0.0 if any(has_voxels) else math.nan
    options: dict[str, Any] = {
        "spacing": [float(edge) for edge in spacing] or None,
        "include_background": True,
    }
    return float(compute_surface_dice(*_crop_pair(pair), [tolerance_mm], use_subvoxels=False, **options))


def _check_pair(pred: ArrayLike, truth: ArrayLike, spacing: Sequence[float]) -> tuple[Any, Any]:
    p, y = check_binary("pred", pred), check_binary("truth", truth)
    check_same_shape("pred", p, "truth", y)
    check_spacing(spacing, p.ndim)
    return p, y


def _crop_pair(pair: tuple[Any, Any]) -> list[Any]:
    """Cut both to the box that holds both, with a rim, as the rest of the grid says nothing."""
    import torch

    places = np.argwhere(pair[0] | pair[1])
    ends = zip(places.min(0), places.max(0), strict=True)
    box = tuple(slice(max(0, low - 1), high + 2) for low, high in ends)
    return [torch.from_numpy(np.pad(part[box], 1))[None, None] for part in pair]
