"""One scan as stacks of slices, and the maps of the stacks on the grid of the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.scan_slices import ScanSlices, cut_slices
from diffad.data.slices import axis_index, from_slices, to_slices
from diffad.data.space import Space
from diffad.data.volume import VolumeError
from diffad.inference.across import smooth_across
from diffad.inference.healthy import HealthyMaps
from diffad.inference.orientations import Slicing, fuse_maps
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


def make_stacks(
    source: ScanSource, axis: str, slices: tuple[int, int] | None = None, neighbours: int = 0
) -> list[Stack]:
    """Cut a source into the stacks a network of slices (or volumes) takes; slices without brain are left out.

    Args:
        source: The scan.
        axis: Plane of the slices, or "volume".
        slices: First and last (exclusive) slice to take from volumes; none for all.
        neighbours: Slices below and above each that the network is shown beside it.

    Raises:
        ValueError: If no slice with brain is left, or images are to have neighbours.
    """
    flat = source.image.ndim == 4
    if flat and axis == "volume":
        raise ValueError(
            f"expected volumes, as the model was trained on, got images {tuple(source.image.shape)}"
        )
    if slices is not None and (flat or axis == "volume"):
        raise ValueError(f"expected a range of slices for volumes cut into slices only, got {slices}")
    if flat and neighbours:
        raise ValueError(
            f"{source.name}: expected a volume, as the model looks at {neighbours} slice(s) below and above "
            f"each, got images {tuple(source.image.shape)}"
        )
    stacks = []
    for i, (image, brain) in enumerate(zip(source.image, source.brain, strict=True)):
        _check_contrast(image, brain, source.name)
        region = None if source.region is None else source.region[i]
        if flat:  # each is a scan of its own, and gets the same noise in any batch
            cut, planes = ScanSlices(image[None], brain[None], [0]), None if region is None else region[None]
        else:
            how = (source.spacing, slices, source.name, source.is_image, neighbours)
            cut = cut_slices(image, brain, axis, *how)
            planes = None if region is None else _cut_region(region, axis, cut.keys)
        cut_fields: dict[str, Any] = {field.name: getattr(cut, field.name) for field in fields(cut)}
        stacks.append(Stack(**cut_fields, name=source.name, region=planes))
    return stacks


def measure_windows(source: ScanSource, space: Space) -> list[IntensityWindow]:
    """Find the intensity window of each item over its whole brain, whichever slices are looked at.

    A tensor for a model of CT has the range of the model's window already.

    Raises:
        VolumeError: If the intensities of an item cannot be used; it is named.
    """
    if source.volume is None and space.config.intensity == "ct":
        channels = source.image.shape[1]
        return [IntensityWindow((0.0,) * channels, (1.0,) * channels)] * len(source.image)
    try:
        pairs = zip(source.image, source.brain, strict=True)
        return [space.window(image, brain) for image, brain in pairs]
    except VolumeError as error:  # parts below know no names
        raise VolumeError(f"{source.name}: {error}") from error


def describe_windows(windows: Sequence[IntensityWindow]) -> dict[str, Any]:
    """Say which intensities became 0 and 1, by channel: "window" of one item, else "windows" of each."""
    values = [{"lower": list(window.lower), "upper": list(window.upper)} for window in windows]
    return {"window": values[0]} if len(values) == 1 else {"windows": values}


def _cut_region(region: Tensor, axis: str, keys: Sequence[int]) -> Tensor:
    return region[None] if axis == "volume" else to_slices(region, axis)[list(keys)]


def _check_contrast(image: Tensor, brain: Tensor, name: str) -> None:
    for c, channel in enumerate(image):
        values = channel[brain[0]]
        if (first := float(values[0])) == float(values.min()) == float(values.max()):
            raise VolumeError(
                f"{name}: expected contrast inside the brain mask, got the constant {first:g} in channel {c}"
            )


def check_sequence_count(stacks: Sequence[Stack], channels: int, name: str) -> None:
    """Refuse scans with another number of sequences than the network.

    Raises:
        ValueError: With both numbers.
    """
    if (count := stacks[0].image.shape[1]) != channels:
        raise VolumeError(
            f"{name}: expected {channels} sequence(s), as the model was trained on, got {count}"
        )


def cut_source(
    source: ScanSource,
    axis: str,
    cuts: Slicing,
    windows: Sequence[IntensityWindow],
    channels: int,
    neighbours: int = 0,
) -> list[Stack]:
    """Cut a source along one axis into what a network takes, each stack with its noise and its window.

    Args:
        source: The scan.
        axis: Plane of the slices, or "volume".
        cuts: Which slices, and what their noise follows from.
        windows: Intensity window of each item.
        channels: Sequences of the network.
        neighbours: Slices below and above each that the network is shown beside it.

    Raises:
        ValueError: If no slice with brain is left, or the number of sequences is another.
    """
    stacks = make_stacks(source, axis, cuts.slices, neighbours)
    check_sequence_count(stacks, channels, source.name)
    pairs = zip(stacks, windows, strict=True)
    return [replace(s, noise_keys=cuts.noise_keys(s.keys, axis), window=w) for s, w in pairs]


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
