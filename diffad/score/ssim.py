"""Structural dissimilarity: where local means, contrasts or patterns differ."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction


@SCORES.register("ssim")
class SSIMScore:
    r"""Structural dissimilarity in a sliding window, mean over the channels.

    .. math:: a = 1 - \frac{(2 \mu_x \mu_{\hat{x}} + c_1)(2 \sigma_{x\hat{x}} + c_2)}
        {(\mu_x^2 + \mu_{\hat{x}}^2 + c_1)(\sigma_x^2 + \sigma_{\hat{x}}^2 + c_2)}, \quad c_k = (K_k L)^2

    with :math:`K = (0.01, 0.03)`, clipped to [0, 1]; at the image border the window sees the mirrored image.
    A uniform window takes the unbiased covariance; a Gaussian one weights the moments as the paper does.

    Args:
        window: Odd width of the window, in pixels.
        sigma: Width of Gaussian weights, in pixels; uniform weights if absent.
        data_range: Largest difference :math:`L` of two intensities.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Image quality assessment: from error visibility to structural similarity (Wang et al., 2004, eq. 13).
    """

    def __init__(self, window: int = 7, sigma: float | None = None, data_range: float = 1.0) -> None:
        if window < 3 or window % 2 == 0:
            raise ValueError(f"expected window odd and at least 3, got {window}")
        if sigma is not None and not 0 < sigma < math.inf:
            raise ValueError(f"expected sigma positive and finite, got {sigma}")
        if not 0 < data_range < math.inf:
            raise ValueError(f"expected data_range positive and finite, got {data_range}")
        self.window, self.sigma, self.data_range = window, sigma, data_range

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or the image is not wider than half the window.
        """
        x, x_hat = pair_images(x, restoration)
        if min(x.shape[2:]) <= self.window // 2:
            raise ValueError(
                f"expected axes longer than {self.window // 2} for window {self.window}, got {x.shape}"
            )
        return average_inside((1 - self._compute_similarity(x, x_hat)).clamp(0, 1), mask)

    def _compute_similarity(self, x: Tensor, x_hat: Tensor) -> Tensor:
        moments = self._smooth(torch.cat([x, x_hat, x * x, x_hat * x_hat, x * x_hat]))
        mu, mu_hat, xx, yy, xy = rearrange(moments, "(n b) ... -> n b ...", n=5)
        pixels = self.window ** (x.ndim - 2)
        correction = pixels / (pixels - 1) if self.sigma is None else 1.0
        c1, c2 = (0.01 * self.data_range) ** 2, (0.03 * self.data_range) ** 2
        variances = correction * ((xx - mu * mu) + (yy - mu_hat * mu_hat))
        covariance = correction * (xy - mu * mu_hat)
        structure = (2 * covariance + c2) / (variances + c2)
        return structure * (2 * (mu * mu_hat) + c1) / (mu * mu + mu_hat * mu_hat + c1)

    def _smooth(self, x: Tensor) -> Tensor:
        """Weighted mean in the window, by shifted copies: a convolution's rounding would vary with B."""
        reach = self.window // 2
        x = pad(x, (reach,) * 2 * (x.ndim - 2), mode="reflect")
        for axis in range(2, x.ndim):
            size = x.shape[axis] - 2 * reach
            total = torch.zeros_like(x.narrow(axis, 0, size))
            for offset, weight in enumerate(self._weigh_offsets()):
                total += weight * x.narrow(axis, offset, size)
            x = total
        return x

    def _weigh_offsets(self) -> list[float]:
        if self.sigma is None:
            return [1 / self.window] * self.window
        offsets = range(-(self.window // 2), self.window // 2 + 1)
        bell = [math.exp(-0.5 * (i / self.sigma) ** 2) for i in offsets]
        return [b / sum(bell) for b in bell]
