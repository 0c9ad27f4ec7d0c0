"""The noise of scanners."""

from __future__ import annotations

import torch
from torch import Tensor


def add_rician_noise(image: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    r"""Return the magnitude of a signal with noise in both of its parts.

    .. math:: y = \sqrt{(x + \sigma n_1)^2 + (\sigma n_2)^2}

    Reference:
        The Rician distribution of noisy MRI data (Gudbjartsson and Patz, 1995), eq. 1.
    """
    real, imaginary = sd * torch.randn((2, *image.shape), generator=generator)
    return torch.hypot(image + real, imaginary)


def add_gaussian_noise(image: Tensor, sd: float, generator: torch.Generator) -> Tensor:
    """Return an image with noise of one standard deviation everywhere."""
    return image + sd * torch.randn(image.shape, generator=generator)
