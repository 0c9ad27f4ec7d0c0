"""Gaussian smoothing along each axis of a map."""

from __future__ import annotations

import torch
from torch import Tensor


def smooth(x: Tensor, width: float) -> Tensor:
    r"""Average the neighbourhood of each voxel; at a border, the part of it that there is.

    .. math:: y_u = \frac{\sum_v w_{uv} x_v}{\sum_v w_{uv}}, \quad w_{uv} = e^{-|u - v|^2 / 2 \sigma^2}

    Args:
        x: Maps (B, C, *S), each on its own.
        width: Standard deviation :math:`\sigma`, in voxels.
    """
    with torch.autocast(x.device.type, enabled=False):
        # one by one: the rounding of a product of matrices depends on how many rows there are
        return torch.stack([_smooth_item(item, width) for item in x])


def _smooth_item(x: Tensor, width: float) -> Tensor:
    """Smooth a map (C, *S)."""
    for length in x.shape[1:]:
        # each product takes the first spatial axis away and adds it as the last
        x = torch.tensordot(x, _weigh_places(length, width).to(x), dims=([1], [1]))
    return x


def _weigh_places(length: int, width: float) -> Tensor:
    """Return the weight (u, v) of voxel v in the average at u."""
    place = torch.arange(length, dtype=torch.float64)
    w = torch.exp(-((place[:, None] - place) ** 2) / (2 * width**2))
    return w / w.sum(1, keepdim=True)
