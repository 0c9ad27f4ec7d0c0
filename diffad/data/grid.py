"""The square grid of a 2-D network, and the way back to the slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[float, float]
MAX_PIXELS = 2**24
"""Most pixels of a square before it is resampled; thin pixels on a long side would take all memory."""


@dataclass(frozen=True)
class SquareGrid:
    """Brings slices to ``size`` x ``size`` pixels: cut or pad to a centred square, then resample.

    Args:
        size: Pixels along each side of the grid.
        fov: Side of the square, in mm; none takes the smallest square that holds the whole slice.

    Raises:
        ValueError: If ``size`` or ``fov`` is not positive.
    """

    size: int = 128
    fov: float | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or (self.fov is not None and not 0 < self.fov < math.inf):
            raise ValueError(f"expected positive size and fov, got size={self.size}, fov={self.fov}")

    def to(
        self,
        x: Tensor,
        spacing: Sequence[float] | None = None,
        centre: Sequence[float] | None = None,
        mode: str = "bilinear",
    ) -> Tensor:
        """Bring slices to the grid.

        Args:
            x: Slices, (N, C, H, W); booleans stay booleans, true where more than half of a pixel is covered.
            spacing: Row and column spacing, in mm; none counts in pixels and ignores ``fov``.
            centre: Row and column of the middle of the square, in pixels from the outer edge of the slice;
                none takes the middle of the slice.
            mode: "bilinear" (antialiased), or "nearest" for labels.

        Returns:
            Slices (N, C, size, size); 0 beyond the edges of ``x``.

        Raises:
            ValueError: If a shape, the spacing or the mode is wrong.
        """
        _check_slices(x)
        shape = (x.shape[-2], x.shape[-1])
        side = self._square(shape, spacing)
        top, left = _find_corner(shape, side, centre)
        grid = (self.size, self.size)
        parts = _split_slices(x, side)
        return torch.cat([_resample(_shift_into(part, -top, -left, side), grid, mode) for part in parts])

    def back(
        self,
        y: Tensor,
        shape: Sequence[int],
        spacing: Sequence[float] | None = None,
        centre: Sequence[float] | None = None,
        mode: str = "bilinear",
    ) -> Tensor:
        """Bring slices from the grid back to the place that ``to`` took them from.

        Args:
            y: Slices on the grid, (N, C, size, size).
            shape: Rows H and columns W of the original slices.
            spacing: As given to ``to``.
            centre: As given to ``to``.
            mode: As for ``to``.

        Returns:
            Slices (N, C, H, W); 0 outside the square.

        Raises:
            ValueError: If a shape, the spacing or the mode is wrong.
        """
        _check_slices(y)
        if tuple(y.shape[-2:]) != (self.size, self.size):
            raise ValueError(f"expected slices (N, C, {self.size}, {self.size}), got shape {tuple(y.shape)}")
        rows, columns = shape
        side = self._square((rows, columns), spacing)
        top, left = _find_corner((rows, columns), side, centre)
        parts = [_resample(part, side, mode) for part in _split_slices(y, side)]
        return torch.cat([_shift_into(part, top, left, (rows, columns)) for part in parts])

    def _square(self, shape: tuple[int, int], spacing: Sequence[float] | None) -> tuple[int, int]:
        if spacing is None:
            return max(shape), max(shape)
        if len(spacing) != 2 or not all(0 < s < math.inf for s in spacing):
            raise ValueError(f"expected positive (row, column) spacing in mm, got {tuple(spacing)}")
        fov = self.fov or max(n * s for n, s in zip(shape, spacing, strict=True))
        rows, columns = (max(1, round(fov / s)) for s in spacing)
        if rows * columns > MAX_PIXELS:
            size = f"{spacing[0]:.4g} x {spacing[1]:.4g} mm on a square of {fov:.4g} mm"
            raise ValueError(
                f"expected at most {MAX_PIXELS} pixels on the resampled square, got {rows} x {columns}"
                f", as pixels are {size}; correct the voxel size in the header of the scan"
            )
        return rows, columns


def mask_centre(mask: Tensor) -> Pair | None:
    """Return the middle (row, column) of the mask of one scan over all slices; none for an empty mask.

    Args:
        mask: Mask of the slices of one scan, (N, 1, H, W).

    Returns:
        Middle of the bounding box, in pixels from the outer edge, as ``SquareGrid.to`` takes it.
    """
    _check_slices(mask)
    extent = (mask > 0).any(0).any(0)
    if not extent.any():
        return None
    row, column = (_find_middle(extent.any(1 - axis)) for axis in range(2))
    return row, column


def _split_slices(x: Tensor, side: tuple[int, int]) -> Sequence[Tensor]:
    """Split slices so that squares of ``side`` of one part at a time are in memory."""
    return x.chunk(1 + x.shape[0] * x.shape[1] * side[0] * side[1] // (4 * MAX_PIXELS))


def _check_slices(x: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f"expected slices (N, C, H, W), got shape {tuple(x.shape)}")


def _find_middle(line: Tensor) -> float:
    positions = line.nonzero()
    return (int(positions[0]) + int(positions[-1]) + 1) / 2


def _find_corner(
    shape: tuple[int, int], side: tuple[int, int], centre: Sequence[float] | None
) -> tuple[int, int]:
    middle = centre if centre is not None else (shape[0] / 2, shape[1] / 2)
    top, left = (math.floor(m - n / 2) for m, n in zip(middle, side, strict=True))
    return top, left


def _shift_into(x: Tensor, top: int, left: int, shape: tuple[int, int]) -> Tensor:
    """Shift ``x`` down and right into a frame of ``shape`` that is zero where ``x`` does not reach."""
    rows, columns = x.shape[-2:]
    frame = x.new_zeros(*x.shape[:2], *shape)
    (to_r, from_r), (to_c, from_c) = (
        _find_overlap(top, rows, shape[0]),
        _find_overlap(left, columns, shape[1]),
    )
    frame[..., to_r, to_c] = x[..., from_r, from_c]
    return frame


def _find_overlap(shift: int, length: int, frame: int) -> tuple[slice, slice]:
    start, stop = max(shift, 0), max(min(shift + length, frame), 0)
    stop = max(start, stop)
    return slice(start, stop), slice(start - shift, stop - shift)


def _resample(x: Tensor, shape: tuple[int, int], mode: str) -> Tensor:
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"expected mode 'bilinear' or 'nearest', got {mode!r}")
    if tuple(x.shape[-2:]) == shape:
        return x
    if mode == "nearest":
        # double holds every label exactly; "nearest-exact" leaves pixel centres in place, "nearest" does not
        labels = x if x.is_floating_point() else x.double()
        return F.interpolate(labels, shape, mode="nearest-exact").to(x.dtype)
    if x.dtype == torch.bool:
        return _resample_linear(x.float(), shape) > 0.5
    if not x.is_floating_point():
        raise ValueError(f"expected floating point or boolean slices for mode 'bilinear', got {x.dtype}")
    return _resample_linear(x, shape)


def _resample_linear(x: Tensor, shape: tuple[int, int]) -> Tensor:
    return F.interpolate(x, shape, mode="bilinear", align_corners=False, antialias=True)
