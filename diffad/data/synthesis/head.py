"""A label map as planes of one direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.slices import slice_spacing, to_slices
from diffad.data.synthesis.label_map import DEPTH_SCALE, LabelMap
from diffad.data.synthesis.stripping import EXACT

COARSE = 1.6
"""Pixels above this size are cut in two along each axis, in mm."""

MOST_PLANES = 5
"""Most planes of a label map in one thick slice."""


@dataclass(frozen=True, eq=False)
class Head:
    """A label map as planes of one direction, or whole.

    Args:
        tissues: Tissues, (N, H, W), or (1, I, J, K), uint8.
        depth: Distance from the hull of the brain, of the same shape, int8, as in ``LabelMap``.
        spacing: Pixel size in the plane, or voxel size, in mm.
        pitch: Distance of the planes, in mm.
        axis: Plane of the slices, or "volume".
        label_map: The map.
    """

    tissues: Tensor
    depth: Tensor
    spacing: tuple[float, ...]
    pitch: float
    axis: str
    label_map: LabelMap

    @classmethod
    def cut(cls, label_map: LabelMap, axis: str) -> Head:
        """Cut a label map into planes, or leave it whole where the axis is "volume"."""
        tissues, depth = (torch.from_numpy(v)[None] for v in (label_map.tissues, label_map.depth))
        if axis == "volume":
            return cls(tissues, depth, label_map.spacing, 1.0, axis, label_map)
        planes = [to_slices(v, axis)[:, 0].contiguous() for v in (tissues, depth)]
        spacing = slice_spacing(label_map.spacing, axis)
        pitch = math.prod(label_map.spacing) / math.prod(spacing)
        return cls(planes[0], planes[1], spacing, pitch, axis, label_map)

    @property
    def mirror_axis(self) -> int | None:
        """Axis of a plane, or of the volume, that runs from left to right; none of a sagittal plane."""
        return {"volume": 0, "sagittal": None}.get(self.axis, 1)

    @property
    def sides(self) -> list[float]:
        """Sides of a plane, or of the volume, in mm."""
        return [n * s for n, s in zip(self.tissues.shape[1:], self.spacing, strict=True)]

    def measure_brain(self) -> Tensor:
        """Return the area of brain in each plane, (N,), in square mm, where nothing goes wrong."""
        brain = (self.depth <= EXACT * DEPTH_SCALE) & (self.tissues > 0)
        return brain.flatten(1).sum(1) * math.prod(self.spacing)

    @cached_property
    def ends(self) -> tuple[int, int]:
        """Lowest and highest plane with brain."""
        planes = self.measure_brain().nonzero().flatten()
        return (int(planes[0]), int(planes[-1])) if len(planes) else (0, len(self.tissues) - 1)

    def count_planes(self, thickness: float) -> int:
        """Return how many planes a slice of some thickness (mm) is thick, at least one."""
        return max(1, min(round(thickness / self.pitch), MOST_PLANES))

    def read_planes(self, key: int, thickness: float) -> tuple[Tensor, tuple[float, ...]]:
        """Return the planes that a slice of some thickness (mm) shows, (N, *S), and their pixel size.

        Coarse pixels are cut in two.
        """
        if self.tissues.ndim == 4:
            return self.tissues, self.spacing
        reach = min(round(thickness / self.pitch), MOST_PLANES) // 2
        planes = self.tissues[max(0, key - reach) : key + reach + 1]
        if max(self.spacing) <= COARSE:
            return planes, self.spacing
        return _refine(planes), tuple(s / 2 for s in self.spacing)


def _refine(planes: Tensor) -> Tensor:
    """Cut the pixels of planes (N, H, W) in two along each axis; edges of tissues become smooth."""
    tissues = planes.flatten().bincount().nonzero()[:, None]
    shares = (planes[:, None] == tissues).float()
    finer_shares = F.interpolate(shares, scale_factor=2, mode="bilinear", align_corners=False)
    # shares are multiples of 1/16: one whole number holds share and tissue, and its maximum both
    return ((512 * finer_shares + tissues).amax(1).short() % 32).to(torch.uint8)
