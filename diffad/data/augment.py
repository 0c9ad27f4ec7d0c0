"""Random changes of training items, set in the config and drawn from the generator of each item."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffad.config import AugmentConfig
from diffad.data.augment_scanner import bend_tones, lay_bias, lay_noise
from diffad.data.place import SAGITTAL, mirror_places, tabulate_places


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
        The changed images and masks, of the same shapes.
    """
    unknown = tabulate_places([None] * len(images)).to(images.device)
    return augment_items(images, masks, unknown, config, generators)[:2]


def augment_items(
    images: Tensor, masks: Tensor, places: Tensor, config: AugmentConfig, generators: list[torch.Generator]
) -> tuple[Tensor, Tensor, Tensor]:
    """Change items as ``augment`` does, whose slices have places.

    A flip changes left and right. A sagittal slice, known by its place, stays as it is then, and its place is
    that on the other side.

    Args:
        images: Slices or volumes in [0, 1], background 0, (B, C, *S).
        masks: Brain masks, (B, 1, *S), in {0, 1}.
        places: Orientation and position of each slice, (B, 2).
        config: How far each change may go.
        generators: One per item.

    Returns:
        The changed images, masks and places.
    """
    draws = torch.stack([torch.rand(7, generator=g) for g in generators]).to(images.device)
    flip, steps = draws[:, 0] < config.flip, draws[:, 1:] * 2 - 1
    if config.rotate or config.shift or config.scale:
        maps = _make_maps(steps, images.shape[2:], config)
        grid = F.affine_grid(maps, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        masks = F.grid_sample(masks, grid.to(masks.dtype), mode="nearest", align_corners=False)
        # Interpolation reaches half a pixel beyond the mask.
        images = images * masks
    if config.flip:
        turn = flip & (places[:, 0] != SAGITTAL)
        images, masks, places = _mirror(images, turn), _mirror(masks, turn), mirror_places(places, flip)
    if config.blur:
        sharpness = torch.stack([torch.rand((), generator=g) for g in generators]).to(images.device)
        images = _blur(images, sharpness * config.blur) * masks
    images = _change_intensity(images, steps[:, 4], steps[:, 5], config)
    return _imitate_scanner(images, masks, config, generators), masks, places


def _imitate_scanner(
    images: Tensor, masks: Tensor, config: AugmentConfig, generators: list[torch.Generator]
) -> Tensor:
    """Change contrast, evenness and noise; what is not asked for draws nothing."""
    if config.tone:
        images = bend_tones(images, config.tone, generators)
    if config.bias:
        images = lay_bias(images, config.bias, generators)
    return lay_noise(images, config.noise, generators) * masks if config.noise else images


def _blur(x: Tensor, sd: Tensor, reach: int = 3) -> Tensor:
    """Blur each item of ``x`` (B, C, *S) by a Gaussian with its SD (B,), in pixels; 0 changes nothing."""
    offsets = torch.arange(-reach, reach + 1, device=x.device)
    weights = torch.exp(-0.5 * (offsets / rearrange(sd.clamp(min=1e-3), "b -> b 1")) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    for axis in range(2, x.ndim):
        pad = [0, 0] * (x.ndim - 1 - axis) + [reach, reach]
        windows = F.pad(x, pad).unfold(axis, 2 * reach + 1, 1)
        x = (windows * rearrange(weights, f"b k -> b {'1 ' * (x.ndim - 1)}k")).sum(-1)
    return x


def _mirror(x: Tensor, flip: Tensor) -> Tensor:
    axis = 2 if x.ndim == 5 else -1
    choice = rearrange(flip, f"b -> b {'1 ' * (x.ndim - 1)}")
    return torch.where(choice, x.flip(axis), x)


def _make_maps(steps: Tensor, shape: torch.Size, config: AugmentConfig) -> Tensor:
    """Return maps from output to input coordinates, (B, 2, 3) for slices, (B, 3, 4) for volumes.

    Coordinates run from -1 to 1 along each axis, whatever its length, and start with the last axis.
    """
    angle = steps[:, 0] * math.radians(config.rotate)
    size = 1 + steps[:, 1] * config.scale
    cos, sin = angle.cos() / size, angle.sin() / size
    shift = 2 * config.shift * steps[:, 2:4]
    if len(shape) == 2:
        aspect = shape[0] / shape[1]
        x = torch.stack([cos, -sin * aspect, shift[:, 0]], 1)
        return torch.stack([x, torch.stack([sin / aspect, cos, shift[:, 1]], 1)], 1)
    zero, aspect = torch.zeros_like(cos), shape[1] / shape[0]
    k = torch.stack([1 / size, zero, zero, zero], 1)
    j = torch.stack([zero, cos, sin / aspect, shift[:, 1]], 1)
    i = torch.stack([zero, -sin * aspect, cos, shift[:, 0]], 1)
    return torch.stack([k, j, i], 1)


def _change_intensity(images: Tensor, gamma: Tensor, gain: Tensor, config: AugmentConfig) -> Tensor:
    if not (config.gamma or config.gain):
        return images
    per_item = f"b -> b {'1 ' * (images.ndim - 1)}"
    exponent = rearrange(torch.exp2(gamma * config.gamma), per_item)
    scale = rearrange(1 + gain * config.gain, per_item)
    return (images.clamp(min=0) ** exponent * scale).clamp(0, 1)
