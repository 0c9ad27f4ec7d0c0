"""The tissues in each voxel of the brain of one person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.phantom.anatomy import TemplateMaps

SHARPNESS = 1.6
"""Exponent that gives one person crisp folds, which a mean of many lacks."""

ATROPHY = (0.8, 1.9)
"""Smallest and largest weight of fluid against tissue."""


@dataclass(frozen=True)
class Tissue:
    """Fractions of the tissues in each voxel, (I, J, K), in [0, 1]; their sum is the fraction of the brain.

    Args:
        fluid: Cerebrospinal fluid.
        grey: Grey matter.
        white: White matter.
    """

    fluid: Tensor
    grey: Tensor
    white: Tensor

    @property
    def solid(self) -> Tensor:
        """Fraction of grey and white matter."""
        return self.grey + self.white

    @property
    def brain(self) -> Tensor:
        """Fraction of the brain."""
        return self.fluid + self.solid

    @property
    def brain_mask(self) -> Tensor:
        """Voxels that are brain for the greater part, bool."""
        return self.brain > 0.5

    def mix(self, fluid: float, grey: float, white: float) -> Tensor:
        """Give each tissue a value, and each voxel their weighted mean, (I, J, K)."""
        return fluid * self.fluid + grey * self.grey + white * self.white


def bend(template: TemplateMaps, points: Tensor, generator: torch.Generator) -> Tissue:
    r"""Sample the tissues of the template, and vary them for one person.

    .. math:: p_k \propto w_k \, q_k^\gamma, \quad w = (w_{fluid}, 1, 1)

    Args:
        template: Fractions :math:`q` of grey matter, white matter and brain.
        points: Positions in the template, (3, I, J, K), in mm.
        generator: Source of the weight of the fluid: wide or narrow sulci and ventricles.
    """
    grey, white, brain = template.sample(points).clamp(0, 1)
    fluid = (brain - grey - white).clamp(min=0)
    low, high = ATROPHY
    weight = low * (high / low) ** float(torch.rand((), generator=generator))
    powers = [weight * fluid**SHARPNESS, grey**SHARPNESS, white**SHARPNESS]
    scale = brain / sum(powers, torch.full_like(brain, 1e-6))
    return Tissue(*(power * scale for power in powers))
