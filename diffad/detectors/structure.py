"""Structural similarity of feature maps, and the ranks of intensities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

C1, C2 = 0.01**2, 0.03**2
SIGMA = 1.5
"""Standard deviation of the window, in cells."""


def measure_similarity(x: Tensor, y: Tensor, window: int = 5) -> Tensor:
    r"""Return the structural similarity of each channel and cell, in [-1, 1], (B, C, H, W).

    .. math:: s = \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
        {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

    The window is Gaussian with a deviation of 1.5 cells; beyond the border there are zeros.

    Args:
        x: Feature maps.
        y: What is compared with them.
        window: Width of the window, in cells, odd.

    Reference:
        Image quality assessment: from error visibility to structural similarity (Wang et al., 2004).
    """
    kernel = make_window(window).to(x)

    def mean(v: Tensor) -> Tensor:
        flat = v.flatten(0, 1)[:, None]
        flat = F.conv2d(flat, kernel[None, None, :, None], padding=(window // 2, 0))
        return F.conv2d(flat, kernel[None, None, None], padding=(0, window // 2)).reshape(v.shape)

    mu_x, mu_y = mean(x), mean(y)
    variances = mean(x * x) - mu_x.square() + mean(y * y) - mu_y.square()
    covariance = mean(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + C1) / (mu_x.square() + mu_y.square() + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)


def make_window(width: int) -> Tensor:
    """Return the weights of a Gaussian window, (width,), of sum 1."""
    weights = torch.exp(-(torch.arange(width, dtype=torch.float64) - width // 2).square() / (2 * SIGMA**2))
    return weights / weights.sum()


def equalise(x: Tensor, mask: Tensor) -> Tensor:
    r"""Replace the intensities of each item by their ranks inside its brain; elsewhere they are 0.

    .. math:: u = \tfrac{1}{n} \lvert \{v \in m : x_v \le x\} \rvert

    The paper counts ranks in 256 bins of a whole volume.

    Args:
        x: Scans, (B, C, *S).
        mask: Brain masks, (B, 1, *S).
    """
    ranks = torch.zeros_like(x)
    for b, region in enumerate(mask[:, 0] > 0):
        if not region.any():
            continue
        for c in range(x.shape[1]):
            values = x[b, c][region]
            count = torch.searchsorted(values.sort().values, values, right=True)
            ranks[b, c][region] = count.to(x) / len(values)
    return ranks
