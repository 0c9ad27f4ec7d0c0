"""Slices along other axes than a model's own, the fusion of several, and what shares its noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from diffad.config.choices import NoiseScope
from diffad.data.slices import NAMES

FUSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda maps: maps.mean(0),
    "median": lambda maps: _take_median(maps),
    "min": lambda maps: maps.amin(0),
    "max": lambda maps: maps.amax(0),
    "geometric": lambda maps: maps.clamp(min=0).prod(0).pow(1 / len(maps)),
}
"""How maps (A, ...) of several axes become one: "min" and "geometric" keep only what all axes agree on."""

NOISE_KEY_STRIDE = 1_000_003
"""Between the noise of one axis and the next: no volume has as many slices."""


def _take_median(maps: Tensor) -> Tensor:
    """Return the median, the mean of the two in the middle for an even number; torch's takes the lower."""
    sorted_maps, middle = maps.sort(0).values, len(maps) // 2
    return sorted_maps[middle] if len(maps) % 2 else (sorted_maps[middle - 1] + sorted_maps[middle]) / 2


def fuse_maps(maps: Sequence[Tensor], how: str = "mean") -> Tensor:
    """Fuse maps of one scan that were found along several axes.

    Args:
        maps: Maps of one shape.
        how: A name of ``FUSIONS``.

    Raises:
        ValueError: If there are none, their shapes differ, or the name is unknown.
    """
    check_fusion(how)
    if len(shapes := {tuple(m.shape) for m in maps}) != 1:
        raise ValueError(f"expected maps of one shape to fuse, got {sorted(shapes) or 'none'}")
    return maps[0] if len(maps) == 1 else FUSIONS[how](torch.stack(list(maps)))


def check_fusion(how: str) -> None:
    """Refuse an unknown fusion.

    Raises:
        ValueError: With the known ones.
    """
    if how not in FUSIONS:
        raise ValueError(f"fusion: expected {', '.join(FUSIONS)}, got {how!r}")


def resolve_axes(
    axes: Sequence[str] | None, own_axis: str, flat: bool, slices: tuple[int, int] | str | None
) -> list[str]:
    """Return the axes to cut along, in an order that does not depend on the caller's.

    Args:
        axes: What was asked for; none for the model's own.
        own_axis: The axis the model was trained along, or "volume".
        flat: Whether the scan is an image, not a volume.
        slices: Range of slices, which is counted along one axis only.

    Raises:
        ValueError: If an axis is unknown or comes twice, or axes make no sense here.
    """
    if axes is None:
        return [own_axis]
    words = [axes] if isinstance(axes, str) else list(axes)
    if not words or len(set(words)) < len(words) or not set(words) <= set(NAMES):
        raise ValueError(f"axes: expected {', '.join(NAMES)}, each once, got {words}")
    if own_axis == "volume" or flat:
        raise ValueError(
            f"axes: expected none for {'an image' if flat else 'a model of volumes'}, got {words}"
        )
    if slices is not None and len(words) > 1:
        raise ValueError(f"expected a range of slices along one axis only, got {slices} along {words}")
    return sorted(words, key=lambda axis: (axis != own_axis, NAMES[axis]))


def derive_noise_keys(keys: Sequence[int], axis: str, own_axis: str, across: str) -> list[int]:
    """Return what the noise of each slice follows from, next to the seed.

    Args:
        keys: Position of each slice in the volume.
        axis: Axis they were cut along.
        own_axis: The model's own, whose noise is that of a run along it alone.
        across: "slice" for a noise of its own for each, "scan" for one that all slices share.

    Raises:
        ValueError: If ``across`` is unknown.
    """
    if across not in get_args(NoiseScope):
        raise ValueError(f"noise_across: expected slice or scan, got {across!r}")
    start = 0 if axis == own_axis or axis not in NAMES else NOISE_KEY_STRIDE * (1 + NAMES[axis])
    return [start + (key if across == "slice" else 0) for key in keys]


def axis_warnings(axes: Sequence[str], trained_axes: Sequence[str]) -> list[str]:
    """Say so if slices are cut along an axis that the model never saw."""
    foreign = ", ".join(axis for axis in axes if axis not in trained_axes)
    cut = f"slices cut along {foreign}, but the model was trained on {' and '.join(trained_axes)} ones"
    return [f"{cut}: its maps there are beyond what it learned"] if foreign else []


@dataclass(frozen=True)
class Slicing:
    """Which slices of a scan are looked at, and how their maps become one.

    Args:
        axes: Axes to cut along, see ``resolve_axes``.
        own_axis: The axis the model was trained along, or "volume".
        slices: First and last (exclusive) slice; none for all.
        fusion: A name of ``FUSIONS``.
        noise_across: "slice" or "scan", see ``derive_noise_keys``.
        from_caller: Whether the caller chose the axes.

    Raises:
        ValueError: If the fusion or ``noise_across`` is unknown.
    """

    axes: tuple[str, ...]
    own_axis: str
    slices: tuple[int, int] | None = None
    fusion: str = "mean"
    noise_across: str = "slice"
    from_caller: bool = False

    def __post_init__(self) -> None:
        check_fusion(self.fusion)
        self.noise_keys([], self.own_axis)

    @property
    def usual(self) -> bool:
        """Whether slices are cut as the model was trained, which its calibration holds for."""
        return self.axes == (self.own_axis,) and self.noise_across == "slice"

    def noise_keys(self, keys: Sequence[int], axis: str) -> list[int]:
        """Return what the noise of slices at positions ``keys`` along an axis follows from."""
        return derive_noise_keys(keys, axis, self.own_axis, self.noise_across)

    def to_info(self) -> dict[str, Any]:
        """Say how slices were cut, in as many words as it takes where that is not the model's own way."""
        info: dict[str, Any] = {
            "axis": self.axes[0],
            "slice_range": list(self.slices) if self.slices else None,
        }
        info |= {"axes": list(self.axes), "fusion": self.fusion} if self.from_caller else {}
        return info | ({"noise_across": self.noise_across} if self.noise_across != "slice" else {})
