"""The difference image of two visits, as radiologists look at it: intensities made alike, then subtracted."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from diffad.data.volume import Array

ROUNDS, OUTLIER, LEAST = 20, 2.5, 100
"""Rounds of the robust fit, residual in robust standard deviations beyond which a voxel is left out, and
least number of voxels."""


@dataclass(frozen=True)
class IntensityFit:
    """How intensities of the second visit follow from those of the first.

    Args:
        slope: Factor.
        offset: What is added.
        used_share: Share of the voxels that the fit kept_mask.
    """

    slope: float
    offset: float
    used_share: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values."""
        return {key: round(float(value), 6) for key, value in asdict(self).items()}


def fit_intensities(first: Array, second: Array) -> IntensityFit:
    r"""Fit a line through the intensities of two visits, robustly and alike in both directions.

    .. math:: y = a x + b, \quad a = \sigma_y / \sigma_x, \quad b = \bar y - a \bar x

    over the voxels whose residual is within 2.5 robust standard deviations, in rounds. This reduced major
    axis of the visits swapped is the same line.

    Args:
        first: Intensities :math:`x` of the voxels that are compared, (N,).
        second: Intensities :math:`y` of the same voxels, (N,).

    Raises:
        ValueError: If there are too few voxels, or one visit has no contrast in them.
    """
    if len(first) < LEAST or first.std() == 0 or second.std() == 0:
        raise ValueError(f"expected {LEAST} voxels with contrast in both visits, found {len(first)}")
    kept_mask = np.ones(len(first), dtype=bool)
    slope, offset = 1.0, 0.0
    for _ in range(ROUNDS):
        x, y = first[kept_mask].astype(np.float64), second[kept_mask].astype(np.float64)
        slope = float(y.std() / x.std())
        offset = float(y.mean() - slope * x.mean())
        residual = np.abs(second - slope * first - offset)
        limit = OUTLIER * 1.4826 * float(np.median(residual[kept_mask]))
        new_mask = residual <= limit
        if limit == 0 or new_mask.sum() < LEAST or (new_mask == kept_mask).all():
            break
        kept_mask = new_mask
    return IntensityFit(slope, offset, float(kept_mask.mean()))


def subtract_visits(
    first: Array, second: Array, brain: Array, detections: Array
) -> tuple[Array, IntensityFit]:
    """Return the second visit, in intensities of the first, less the first, (I, J, K), 0 outside the brain.

    Args:
        first: First visit at the midpoint, (I, J, K).
        second: Second visit, alike.
        brain: Voxels that are brain at both visits, alike, bool.
        detections: Detections of any visit, alike, bool, which are left out of the fit.

    Raises:
        ValueError: If the intensities cannot be fitted.
    """
    inside = brain & ~detections
    fit = fit_intensities(first[inside], second[inside])
    change = (second - fit.offset) / fit.slope - first
    return np.where(brain, change, 0).astype(np.float32), fit
