"""The flaws of a scanner: uneven sensitivity, coarse voxels, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.scan_noise import add_gaussian_noise, add_rician_noise
from diffad.data.spline import draw_controls, evaluate_at_points, evaluate_spline

KNOTS = 0.5
"""Distance of the knots of the uneven sensitivity, as a fraction of the head."""

BIAS, GAMMA = 0.9, 0.2
"""Largest logarithm of the sensitivity, and standard deviation of that of the exponent."""

NOISE, CT_NOISE = 0.04, 4.0
"""Most noise of MR, where the brightest tissue is 1, and of CT, in Hounsfield units."""

GRAIN, THICKNESS, COARSE_CHANCE = 2.2, 5.5, 0.4
"""Most pixels of the grid in one of the scanner, thickest slice in mm, and how often each of them occurs."""


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
        bias, noise, grain, thickness, grain_chance, thickness_chance = torch.rand(
            6, generator=generator
        ).tolist()
        controls = draw_controls(1, (1.0,) * 3, KNOTS, generator)
        exponent = float(torch.exp(GAMMA * torch.randn((), generator=generator).clamp(-2.5, 2.5)))
        return cls(
            bias=controls * (0.0 if ct else BIAS * bias),
            gamma=1.0 if ct else exponent,
            noise=CT_NOISE * (1 + 2 * noise) / 3 if ct else NOISE * noise**1.5,
            grain=1 + (GRAIN - 1) * grain if grain_chance < COARSE_CHANCE else 1.0,
            thickness=THICKNESS * (0.3 + 0.7 * thickness) if thickness_chance < COARSE_CHANCE else 0.0,
            ct=ct,
        )

    def evaluate_bias(self, controls: Tensor, fractions: Sequence[Tensor]) -> Tensor:
        """Return the sensitivity on a grid, (*S), positive.

        Args:
            controls: Control values, (1, *K), on the axes of the grid.
            fractions: Positions along each axis, in [0, 1].
        """
        positions = [u.clamp(0, 1) for u in fractions]
        return evaluate_spline(controls, KNOTS, positions, (0.0,) * len(positions))[0].exp()

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
