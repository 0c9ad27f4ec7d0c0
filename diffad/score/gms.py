"""Gradient magnitude similarity: where edges appear, vanish or change their strength."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction


@SCORES.register("gms")
class GradientMagnitude:
    r"""Dissimilarity of gradient magnitudes, mean over the channels.

    .. math:: a = 1 - \frac{2 m \hat m + c}{m^2 + \hat m^2 + c}, \quad
              m = \sqrt{\textstyle\sum_k (g_k * x)^2}

    with Prewitt's filters :math:`g_k`, a difference over two voxels along one axis and a mean over three
    along the others; the border is repeated. The published measure halves the image first; the map keeps its
    size. Even shifts of intensity do not count. Thresholds do not carry over from another score.

    Args:
        c: Constant that lets gradients far below its root count little; published 170 for intensities of
            0..255, which is 0.0026 for 0..1.

    Raises:
        ValueError: If ``c`` is not positive, or on call, the shapes do not fit.

    Reference:
        Gradient Magnitude Similarity Deviation (Xue et al., 2014, eq. 4).
    """

    def __init__(self, c: float = 0.0026) -> None:
        if not 0 < c < math.inf:
            raise ValueError(f"expected c positive and finite, got {c}")
        self.c = c

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        m, m_hat = (_compute_magnitude(v) for v in pair_images(x, restoration))
        similarity = (2 * (m * m_hat) + self.c) / (m * m + m_hat * m_hat + self.c)
        return average_inside((1 - similarity).clamp(0, 1), mask)


def _compute_magnitude(x: Tensor) -> Tensor:
    """Return the length (B, C, *S) of the gradient of ``x`` (B, C, *S)."""
    axes = range(2, x.ndim)
    padded_image = pad(x, (1, 1) * (x.ndim - 2), mode="replicate")
    squares = torch.zeros_like(x)
    for direction in axes:
        derivative = padded_image
        for axis in axes:
            low, mid, high = (derivative.narrow(axis, o, x.shape[axis]) for o in range(3))
            derivative = high - low if axis == direction else (low + mid + high) / 3
        squares += derivative.square()
    return squares.sqrt()
