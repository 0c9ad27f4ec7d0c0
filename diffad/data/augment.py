"""Random changes to training slices, each named in the config and drawn from the item's own generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.config import AugmentConfig


def augment(
    images: Tensor, masks: Tensor, config: AugmentConfig, generators: list[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Flip, move and rescale slices and change their intensities.

    Args:
        images: Slices in [0, 1], (B, C, H, W).
        masks: Brain masks, (B, 1, H, W), in {0, 1}.
        config: How far each change may go.
        generators: One per item.

    Returns:
        The changed images and masks, same shapes.
    """
    draws = torch.stack([torch.rand(7, generator=g) for g in generators]).to(images.device)
    flip, rest = draws[:, 0] < config.flip, draws[:, 1:] * 2 - 1
    if any((config.flip, config.rotate, config.shift, config.scale)):
        grid = F.affine_grid(_affine(flip, rest, config), list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        masks = F.grid_sample(masks, grid.to(masks.dtype), mode="nearest", align_corners=False)
    return _intensity(images, rest[:, 4], rest[:, 5], config), masks


def _affine(flip: Tensor, rest: Tensor, config: AugmentConfig) -> Tensor:
    """Return (B, 2, 3) maps from output to input coordinates."""
    angle = rest[:, 0] * math.radians(config.rotate)
    size = 1 + rest[:, 1] * config.scale
    mirror = torch.where(flip, -1.0, 1.0)
    cos, sin = angle.cos() / size, angle.sin() / size
    shift = 2 * config.shift * rest[:, 2:4]
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    return torch.stack(rows, 1)


def _intensity(images: Tensor, gamma: Tensor, gain: Tensor, config: AugmentConfig) -> Tensor:
    if not (config.gamma or config.gain):
        return images
    exponent = torch.exp2(gamma * config.gamma)[:, None, None, None]
    scale = (1 + gain * config.gain)[:, None, None, None]
    return (images.clamp(min=0) ** exponent * scale).clamp(0, 1)
