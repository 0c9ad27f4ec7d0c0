"""The flaws of the scanner: blur, a field of uneven sensitivity, and noise."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.data.phantom.spline import draw_field
from diffad.data.scan_noise import add_gaussian_noise, add_rician_noise

BLUR = 0.55
"""Standard deviation of the blur, in mm."""

BIAS = 0.5
"""Largest logarithm of the uneven sensitivity of an MR scanner."""

UNIT = 1000.0
"""Approximate intensity of the brightest healthy tissue of an MR image."""


def blur(image: Tensor, spacing: float) -> Tensor:
    """Blur as the scanner does; coarse voxels are means already and stay as they are."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR / spacing
    if sigma < 0.25:
        return image
    return torch.from_numpy(gaussian_filter(image.numpy(), sigma, truncate=3.0, mode="nearest"))


def scan_mri(
    image: Tensor,
    brain: Tensor,
    axes: tuple[Tensor, ...],
    noise: float,
    generator: torch.Generator,
) -> Tensor:
    r"""Scan by magnetic resonance and strip the skull: whole numbers above 0 in the brain, 0 outside.

    .. math:: y = g \sqrt{(e^b x + \sigma n_1)^2 + (\sigma n_2)^2}

    Args:
        image: Intensities :math:`x`, (I, J, K).
        brain: Brain mask, (I, J, K), bool.
        axes: Positions of the voxels along each axis, in mm.
        noise: Standard deviation :math:`\sigma`.
        generator: Source of the sensitivity :math:`e^b`, the noise :math:`n` and the gain :math:`g`.

    Reference:
        The Rician distribution of noisy MRI data (Gudbjartsson and Patz, 1995), eq. 1.
    """
    gain = UNIT * float(torch.empty(()).uniform_(0.85, 1.15, generator=generator))
    bias = (BIAS * draw_field(75.0, axes, generator)).exp()
    return add_rician_noise(bias * image, noise, generator).mul(gain).round().clamp(min=1) * brain


def scan_ct(image: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Scan by computed tomography: whole Hounsfield units, with noise everywhere but in air.

    Args:
        image: Hounsfield units, (I, J, K).
        noise: Standard deviation in Hounsfield units.
        generator: Source of the noise.
    """
    noisy = add_gaussian_noise(image, noise, generator)
    return torch.where(image < -990, -1000.0, noisy).round()
