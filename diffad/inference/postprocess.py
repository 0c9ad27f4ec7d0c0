r"""Post-processing: from a raw anomaly map to one worth looking at, and from there to lesions.

Maps and masks are (B, 1, *S) with two or three spatial axes; every item is treated alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from einops import rearrange
from scipy import ndimage
from torch import Tensor

from diffad.inference.erosion import erode_by_average as erode_by_average
from diffad.inference.erosion import peel_layers as peel_layers
from diffad.inference.erosion import to_array
from diffad.inference.median_filter import check_map, check_odd, check_whole, median_filter
from diffad.samplers.morphology import close, erode, open_map

RULES = ("cross", "average")


def remove_small(binary: Tensor, min_size: int, *, filled: bool = False) -> Tensor:
    """Drop the connected components of fewer than ``min_size`` voxels.

    Neighbours touch by faces, edges or corners: 8-connected in 2-D, 26-connected in 3-D.

    Args:
        binary: Detections, (B, 1, *S).
        min_size: Smallest size that is kept, in voxels; 0 and 1 keep all.
        filled: Count enclosed holes as part of a component; otherwise its own voxels only. A hole is
            background that cannot leave the component, not even diagonally. The result keeps its holes.

    Raises:
        ValueError: If the shape or size does not fit.
    """
    check_map("binary", binary)
    check_whole("min_size", min_size, 0)
    neighbourhood = np.ones((3,) * (binary.ndim - 2), dtype=bool)
    within_item = np.zeros((3,) * binary.ndim, dtype=bool)
    within_item[1, 1] = neighbourhood
    labels, _ = ndimage.label(to_array(binary), within_item)
    sizes = np.bincount(labels.ravel())
    if filled:
        _add_holes(labels, sizes, min_size)
    keep = sizes >= min_size
    keep[0] = False
    return torch.from_numpy(keep[labels]).to(binary.device)


def _add_holes(labels: np.ndarray, sizes: np.ndarray, enough: int) -> None:
    """Raise ``sizes`` by the holes of those components that might reach ``enough`` with them."""
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        crop = labels[box][0, 0]
        if sizes[label] < enough <= crop.size:
            sizes[label] = ndimage.binary_fill_holes(crop == label, np.ones((3,) * crop.ndim)).sum()


@dataclass(frozen=True)
class Postprocess:
    """Turns a raw map into a smooth one, and a smooth one into detections.

    With ``median_first`` the map ends exactly zero outside the eroded mask; with ``erosion`` of at least
    ``median // 2`` no kept pixel has been smoothed with the outside of the brain.

    Args:
        erosion: Layers peeled off the brain mask, in pixels.
        median: Odd width of the median window, in pixels; 1 smooths nothing.
        min_size: Smallest detection that is kept, in voxels.
        median_axes: 2 smooths each slice of a scan, 3 its stack of slices, whose border repeats its edge.
        morphology: Odd width of a flat square that a smooth map of slices is eroded, opened and closed by, in
            pixels; 1 leaves it.
        erosion_rule: "cross" for ``peel_layers``, "average" for ``erode_by_average`` of width
            2 ``erosion`` + 1.
        median_first: Smooth, then zero outside the eroded mask; off does it in the other order.
        filled: Count the holes of a detection to its size.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Patched diffusion models for unsupervised anomaly detection in brain MRI (Behrendt et al., MIDL 2023)
        with erosion 3, ``median_axes`` 3, ``median_first`` off, min_size 8, ``filled``; Denoising
        autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022) with erosion
        2, "average", ``median_first`` off, min_size 21, ``filled``; Dif-fuse (Fontanella et al., 2024) with
        median 1, morphology 5.
    """

    erosion: int = 0
    median: int = 5
    min_size: int = 0
    erosion_rule: str = "cross"
    median_first: bool = True
    filled: bool = False
    median_axes: int = 2
    morphology: int = 1

    def __post_init__(self) -> None:
        check_whole("erosion", self.erosion, 0)
        check_odd("median", self.median)
        check_whole("min_size", self.min_size, 0)
        check_odd("morphology", self.morphology)
        if self.median_axes not in (2, 3):
            raise ValueError(f"expected median_axes 2 or 3, got {self.median_axes!r}")
        if self.erosion_rule not in RULES:
            raise ValueError(f"expected erosion_rule one of {', '.join(RULES)}, got {self.erosion_rule!r}")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Postprocess:
        """Take those options of a ``PostprocessConfig`` that shape maps and detections."""
        return cls(**{f.name: options[f.name] for f in fields(cls)})

    def smooth(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Median-filter a map (B, 1, *S), and zero it outside the eroded ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        return self._smooth(scores, mask, lambda maps: median_filter(maps, self.median))

    @property
    def joins_slices(self) -> bool:
        """Whether the map of a slice depends on its neighbours."""
        return self.median_axes == 3 and self.median > 1

    def smooth_stack(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Do the same with the slices (N, 1, H, W) of one scan, whose order is that of the scan.

        Raises:
            ValueError: If the shapes do not fit.
        """
        if not self.joins_slices:
            return self.smooth(scores, mask)
        check_map("scores", scores)
        return self._smooth(scores, mask, self._filter_stack)

    def _filter_stack(self, scores: Tensor) -> Tensor:
        volume = rearrange(scores, "n 1 h w -> 1 1 n h w")
        return rearrange(median_filter(volume, self.median, "reflect"), "1 1 n h w -> n 1 h w")

    def _smooth(self, scores: Tensor, mask: Tensor | None, median: Callable[[Tensor], Tensor]) -> Tensor:
        exterior = ~self._erode_mask(scores, mask)
        if self.median_first:
            smooth_map = median(scores).masked_fill(exterior, 0)
        else:
            smooth_map = median(scores.masked_fill(exterior, 0))
        if self.morphology == 1:
            return smooth_map
        return close(open_map(erode(smooth_map, self.morphology), self.morphology), self.morphology)

    def binarise(self, scores: Tensor, threshold: float, mask: Tensor | None = None) -> Tensor:
        """Flag the pixels of a smooth map above ``threshold`` in the eroded ``mask``, less small components.

        Raises:
            ValueError: If the shapes do not fit or the threshold is not a number.
        """
        if math.isnan(threshold):
            raise ValueError(f"expected a threshold, got {threshold}")
        above = (scores > threshold) & self._erode_mask(scores, mask)
        return remove_small(above, self.min_size, filled=self.filled)

    def _erode_mask(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        check_map("scores", scores)
        if mask is None:
            return torch.ones_like(scores, dtype=torch.bool)
        if mask.shape != scores.shape:
            raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
        if self.erosion_rule == "average":
            return erode_by_average(mask, 2 * self.erosion + 1)
        return peel_layers(mask, self.erosion)
