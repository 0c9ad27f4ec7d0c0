"""One scan as stacks of slices, each what a network takes; the way back is in ``scan_maps``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.scan_slices import ScanSlices, cut_slices
from diffad.data.slices import to_slices
from diffad.data.volume import VolumeError
from diffad.inference.orientations import Slicing
from diffad.inference.scan import ScanSource
from diffad.inference.scan_maps import ScanMaps as ScanMaps
from diffad.inference.scan_maps import assemble_maps as assemble_maps
from diffad.inference.scan_maps import fuse_scan_maps as fuse_scan_maps
from diffad.inference.scan_maps import normalise_maps as normalise_maps
from diffad.inference.scan_windows import describe_windows as describe_windows
from diffad.inference.scan_windows import measure_windows as measure_windows
from diffad.inference.stack import Stack


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
