"""Whatever a caller hands over, as stacks of slices; and the stacks' maps put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.masks import brain_mask, load_mask
from diffad.data.names import strip_sequence
from diffad.data.scan_slices import cut_slices, read_scan
from diffad.data.slices import axis_index, from_slices, to_slices
from diffad.data.volume import Volume, VolumeError
from diffad.inference.detector import Stack, StackResult


@dataclass(frozen=True)
class ScanSource:
    """A scan and its brain.

    Args:
        image: Intensities, (B, C, *S); of a volume (1, C, I, J, K).
        brain: Brain mask, (B, 1, *S), bool.
        volume: The volume it is, or none for a tensor.
        region: Where its twin may differ, (B, 1, *S), or none for no limit.
    """

    image: Tensor
    brain: Tensor
    volume: Volume | None = None
    region: Tensor | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.volume.path) if self.volume and self.volume.path else "the scan"


def read_source(scan: Any, mask: Any = None, region: Any = None) -> ScanSource:
    """Read a scan, its brain mask and where its twin may differ, from wherever they are.

    Raises:
        ValueError: If one cannot be used; the message names the file.
    """
    source = _from_tensor(scan, mask) if isinstance(scan, Tensor) else _from_volume(scan, mask)
    return source if region is None else replace(source, region=_region(source, region))


def _region(source: ScanSource, region: Any) -> Tensor:
    if isinstance(region, str | Path):
        if source.volume is None:
            raise TypeError(f"expected the region of a tensor as a tensor (B, 1, *S), got {str(region)!r}")
        region = load_mask(region, source.volume)
    found = torch.as_tensor(region).float().cpu()
    found = found[None, None] if source.volume is not None and found.ndim == 3 else found
    if found.shape != source.brain.shape:
        expected = f"a region {tuple(source.brain.shape)}"
        raise ValueError(f"{source.name}: expected {expected}, got shape {tuple(found.shape)}")
    if not (found.min() >= 0 and found.max() <= 1):
        raise ValueError(f"{source.name}: expected a region in [0, 1], got values beyond")
    if (found[source.brain] == 1).all():
        raise ValueError(f"{source.name}: expected a region that leaves some brain, got one that covers all")
    return found


def _from_volume(scan: Any, mask: Any) -> ScanSource:
    volume, brain = read_scan(scan, mask)
    image = torch.from_numpy(volume.data)[None]
    _check_finite(image, volume.name)
    return ScanSource(image, torch.from_numpy(brain)[None, None], volume)


def _check_finite(x: Tensor, name: str) -> None:
    if bad := int((~torch.isfinite(x)).sum()):
        raise VolumeError(f"{name}: expected finite intensities, got {bad} that are not")


def _from_tensor(x: Tensor, mask: Any) -> ScanSource:
    if x.ndim not in (4, 5) or not x.numel():
        raise ValueError(f"expected a tensor (B, C, *S) with 2 or 3 spatial axes, got shape {tuple(x.shape)}")
    x = x.detach().float().cpu()
    _check_finite(x, "the tensor")
    if float(x.min()) < -1e-3 or float(x.max()) > 1 + 1e-3:
        raise ValueError(f"expected a tensor in [0, 1], got values {float(x.min()):g} to {float(x.max()):g}")
    if isinstance(mask, str | Path):
        raise TypeError(f"expected the mask of a tensor as a tensor (B, 1, *S), got the path {str(mask)!r}")
    return ScanSource(x, _mask_for(x, mask))


def _mask_for(x: Tensor, mask: Any) -> Tensor:
    brain = brain_mask(x) if mask is None else torch.as_tensor(mask).cpu() > 0
    if brain.shape != (len(x), 1, *x.shape[2:]):
        raise ValueError(f"expected a mask {(len(x), 1, *x.shape[2:])}, got shape {tuple(brain.shape)}")
    if empty := [i for i, item in enumerate(brain) if not item.any()]:
        raise ValueError(f"expected brain masks with pixels inside, got empty ones for items {empty}")
    return brain


def make_stacks(source: ScanSource, axis: str, slices: tuple[int, int] | None = None) -> list[Stack]:
    """Cut a source into the stacks a network of slices (or volumes) takes; slices without brain are left out.

    Args:
        source: The scan.
        axis: Plane of the slices, or "volume".
        slices: First and last (exclusive) slice to take from volumes; none for all.

    Raises:
        ValueError: If no slice with brain is left.
    """
    flat = source.image.ndim == 4
    if flat and axis == "volume":
        raise ValueError(
            f"expected volumes, as the model was trained on, got images {tuple(source.image.shape)}"
        )
    if slices is not None and (flat or axis == "volume"):
        raise ValueError(f"expected a range of slices for volumes cut into slices only, got {slices}")
    spacing = source.volume.spacing.tolist() if source.volume else None
    stacks = []
    for i, (image, brain) in enumerate(zip(source.image, source.brain, strict=True)):
        _check_contrast(image, brain, source.name)
        region = None if source.region is None else source.region[i]
        if flat:  # each is a scan of its own, and gets the same noise in any batch
            edited = None if region is None else region[None]
            stacks.append(Stack(image[None], brain[None], [0], name=source.name, region=edited))
        else:
            c = cut_slices(image, brain, axis, spacing, slices, source.name)
            edited = None if region is None else _planes(region, axis, c.keys)
            stacks.append(Stack(c.image, c.brain, c.keys, c.spacing, c.centre, None, source.name, edited))
    return stacks


def _planes(region: Tensor, axis: str, keys: Sequence[int]) -> Tensor:
    return region[None] if axis == "volume" else to_slices(region, axis)[list(keys)]


def _check_contrast(image: Tensor, brain: Tensor, name: str) -> None:
    for c, channel in enumerate(image):
        inside = channel[brain[0]]
        if (first := float(inside[0])) == float(inside.min()) == float(inside.max()):
            raise VolumeError(
                f"{name}: expected contrast inside the brain mask, got the constant {first:g} in channel {c}"
            )


def check_channels(found: Sequence[Stack], channels: int, name: str) -> None:
    """Refuse scans with another number of sequences than the network.

    Raises:
        ValueError: With both numbers.
    """
    if (got := found[0].image.shape[1]) != channels:
        raise VolumeError(f"{name}: expected {channels} sequence(s), as the model was trained on, got {got}")


def check_sequences(scan: Any, names: Sequence[str] | None) -> None:
    """Refuse sequences in another order than the network's; files that are named otherwise pass.

    Args:
        scan: What the caller handed over.
        names: Sequences of the network in order, as ``data.names.strip_sequence`` takes them; or none.

    Raises:
        VolumeError: If a file is named like another sequence than the one of its place.
    """
    if names is None or isinstance(scan, str | Path | Tensor | Volume):
        return
    found = [[name for name in names if strip_sequence(Path(path), name) is not None] for path in scan]
    for path, given, name in zip(scan, found, names, strict=False):
        if given and name not in given:
            raise VolumeError(
                f"{path}: expected the sequences in the order {', '.join(names)}, found {given[0]} "
                f"in the place of {name}"
            )


def assemble_maps(
    source: ScanSource, parts: Sequence[Stack], found: Sequence[StackResult], axis: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Put maps (B, 1, *S), twins and standard deviations (B, C, *S) of all stacks on the source's grid.

    Slices that were not looked at have a map of 0 and are their own twin.
    """
    several = all(f.std is not None for f in found)
    if source.image.ndim == 4 or axis == "volume":
        std = torch.cat([f.std for f in found if f.std is not None]) if several else None
        return torch.cat([f.anomaly for f in found]), torch.cat([f.twin for f in found]), std
    maps, twins, stds = [], [], []
    for image, stack, result in zip(source.image, parts, found, strict=True):
        planes = to_slices(image, axis)
        maps.append(_laid(torch.zeros_like(planes[:, :1]), stack, result.anomaly, axis))
        twins.append(_laid(planes, stack, result.twin, axis))
        if result.std is not None:
            stds.append(_laid(torch.zeros_like(planes), stack, result.std, axis))
    return torch.stack(maps), torch.stack(twins), torch.stack(stds) if several else None


def _laid(planes: Tensor, stack: Stack, found: Tensor, axis: str) -> Tensor:
    """Put the slices that were looked at in their places among all slices of the volume."""
    planes = planes.clone()
    planes[list(stack.keys)] = found
    return from_slices(planes, axis)


def analysed_mask(source: ScanSource, parts: Sequence[Stack], axis: str) -> Tensor:
    """Return the part of the brain mask (B, 1, *S) that was looked at."""
    if source.image.ndim == 4 or axis == "volume":
        return source.brain
    looked = torch.zeros_like(source.brain)
    for i, stack in enumerate(parts):
        index = torch.zeros(looked.shape[2 + axis_index(axis)], dtype=torch.bool)
        index[list(stack.keys)] = True
        pattern = ("n -> 1 n 1 1", "n -> 1 1 n 1", "n -> 1 1 1 n")[axis_index(axis)]
        looked[i] = source.brain[i] & rearrange(index, pattern)
    return looked
