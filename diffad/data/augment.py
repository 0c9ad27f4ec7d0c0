"""Random changes to training items, each named in the config and drawn from the item's own generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffad.config import AugmentConfig


def augment(
    images: Tensor, masks: Tensor, config: AugmentConfig, generators: list[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Flip, move and rescale items and change their intensities; what is outside the mask stays 0.

    Slices are flipped along their columns and turned in their plane, volumes along I (left-right) and in the
    axial plane.

    Args:
        images: Slices or volumes in [0, 1], background 0, (B, C, *S).
        masks: Brain masks, (B, 1, *S), in {0, 1}.
        config: How far each change may go.
        generators: One per item.

    Returns:
        The changed images and masks, same shapes.
    """
    draws = torch.stack([torch.rand(7, generator=g) for g in generators]).to(images.device)
    flip, rest = draws[:, 0] < config.flip, draws[:, 1:] * 2 - 1
    if config.rotate or config.shift or config.scale:
        grid = F.affine_grid(_affine(rest, images.shape[2:], config), list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        masks = F.grid_sample(masks, grid.to(masks.dtype), mode="nearest", align_corners=False)
        # Interpolation reaches half a pixel beyond the mask.
        images = images * masks
    if config.flip:
        images, masks = _mirrored(images, flip), _mirrored(masks, flip)
    if config.blur:
        sharpness = torch.stack([torch.rand((), generator=g) for g in generators]).to(images.device)
        images = _blurred(images, sharpness * config.blur) * masks
    return _intensity(images, rest[:, 4], rest[:, 5], config), masks


def _blurred(x: Tensor, sd: Tensor, reach: int = 3) -> Tensor:
    """Blur each item of ``x`` (B, C, *S) by a Gaussian of its own SD (B,), in pixels; 0 keeps it as it is."""
    offsets = torch.arange(-reach, reach + 1, device=x.device)
    weights = torch.exp(-0.5 * (offsets / rearrange(sd.clamp(min=1e-3), "b -> b 1")) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    for axis in range(2, x.ndim):
        pad = [0, 0] * (x.ndim - 1 - axis) + [reach, reach]
        windows = F.pad(x, pad).unfold(axis, 2 * reach + 1, 1)
        x = (windows * rearrange(weights, f"b k -> b {'1 ' * (x.ndim - 1)}k")).sum(-1)
    return x


def _mirrored(x: Tensor, flip: Tensor) -> Tensor:
    axis = 2 if x.ndim == 5 else -1
    chosen = rearrange(flip, f"b -> b {'1 ' * (x.ndim - 1)}")
    return torch.where(chosen, x.flip(axis), x)


def _affine(rest: Tensor, shape: torch.Size, config: AugmentConfig) -> Tensor:
    """Return maps from output to input coordinates, (B, 2, 3) for slices, (B, 3, 4) for volumes.

    Coordinates run from -1 to 1 along each axis, whatever its length, and are listed from the last axis.
    """
    angle = rest[:, 0] * math.radians(config.rotate)
    size = 1 + rest[:, 1] * config.scale
    cos, sin = angle.cos() / size, angle.sin() / size
    shift = 2 * config.shift * rest[:, 2:4]
    if len(shape) == 2:
        aspect = shape[0] / shape[1]
        x = torch.stack([cos, -sin * aspect, shift[:, 0]], 1)
        return torch.stack([x, torch.stack([sin / aspect, cos, shift[:, 1]], 1)], 1)
    none, aspect = torch.zeros_like(cos), shape[1] / shape[0]
    k = torch.stack([1 / size, none, none, none], 1)
    j = torch.stack([none, cos, sin / aspect, shift[:, 1]], 1)
    i = torch.stack([none, -sin * aspect, cos, shift[:, 0]], 1)
    return torch.stack([k, j, i], 1)


def _intensity(images: Tensor, gamma: Tensor, gain: Tensor, config: AugmentConfig) -> Tensor:
    if not (config.gamma or config.gain):
        return images
    per_item = f"b -> b {'1 ' * (images.ndim - 1)}"
    exponent = rearrange(torch.exp2(gamma * config.gamma), per_item)
    scale = rearrange(1 + gain * config.gain, per_item)
    return (images.clamp(min=0) ** exponent * scale).clamp(0, 1)
