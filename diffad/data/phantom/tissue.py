"""What each voxel of one person's brain is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.phantom.anatomy import Field

SHARPNESS = 1.6
"""Exponent that gives one person the crisp folds that a mean of many has lost."""

ATROPHY = (0.8, 1.9)
"""Smallest and largest weight of fluid against tissue."""


@dataclass(frozen=True)
class Tissue:
    """Shares of the tissues in each voxel, (I, J, K), in [0, 1]; they sum to the share of the brain.

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
        """Share of grey and white matter."""
        return self.grey + self.white

    @property
    def brain(self) -> Tensor:
        """Share of the brain."""
        return self.fluid + self.solid

    @property
    def inside(self) -> Tensor:
        """Brain mask: voxels that are brain for the greater part, bool."""
        return self.brain > 0.5

    def mix(self, fluid: float, grey: float, white: float) -> Tensor:
        """Give each tissue a value, and each voxel the mean over its shares, (I, J, K)."""
        return fluid * self.fluid + grey * self.grey + white * self.white


def bend(template: Field, points: Tensor, generator: torch.Generator) -> Tissue:
    r"""Look tissues up in the template and make them one person's.

    .. math:: p_k \propto w_k \, q_k^\gamma, \quad w = (w_{fluid}, 1, 1)

    Args:
        template: Shares of grey matter, white matter and brain :math:`q`.
        points: Where to look, (3, I, J, K), in mm.
        generator: Source of the weight of the fluid: wide or narrow sulci and ventricles.
    """
    grey, white, brain = template.at(points).clamp(0, 1)
    fluid = (brain - grey - white).clamp(min=0)
    low, high = ATROPHY
    weight = low * (high / low) ** float(torch.rand((), generator=generator))
    sharp = [weight * fluid**SHARPNESS, grey**SHARPNESS, white**SHARPNESS]
    share = brain / sum(sharp, torch.full_like(brain, 1e-6))
    return Tissue(*(part * share for part in sharp))
