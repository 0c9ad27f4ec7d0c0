"""Grey morphology: maps that grow into their neighbourhood, and whose gaps close."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

Extreme = Callable[[Tensor, Tensor], Tensor]


def dilate(x: Tensor, width: int) -> Tensor:
    r"""Take the largest value in a flat window around each voxel.

    .. math:: y_u = \max_{|v - u|_\infty \le (w - 1) / 2} x_v

    The window ends at the border, which for flat windows is the same as an image that goes on with its
    outermost voxels.

    Args:
        x: Maps, (B, C, *S), each on its own.
        width: Odd width :math:`w` of the window along every spatial axis, in voxels.

    Raises:
        TypeError: If the width is no integer.
        ValueError: If it is even or below 1, or there are not 2 or 3 spatial axes.

    Reference:
        Grayscale Morphology (Sternberg, 1986).
    """
    return _slide_window(x, width, torch.maximum, -torch.inf)


def erode(x: Tensor, width: int) -> Tensor:
    """Take the smallest value in a flat window around each voxel; see ``dilate``."""
    return _slide_window(x, width, torch.minimum, torch.inf)


def close(x: Tensor, width: int) -> Tensor:
    """Fill what is narrower than the window: dilate (B, C, *S), then erode; see ``dilate``."""
    return erode(dilate(x, width), width)


def open_map(x: Tensor, width: int) -> Tensor:
    """Remove what is narrower than the window: erode (B, C, *S), then dilate; see ``dilate``."""
    return dilate(erode(x, width), width)


def width_option(width: object) -> int:
    """Return a window's width that is odd and at least 1.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is even or below 1.
    """
    if isinstance(width, bool) or not isinstance(width, int):
        raise TypeError(f"expected an integer for width, got {width!r}")
    if width < 1 or width % 2 == 0:
        raise ValueError(f"expected width odd and at least 1, got {width}")
    return width


def _slide_window(x: Tensor, width: int, extreme: Extreme, never: float) -> Tensor:
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    reach = width_option(width) // 2
    y = pad(x, (reach,) * 2 * (x.ndim - 2), value=never)
    for axis in range(2, x.ndim):
        y = _slide_along(y, axis, width, extreme)
    return y


def _slide_along(x: Tensor, axis: int, width: int, extreme: Extreme) -> Tensor:
    """Slide the window along one axis: windows of 1, 2, 4, ... voxels are each made of two of the last."""
    length, span = x.shape[axis] - width + 1, 1
    while span < width:
        shift = min(span, width - span)
        size = x.shape[axis] - shift
        x = extreme(x.narrow(axis, 0, size), x.narrow(axis, shift, size))
        span += shift
    return x.narrow(axis, 0, length)
