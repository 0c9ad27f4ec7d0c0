"""Smoothing of a map across the slices of a scan, whose noise and errors are those of each slice alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from diffad.data.slices import NAMES, axis_index
from diffad.inference.scan import ScanSource

LEAST_WEIGHT = 1e-3
"""Least share of what is averaged that must have been analysed."""


def smooth_across(source: ScanSource, maps: Tensor, analysed: Tensor, axis: str, sd_mm: float) -> Tensor:
    r"""Average a map over neighbouring slices, where they were analysed.

    .. math:: a' = m \, \frac{G_\sigma * (m a)}{G_\sigma * m}

    with a Gaussian :math:`G_\sigma` along the axis that was cut. What lies in one slice alone is noise more
    often than a lesion, which goes on in the next.

    Args:
        source: The scan; images and tensors of unknown spacing are left as they are.
        maps: Anomaly maps :math:`a`, (B, 1, I, J, K).
        analysed: Where they were made, :math:`m`, (B, 1, I, J, K), bool.
        axis: Plane of the slices.
        sd_mm: SD in mm; 0 leaves the maps as they are.

    Returns:
        Maps, (B, 1, I, J, K), 0 where nothing was analysed.
    """
    if not sd_mm or source.spacing is None or axis not in NAMES or maps.ndim != 5:
        return maps
    direction = axis_index(axis)
    sd, dim = sd_mm / float(source.spacing[direction]), 2 + direction
    interior = analysed.numpy().astype(np.float32)
    total, weight = (
        ndimage.gaussian_filter1d(v, sd, axis=dim, mode="constant")
        for v in (maps.numpy() * interior, interior)
    )
    return torch.from_numpy(interior * total / np.maximum(weight, LEAST_WEIGHT))
