"""The deformation from the template to one person: smooth and without folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.phantom.spline import draw_template_controls, evaluate_template_spline

LEVELS = ((76.0, 15.0), (38.0, 5.0), (19.0, 1.2))
"""Distance of the knots and largest displacement of a control point, in mm, from coarse to fine."""

FOLD = 2.479472335
"""Cubic B-splines in 3-D do not fold while displacements stay below 1 / FOLD of the distance of the knots."""

SCALE, TURN, SHIFT = 0.07, 5.0, 3.0
"""Largest change of size along an axis (log), turn about an axis (degrees) and shift (mm)."""

ENLARGEMENT = 0.04
"""Excess of the template over most brains, along each axis (log)."""

CENTRE = (0.0, -18.0, 8.0)
"""Point that the head turns about, in mm."""


@dataclass(frozen=True)
class Warp:
    r"""Maps positions in the phantom to positions in the template.

    .. math:: v(u) = c + A (u - c + \sum_l d_l(u)) + b

    Each :math:`d_l` is a cubic B-spline whose control points move at most :math:`a_l` with knots
    :math:`\delta_l` apart. As :math:`\sum_l a_l / \delta_l < 1 / 2.479`, the sum is one to one.

    Args:
        matrix: Sizes and turns :math:`A`, (3, 3).
        shift: Shift :math:`b`, (3,), in mm.
        controls: Control displacements of each level in mm, (3, *K).

    Reference:
        Injectivity conditions of 2D and 3D uniform cubic B-spline functions (Choi and Lee, 2000), theorem 2.
    """

    matrix: Tensor
    shift: Tensor
    controls: tuple[Tensor, ...]

    def __call__(self, axes: Sequence[Tensor]) -> Tensor:
        """Return the positions in the template, (3, I, J, K) in mm, for the grid of ``axes``."""
        positions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        for controls, (knots, _) in zip(self.controls, LEVELS, strict=True):
            positions += evaluate_template_spline(controls, knots, axes)
        centre = torch.tensor(CENTRE).to(self.matrix)
        offset = centre + self.shift - self.matrix @ centre
        return torch.einsum("ab,bijk->aijk", self.matrix, positions) + offset[:, None, None, None]

    def jacobian(self, axes: Sequence[Tensor]) -> Tensor:
        """Return the change of volume (I, J, K) from phantom to template; positive where nothing folds."""
        slopes = axes[0].new_zeros((3, 3, *(len(u) for u in axes)))
        for controls, (knots, _) in zip(self.controls, LEVELS, strict=True):
            slopes += torch.stack(
                [evaluate_template_spline(controls, knots, axes, derivative_axis=a) for a in range(3)], 1
            )
        gradient = torch.movedim(slopes, (0, 1), (-2, -1)) + torch.eye(3).to(slopes)
        return torch.linalg.det(self.matrix @ gradient)


def draw_warp(generator: torch.Generator) -> Warp:
    """Draw the deformation of one person."""
    scale, turn, shift = 2 * torch.rand((3, 3), generator=generator) - 1
    matrix = _make_rotation(turn * math.radians(TURN)) * (scale * SCALE + ENLARGEMENT).exp()
    controls = [limit * draw_template_controls(3, knots, generator) for knots, limit in LEVELS]
    return Warp(matrix, shift * SHIFT, tuple(controls))


def _make_rotation(angles: Tensor) -> Tensor:
    x, y, z = angles.tolist()
    skew = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return torch.linalg.matrix_exp(skew)
