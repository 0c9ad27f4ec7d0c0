"""Smooth random fields in the box of the template."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.data import spline
from diffad.data.phantom.anatomy import EXTENT, ORIGIN


def draw_template_controls(channels: int, knots: float, generator: torch.Generator) -> Tensor:
    """Draw control values for the box of the template, as ``diffad.data.spline`` does; distances in mm."""
    return spline.draw_controls(channels, EXTENT, knots, generator)


def evaluate_template_spline(
    controls: Tensor, knots: float, axes: Sequence[Tensor], derivative_axis: int | None = None
) -> Tensor:
    """Evaluate cubic B-splines (C, *K) on a grid in the box of the template; positions are in mm."""
    return spline.evaluate_spline(controls, knots, axes, ORIGIN, derivative_axis)


def draw_field(knots: float, axes: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Draw one smooth field in [-1, 1], (I, J, K), of mean 0 and a standard deviation of about 0.2."""
    return evaluate_template_spline(draw_template_controls(1, knots, generator), knots, axes)[0]
