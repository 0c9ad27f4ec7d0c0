"""The flaws of a scanner: uneven sensitivity, coarse voxels, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.spline import draw_controls, evaluate_at_points, evaluate_weights

KNOTS = 0.5
"""Distance of the knots of the uneven sensitivity, as a fraction of the head."""


@dataclass(frozen=True, eq=False)
class Scanner:
    """How one scanner shows a head; all of it is drawn before anything is painted.

    Args:
        bias: Control values of the logarithm of the sensitivity, (1, 5, 5, 5).
        gamma: Exponent of the intensities.
        noise: Standard deviation of the noise; the brightest tissue is 1, or in Hounsfield units.
        grain: Pixels of the grid in one of the scanner, at least 1.
        thickness: Thickness of a slice, in mm; 0 leaves that of the label map.
        ct: Whether it is a CT, with Gaussian noise and an even sensitivity.
    """

    bias: Tensor
    gamma: float
    noise: float
    grain: float
    thickness: float
    ct: bool

    @classmethod
    def draw(cls, ct: bool, generator: torch.Generator) -> Scanner:
        """Draw a scanner."""
        bias, gamma, noise, grain, is_grained, thickness, is_thick = torch.rand(
            7, generator=generator
        ).tolist()
        controls = draw_controls(1, (1.0,) * 3, KNOTS, generator) * (0.0 if ct else 0.9 * bias)
        exponent = (
            1.0 if ct else float(torch.exp(0.2 * torch.randn((), generator=generator).clamp(-2.5, 2.5)))
        )
        return cls(
            controls,
            exponent,
            (1.0 + 3.0 * noise) if ct else 0.04 * noise**1.5,
            1 + 1.2 * grain if is_grained < 0.4 else 1.0,
            1.5 + 4.0 * thickness if is_thick < 0.4 else 0.0,
            ct,
        )

    def evaluate_bias(self, fractions: Sequence[Tensor], controls: Tensor | None = None) -> Tensor:
        """Return the sensitivity on a grid, (*S), positive.

        Args:
            fractions: Positions along each axis, in [0, 1].
            controls: Control values on other axes; none for those of the head.
        """
        values = self.bias if controls is None else controls
        for u in fractions:
            weights = evaluate_weights(u.clamp(0, 1), values.shape[1], KNOTS)
            values = torch.einsum("cx...,ix->c...i", values, weights)
        return values[0].exp()

    def probe_bias(self, places: Tensor) -> Tensor:
        """Return the sensitivity at ``places`` (P, 3) in [0, 1], (P,)."""
        return evaluate_at_points(self.bias, KNOTS, places).exp()

    def show(self, image: Tensor, sensitivity: Tensor) -> Tensor:
        """Apply sensitivity and exponent, before the noise."""
        return image if self.ct else (image * sensitivity).clamp(min=0) ** self.gamma

    def add_noise(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Add the noise of a CT, or the Rician noise of MR."""
        return (
            add_gaussian_noise(image, self.noise, generator)
            if self.ct
            else add_rician_noise(image, self.noise, generator)
        )

    def digitise(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Sample an image (N, *S) in the scanner's pixels with noise, and bring it back to its grid."""
        shape = image.shape[1:]
        coarse_shape = [max(2, round(n / self.grain)) for n in shape]
        coarse = image if self.grain == 1 else F.interpolate(image[None], coarse_shape, mode="area")[0]
        coarse = self.add_noise(coarse, generator)
        if self.grain == 1:
            return coarse
        mode = "bilinear" if len(shape) == 2 else "trilinear"
        return F.interpolate(coarse[None], shape, mode=mode, align_corners=False)[0]


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
