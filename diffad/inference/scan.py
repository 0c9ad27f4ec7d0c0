"""Whatever a caller hands over, read as one scan with its brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.data.flat_file import is_flat_name
from diffad.data.mask_values import cut_mask
from diffad.data.masks import brain_mask, load_mask
from diffad.data.names import strip_sequence
from diffad.data.scan_slices import read_scan
from diffad.data.volume import Array, Volume, VolumeError
from diffad.inference.features import ScanFeatures, measure_channels


@dataclass(frozen=True)
class ScanSource:
    """A scan and its brain.

    Args:
        image: Intensities, (B, C, *S); of a volume (1, C, I, J, K).
        brain: Brain mask, (B, 1, *S), bool.
        volume: The volume it is, or none for a tensor.
        region: Where its reconstruction may differ, (B, 1, *S), or none for no limit.
        warnings: What a reader should know of how it was read.
        label: What errors call it where it is no volume with a file.
    """

    image: Tensor
    brain: Tensor
    volume: Volume | None = None
    region: Tensor | None = None
    warnings: tuple[str, ...] = ()
    label: str = "the scan"

    @property
    def spacing(self) -> list[float] | None:
        """Edges of a voxel in mm; none of a tensor."""
        return self.volume.spacing.tolist() if self.volume else None

    @cached_property
    def features(self) -> list[ScanFeatures]:
        """What ``measure_channels`` says of a volume, measured once; nothing of a tensor.

        Raises:
            ValueError: If its mask is empty, or the brain dark throughout.
        """
        return [] if self.volume is None else measure_channels(self.volume, self.brain[0, 0])

    @property
    def is_image(self) -> bool:
        """Whether it was read from a file of a single slice that is no volume."""
        path = self.volume.path if self.volume else None
        return path is not None and is_flat_name(path)

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.volume.path) if self.volume and self.volume.path else self.label


def read_source(
    scan: Any,
    mask: Any = None,
    region: Any = None,
    *,
    mask_threshold: float | None = None,
    label: str = "the scan",
) -> ScanSource:
    """Read a scan, its brain mask and where its reconstruction may differ, from wherever they are.

    Raises:
        ValueError: If one cannot be used; the message names the file.
    """
    read = _check_tensor if isinstance(scan, Tensor) else _read_volume
    source = replace(read(scan, mask, mask_threshold), label=label)
    return source if region is None else replace(source, region=_read_region(source, region))


def _read_region(source: ScanSource, region: Any) -> Tensor:
    if isinstance(region, str | Path | Volume):
        if source.volume is None:
            raise TypeError(f"expected the region of a tensor as a tensor (B, 1, *S), got {str(region)!r}")
        region = load_mask(region, source.volume)
    values = torch.as_tensor(region).float().cpu()
    values = values[None, None] if source.volume is not None and values.ndim == 3 else values
    if values.shape != source.brain.shape:
        expectation = f"a region {tuple(source.brain.shape)}"
        raise ValueError(f"{source.name}: expected {expectation}, got shape {tuple(values.shape)}")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{source.name}: expected a region in [0, 1], got values beyond")
    if (values[source.brain] == 1).all():
        raise ValueError(f"{source.name}: expected a region that leaves some brain, got one that covers all")
    return values


def _read_volume(scan: Any, mask: Any, mask_threshold: float | None) -> ScanSource:
    volume, brain = read_scan(scan, mask, mask_threshold)
    image = torch.from_numpy(volume.data)[None]
    _check_finite(image, volume.name)
    return ScanSource(image, torch.from_numpy(brain)[None, None], volume, None, volume.warnings)


def _check_finite(x: Tensor, name: str) -> None:
    if bad := int((~torch.isfinite(x)).sum()):
        raise VolumeError(f"{name}: expected finite intensities, got {bad} that are not")


def _check_tensor(x: Tensor, mask: Any, mask_threshold: float | None) -> ScanSource:
    if x.ndim not in (4, 5) or not x.numel():
        raise ValueError(f"expected a tensor (B, C, *S) with 2 or 3 spatial axes, got shape {tuple(x.shape)}")
    x = x.detach().float().cpu()
    _check_finite(x, "the tensor")
    if float(x.min()) < -1e-3 or float(x.max()) > 1 + 1e-3:
        raise ValueError(f"expected a tensor in [0, 1], got values {float(x.min()):g} to {float(x.max()):g}")
    if isinstance(mask, str | Path | Volume):
        name = f"the path {str(mask)!r}" if isinstance(mask, str | Path) else f"the volume {mask.name}"
        raise TypeError(f"expected the mask of a tensor as a tensor (B, 1, *S), got {name}")
    brain, warnings = _check_mask(x, mask, mask_threshold)
    return ScanSource(x, brain, warnings=tuple(warnings))


def _check_mask(x: Tensor, mask: Any, threshold: float | None) -> tuple[Tensor, list[str]]:
    warnings: list[str] = []
    if mask is None:
        brain = brain_mask(x)
    else:
        inside, warnings = cut_mask(_to_array(mask), threshold, "the tensor")
        brain = torch.from_numpy(inside)
    if brain.shape != (len(x), 1, *x.shape[2:]):
        raise ValueError(f"expected a mask {(len(x), 1, *x.shape[2:])}, got shape {tuple(brain.shape)}")
    if empty := [i for i, item in enumerate(brain) if not item.any()]:
        raise ValueError(f"expected brain masks with pixels inside, got empty ones for items {empty}")
    return brain, warnings


def _to_array(mask: Any) -> Array:
    values = torch.as_tensor(mask).cpu()
    return (values if values.dtype == torch.bool else values.float()).numpy()


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
    matches = [[name for name in names if strip_sequence(Path(path), name) is not None] for path in scan]
    for path, candidates, name in zip(scan, matches, names, strict=False):
        if candidates and name not in candidates:
            raise VolumeError(
                f"{path}: expected the sequences in the order {', '.join(names)}, found {candidates[0]} "
                f"in the place of {name}"
            )
