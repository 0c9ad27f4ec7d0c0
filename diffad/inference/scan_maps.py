"""The maps of stacks on the grid of their scan, in units of healthy scans, and of several axes as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.slices import axis_index, from_slices, to_slices
from diffad.inference.across import smooth_across
from diffad.inference.healthy import HealthyMaps
from diffad.inference.orientations import fuse_maps
from diffad.inference.scan import ScanSource
from diffad.inference.stack import Stack, StackResult


@dataclass(frozen=True)
class ScanMaps:
    """What one scan became, on its own grid.

    Args:
        anomaly: Anomaly map, (B, 1, *S), 0 where nothing was analysed.
        reconstruction: In the scan's intensities, (B, C, *S); the scan itself where nothing was analysed.
        std: Standard deviation of several reconstructions, (B, C, *S); none of a single one.
        analysed: Part of the brain that was looked at, (B, 1, *S), bool.
        nfe: Network evaluations per slice.
    """

    anomaly: Tensor
    reconstruction: Tensor
    std: Tensor | None
    analysed: Tensor
    nfe: int


def assemble_maps(
    source: ScanSource,
    stacks: Sequence[Stack],
    results: Sequence[StackResult],
    axis: str,
    across_mm: float = 0.0,
) -> ScanMaps:
    """Put the maps of all stacks on the grid of the source.

    Args:
        source: The scan.
        stacks: What was cut from it.
        results: What became of each stack.
        axis: Plane of the slices, or "volume".
        across_mm: SD of the smoothing across slices, see ``smooth_across``.
    """
    analysed, nfe = _mark_analysed(source, stacks, axis), results[0].nfe
    several = all(result.std is not None for result in results)
    if source.image.ndim == 4 or axis == "volume":
        std = torch.cat([result.std for result in results if result.std is not None]) if several else None
        anomaly = torch.cat([result.anomaly for result in results])
        return ScanMaps(anomaly, torch.cat([r.reconstruction for r in results]), std, analysed, nfe)
    maps, reconstructions, stds = [], [], []
    for image, stack, result in zip(source.image, stacks, results, strict=True):
        planes = to_slices(image, axis)
        maps.append(_lay_planes(torch.zeros_like(planes[:, :1]), stack, result.anomaly, axis))
        reconstructions.append(_lay_planes(planes, stack, result.reconstruction, axis))
        if result.std is not None:
            stds.append(_lay_planes(torch.zeros_like(planes), stack, result.std, axis))
    std = torch.stack(stds) if several else None
    anomaly = smooth_across(source, torch.stack(maps), analysed, axis, across_mm)
    return ScanMaps(anomaly, torch.stack(reconstructions), std, analysed, nfe)


def _lay_planes(planes: Tensor, stack: Stack, values: Tensor, axis: str) -> Tensor:
    """Put the slices of a stack in their places among all slices of the volume."""
    planes = planes.clone()
    planes[list(stack.keys)] = values
    return from_slices(planes, axis)


def _mark_analysed(source: ScanSource, stacks: Sequence[Stack], axis: str) -> Tensor:
    """Return the part of the brain mask (B, 1, *S) that lies in the stacks."""
    if source.image.ndim == 4 or axis == "volume":
        return source.brain
    analysed = torch.zeros_like(source.brain)
    for i, stack in enumerate(stacks):
        index = torch.zeros(analysed.shape[2 + axis_index(axis)], dtype=torch.bool)
        index[list(stack.keys)] = True
        pattern = ("n -> 1 n 1 1", "n -> 1 1 n 1", "n -> 1 1 1 n")[axis_index(axis)]
        analysed[i] = source.brain[i] & rearrange(index, pattern)
    return analysed


def normalise_maps(
    source: ScanSource,
    maps: ScanMaps,
    healthy: HealthyMaps | None,
    post: Mapping[str, Any],
    usual: bool = True,
) -> tuple[ScanMaps, list[str]]:
    """Put the maps of a volume in units of healthy scans at the same place, where a model asks for it.

    Args:
        source: The scan.
        maps: What it became, with maps as score and smoothing left them.
        healthy: Healthy maps of the model; none before they are measured.
        post: Options of a ``PostprocessConfig``.
        usual: Whether the maps are made as those of the healthy scans were.

    Returns:
        The maps, and why they are as they were although the model asks for it: thresholds in its units do
        not hold for them.
    """
    if post["normalise"] == "none":
        return maps, []
    if healthy is None:
        return maps, ["the map is not normalised by place, as the model was not calibrated on healthy scans"]
    if source.volume is None:
        return maps, ["the map is not normalised by place, as a tensor does not say where in the head it is"]
    if not usual:
        reason = "the parts, axes or region asked for make other maps than the model's own"
        return maps, [f"the map is not normalised by place, as {reason}"]
    return replace(maps, anomaly=healthy.normalise(maps.anomaly, maps.analysed, source.brain)), []


def fuse_scan_maps(parts: Sequence[ScanMaps], fusion: str) -> ScanMaps:
    """Make one result of those along several axes: maps fused, the rest averaged, all analysed voxels kept.

    Args:
        parts: What the scan became along each axis.
        fusion: A name of ``FUSIONS``.
    """
    stds = [part.std for part in parts if part.std is not None]
    analysed = torch.stack([part.analysed for part in parts]).any(0)
    anomaly = fuse_maps([part.anomaly for part in parts], fusion)
    std = fuse_maps(stds) if len(stds) == len(parts) else None
    return ScanMaps(anomaly, fuse_maps([p.reconstruction for p in parts]), std, analysed, parts[0].nfe)
