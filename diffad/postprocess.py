r"""Post-processing: from a raw anomaly map to one worth looking at, and from there to lesions.

Maps and masks are (B, 1, *S) with two or three spatial axes; every item is treated alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, pad

SLAB = 2**15
"""Voxels filtered at a time: the whole sorting network then stays in the cache."""


def _check(name: str, x: Tensor) -> None:
    if x.ndim not in (4, 5) or x.shape[1] != 1:
        raise ValueError(
            f"expected {name} of shape (B, 1, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}"
        )


def _whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"expected {name} a whole number of at least {least}, got {value!r}")


def erode(mask: Tensor, pixels: int) -> Tensor:
    """Peel ``pixels`` layers off a mask, each with the cross element; beyond the image counts as outside.

    Args:
        mask: Brain mask, (B, 1, *S).
        pixels: Layers to remove.

    Raises:
        ValueError: If the shape or the number does not fit.
    """
    _check("mask", mask)
    _whole("pixels", pixels, 0)
    if pixels == 0:  # scipy reads 0 as "until nothing is left to change"
        return mask.bool()
    cross = ndimage.generate_binary_structure(mask.ndim - 2, 1)[None, None]
    eroded = ndimage.binary_erosion(_array(mask), cross, iterations=pixels)
    return torch.from_numpy(eroded).to(mask.device)


def erode_by_average(mask: Tensor, size: int = 5, fraction: float = 0.95) -> Tensor:
    r"""Keep the pixels whose neighbourhood is mostly mask, so that one-pixel holes are tolerated.

    .. math:: m_e = [\mathrm{mean}_{size}(m) > fraction]

    Args:
        mask: Brain mask, (B, 1, *S); beyond the image counts as outside.
        size: Odd width of the neighbourhood, in pixels.
        fraction: Share of it that must be exceeded, in [0, 1).

    Raises:
        ValueError: If the shape or an option does not fit.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022).
    """
    _check("mask", mask)
    _odd("size", size)
    if not 0 <= fraction < 1:
        raise ValueError(f"expected fraction in [0, 1), got {fraction}")
    average = avg_pool2d if mask.ndim == 4 else avg_pool3d
    return average(mask.bool().float(), size, stride=1, padding=size // 2) > fraction


def _odd(name: str, size: int) -> None:
    _whole(name, size, 1)
    if size % 2 == 0:
        raise ValueError(f"expected {name} odd, got {size}")


def median_filter(scores: Tensor, size: int = 5) -> Tensor:
    """Median in a square or cubic window, the image mirrored at its border (its edge pixels not repeated).

    Shifted views of the image are the wires of a sorting network, so minima and maxima sort all windows
    at once; comparators that do not lead to the middle are left out.

    Args:
        scores: Maps, (B, 1, *S).
        size: Odd width of the window, in pixels; 1 changes nothing.

    Raises:
        ValueError: If the shape or size does not fit, or an axis is not longer than half the window.

    Reference:
        Sorting networks and their applications (Batcher, 1968).
    """
    _check("scores", scores)
    _odd("size", size)
    reach = size // 2
    if min(scores.shape[2:]) <= reach:
        raise ValueError(
            f"expected axes longer than {reach} for a median of {size}, got {tuple(scores.shape)}"
        )
    if size == 1:
        return scores.clone()
    padded = pad(scores, (reach,) * 2 * (scores.ndim - 2), mode="reflect")
    rows = max(1, SLAB // math.prod(scores.shape[3:]))
    starts = range(0, scores.shape[2], rows)
    slabs = [padded[:, :, start : start + rows + 2 * reach] for start in starts]
    return torch.cat([torch.cat([_median(item[None], size) for item in slab]) for slab in slabs], 2)


def _median(padded: Tensor, size: int) -> Tensor:
    """Median of every full window, which makes each spatial axis ``size - 1`` shorter."""
    shape = [n - size + 1 for n in padded.shape[2:]]
    wires = []
    for offsets in product(range(size), repeat=len(shape)):
        wire = padded
        for axis, offset in enumerate(offsets):
            wire = wire.narrow(axis + 2, offset, shape[axis])
        wires.append(wire)
    for low, high, need_low, need_high in _median_network(len(wires)):
        a, b = wires[low], wires[high]
        if need_low:
            wires[low] = torch.minimum(a, b)
        if need_high:
            wires[high] = torch.maximum(a, b)
    return wires[len(wires) // 2]


@cache
def _median_network(n: int) -> list[tuple[int, int, bool, bool]]:
    """Comparators (low, high) that bring the median of ``n`` wires to the middle, and the outputs needed."""
    needed, comparators = {n // 2}, []
    for low, high in reversed(_merge_exchange(n)):
        if low in needed or high in needed:
            comparators.append((low, high, low in needed, high in needed))
            needed |= {low, high}
    return comparators[::-1]


def _merge_exchange(n: int) -> list[tuple[int, int]]:
    """Odd-even merge sort of ``n`` wires: sorted runs are merged by ever shorter strides."""
    pairs = []
    doublings = (n - 1).bit_length()
    for run, stride in ((2**i, 2**j) for i in range(doublings) for j in range(i, -1, -1)):
        first = stride % run
        for low in range(first, n - stride):
            if (low - first) % (2 * stride) < stride and low // (2 * run) == (low + stride) // (2 * run):
                pairs.append((low, low + stride))
    return pairs


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
    _check("binary", binary)
    _whole("min_size", min_size, 0)
    touching = np.ones((3,) * (binary.ndim - 2), dtype=bool)
    within_item = np.zeros((3,) * binary.ndim, dtype=bool)
    within_item[1, 1] = touching
    labels, _ = ndimage.label(_array(binary), within_item)
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


def _array(binary: Tensor) -> np.ndarray:
    return binary.detach().bool().cpu().numpy()


@dataclass(frozen=True)
class Postprocess:
    """Turns a raw map into a smooth one, and a smooth one into detections.

    The median comes first and the eroded mask second, so that the map ends exactly zero outside it; with
    ``erosion`` of at least ``median // 2`` no kept pixel has been smoothed with the outside of the brain.

    Args:
        erosion: Layers peeled off the brain mask, in pixels.
        median: Odd width of the median window, in pixels; 1 smooths nothing.
        min_size: Smallest detection that is kept, in voxels.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Patched diffusion models for unsupervised anomaly detection in brain MRI (Behrendt et al., MIDL 2023).
    """

    erosion: int = 0
    median: int = 5
    min_size: int = 0

    def __post_init__(self) -> None:
        _whole("erosion", self.erosion, 0)
        _odd("median", self.median)
        _whole("min_size", self.min_size, 0)

    def smooth(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Median-filter a map (B, 1, *S), then zero it outside the eroded ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        inside = self._inside(scores, mask)
        return median_filter(scores, self.median).masked_fill(~inside, 0)

    def binarise(self, scores: Tensor, threshold: float, mask: Tensor | None = None) -> Tensor:
        """Flag the pixels of a smooth map above ``threshold`` in the eroded ``mask``, less small components.

        Raises:
            ValueError: If the shapes do not fit or the threshold is not a number.
        """
        if math.isnan(threshold):
            raise ValueError(f"expected a threshold, got {threshold}")
        return remove_small((scores > threshold) & self._inside(scores, mask), self.min_size)

    def _inside(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        _check("scores", scores)
        if mask is None:
            return torch.ones_like(scores, dtype=torch.bool)
        if mask.shape != scores.shape:
            raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
        return erode(mask, self.erosion)
