"""The median filter, as a sorting network that works on whole images at once."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

BORDERS = ("mirror", "reflect")
"""What lies beyond the image: "mirror" leaves the edge pixel out, "reflect" repeats it."""

SLAB = 2**15
"""Voxels filtered at a time: the whole sorting network then stays in the cache."""


def check_map(name: str, x: Tensor) -> None:
    """Refuse what is not (B, 1, *S)."""
    if x.ndim not in (4, 5) or x.shape[1] != 1:
        raise ValueError(
            f"expected {name} of shape (B, 1, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}"
        )


def check_whole(name: str, value: int, least: int) -> None:
    """Refuse what is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"expected {name} a whole number of at least {least}, got {value!r}")


def check_odd(name: str, size: int) -> None:
    """Refuse an even window."""
    check_whole(name, size, 1)
    if size % 2 == 0:
        raise ValueError(f"expected {name} odd, got {size}")


def median_filter(scores: Tensor, size: int = 5, border: str = "mirror") -> Tensor:
    """Median in a square or cubic window, the image going on beyond its border as seen in a mirror.

    Shifted views of the image are the wires of a sorting network, so minima and maxima sort all windows
    at once; comparators that do not lead to the middle are left out.

    Args:
        scores: Maps, (B, 1, *S).
        size: Odd width of the window, in pixels; 1 changes nothing.
        border: "mirror" leaves the edge pixel out beyond the border, "reflect" repeats it.

    Raises:
        ValueError: If the shape, the size or the border does not fit, or with "mirror" an axis is not longer
            than half the window.

    Reference:
        Sorting networks and their applications (Batcher, 1968).
    """
    check_map("scores", scores)
    check_odd("size", size)
    if border not in BORDERS:
        raise ValueError(f"expected border one of {', '.join(BORDERS)}, got {border!r}")
    reach = size // 2
    if border == "mirror" and min(scores.shape[2:]) <= reach:
        raise ValueError(
            f"expected axes longer than {reach} for a median of {size}, got {tuple(scores.shape)}"
        )
    if size == 1:
        return scores.clone()
    padded_scores = _pad_border(scores, reach, border)
    rows = max(1, SLAB // math.prod(scores.shape[3:]))
    starts = range(0, scores.shape[2], rows)
    slabs = [padded_scores[:, :, start : start + rows + 2 * reach] for start in starts]
    return torch.cat([torch.cat([_select_median(item[None], size) for item in slab]) for slab in slabs], 2)


def _pad_border(scores: Tensor, reach: int, border: str) -> Tensor:
    if border == "mirror":  # which torch calls "reflect"
        return pad(scores, (reach,) * 2 * (scores.ndim - 2), mode="reflect")
    for axis in range(2, scores.ndim):
        length = scores.shape[axis]
        places = torch.arange(-reach, length + reach, device=scores.device) % (2 * length)
        scores = scores.index_select(axis, torch.minimum(places, 2 * length - 1 - places))
    return scores


def _select_median(padded_scores: Tensor, size: int) -> Tensor:
    """Median of every full window, which makes each spatial axis ``size - 1`` shorter."""
    shape = [n - size + 1 for n in padded_scores.shape[2:]]
    wires = []
    for offsets in product(range(size), repeat=len(shape)):
        wire = padded_scores
        for axis, offset in enumerate(offsets):
            wire = wire.narrow(axis + 2, offset, shape[axis])
        wires.append(wire)
    for low, high, need_low, need_high in _build_median_network(len(wires)):
        a, b = wires[low], wires[high]
        if need_low:
            wires[low] = torch.minimum(a, b)
        if need_high:
            wires[high] = torch.maximum(a, b)
    return wires[len(wires) // 2]


@cache
def _build_median_network(n: int) -> list[tuple[int, int, bool, bool]]:
    """Comparators (low, high) that bring the median of ``n`` wires to the middle, and the outputs needed."""
    outputs, comparators = {n // 2}, []
    for low, high in reversed(_build_merge_exchange(n)):
        if low in outputs or high in outputs:
            comparators.append((low, high, low in outputs, high in outputs))
            outputs |= {low, high}
    return comparators[::-1]


def _build_merge_exchange(n: int) -> list[tuple[int, int]]:
    """Odd-even merge sort of ``n`` wires: sorted runs are merged by ever shorter strides."""
    pairs = []
    doublings = (n - 1).bit_length()
    for run, stride in ((2**i, 2**j) for i in range(doublings) for j in range(i, -1, -1)):
        first = stride % run
        for low in range(first, n - stride):
            if (low - first) % (2 * stride) < stride and low // (2 * run) == (low + stride) // (2 * run):
                pairs.append((low, low + stride))
    return pairs
