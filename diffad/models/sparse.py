"""A dense residual network run as if its input had holes, so that nothing leaks out of or into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor, nn


@dataclass(frozen=True)
class VisibleCells:
    """Runs layers on visible positions only; made anew for each batch, so that no layer holds a mask.

    A coarse position is visible where any pixel under it is.

    Args:
        cells: Which cells of an even grid over the image are visible, (B, 1, *N), bool.

    Reference:
        Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling
        (Tian et al., 2023), section 3.1.
    """

    cells: Tensor

    def mark_positions(self, shape: torch.Size) -> Tensor:
        """Return the visible positions (B, 1, *S) of a map of spatial ``shape`` S.

        Raises:
            ValueError: If cells and positions do not fit into each other.
        """
        grid = self.cells.shape[2:]
        if all(s % n == 0 for s, n in zip(shape, grid, strict=True)):
            return F.interpolate(self.cells.float(), size=shape, mode="nearest").bool()
        if any(n % s for s, n in zip(shape, grid, strict=True)):
            raise ValueError(f"expected cells {tuple(grid)} that fit positions {tuple(shape)}")
        pool = F.adaptive_max_pool2d if len(shape) == 2 else F.adaptive_max_pool3d
        return pool(self.cells.float(), list(shape)).bool()

    def hide(self, x: Tensor) -> Tensor:
        """Set hidden positions of ``x`` (B, C, *S) to 0."""
        return x * self.mark_positions(x.shape[2:])

    def __call__(self, layer: Any, x: Tensor) -> Tensor:
        """Run a convolution, pooling or normalisation on ``x`` (B, C, *S); hidden positions come out 0."""
        if isinstance(layer, nn.GroupNorm):
            return self.hide(_normalise_groups(layer, x, self.mark_positions(x.shape[2:])))
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            return _normalise_batch(layer, x, self.mark_positions(x.shape[2:]))
        return self.hide(layer(x))


def _normalise_groups(layer: nn.GroupNorm, x: Tensor, visible: Tensor) -> Tensor:
    """Normalise by the mean and variance of each item's and group's visible positions."""
    groups, wide = layer.num_groups, x.float()
    count = reduce(visible, "b 1 ... -> b 1", "sum").clamp(min=1) * (x.shape[1] // groups)

    def average_group(values: Tensor) -> Tensor:
        mean = reduce(values * visible, "b (g c) ... -> b g", "sum", g=groups) / count
        spread = repeat(mean, "b g -> b (g c)", c=x.shape[1] // groups)
        return rearrange(spread, f"b c -> b c {'1 ' * (x.ndim - 2)}")

    deviations = wide - average_group(wide)
    normalised_map = deviations * torch.rsqrt(average_group(deviations.square()) + layer.eps)
    weight, bias = (rearrange(v, f"c -> c {'1 ' * (x.ndim - 2)}") for v in (layer.weight, layer.bias))
    return (normalised_map * weight + bias).to(x.dtype)


def _normalise_batch(layer: nn.BatchNorm2d | nn.BatchNorm3d, x: Tensor, visible: Tensor) -> Tensor:
    """Normalise by mean and variance of the visible positions of all items, or by the running statistics."""
    channels_last = rearrange(x, "b c ... -> b ... c")
    positions = visible[:, 0]
    if layer.training and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    statistics = (layer.running_mean, layer.running_var, layer.weight, layer.bias, layer.training)
    values = F.batch_norm(channels_last[positions], *statistics, layer.momentum or 0.0, layer.eps)
    whole = torch.zeros_like(channels_last, dtype=values.dtype).masked_scatter(positions[..., None], values)
    return rearrange(whole, "b ... c -> b c ...")


def extract_pyramid(resnet: Any, x: Tensor, visible: VisibleCells) -> list[Tensor]:
    """Return what leaves the four stages of a MONAI ResNet that sees the visible cells of ``x`` (B, C, *S).

    The sides of ``x`` are multiples of 32. Hidden positions of all maps are 0.
    """
    h = resnet.act(visible(resnet.bn1, visible(resnet.conv1, visible.hide(x))))
    h = visible(resnet.maxpool, h)
    maps = []
    for stage in (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4):
        for block in stage:
            h = _run_block(block, h, visible)
        maps.append(h)
    return maps


def _run_block(block: Any, x: Tensor, visible: VisibleCells) -> Tensor:
    """Run a basic block, of two convolutions, or a bottleneck, of three."""
    h, last, shortcut = x, 3 if hasattr(block, "conv3") else 2, x
    for layer in block.downsample or ():
        shortcut = visible(layer, shortcut)
    for i in range(1, last + 1):
        h = visible(getattr(block, f"bn{i}"), visible(getattr(block, f"conv{i}"), h))
        h = block.act(h) if i < last else h
    answer: Tensor = block.act(h + shortcut)
    return answer
