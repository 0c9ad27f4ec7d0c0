"""Gaussian blur, axis by axis and item by item."""

from __future__ import annotations

import math

import torch
from torch import Tensor

REACH = 4
"""Where the Gaussian is cut off, in its own widths, as scipy does."""


def gaussian_blur(x: Tensor, sigma: float, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    r"""Blur ``x`` along ``axes``, and along no other: nothing leaks between items or channels.

    .. math:: y_u = \sum_o w_o \, x_{u + o}, \quad w_o \propto e^{-o^2 / 2 \sigma^2}, \quad
              |o| \le 4 \sigma

    Beyond its ends the image goes on mirrored, the first voxel repeated.

    Args:
        x: Images, (B, C, *S).
        sigma: Width :math:`\sigma` in voxels; 0 leaves the image as it is.
        axes: Axes to blur along.
    """
    weights = _weigh_offsets(sigma)
    for axis in axes if sigma else ():
        mirrored_image = _mirror_pad(x, axis, len(weights) // 2)
        # shifted copies, added in turn: the rounding of a convolution or a reduction would vary with B
        total = torch.zeros_like(x)
        for offset, weight in enumerate(weights):
            total += weight * mirrored_image.narrow(axis, offset, x.shape[axis])
        x = total
    return x


def _weigh_offsets(sigma: float) -> list[float]:
    reach = int(REACH * sigma + 0.5)
    bell = [math.exp(-0.5 * (o / sigma) ** 2) if o else 1.0 for o in range(-reach, reach + 1)]
    return [b / sum(bell) for b in bell]


def _mirror_pad(x: Tensor, axis: int, reach: int) -> Tensor:
    size = x.shape[axis]
    index = torch.arange(-reach, size + reach, device=x.device) % (2 * size)
    return x.index_select(axis, torch.minimum(index, 2 * size - 1 - index))
