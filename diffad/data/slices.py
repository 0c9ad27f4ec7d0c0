"""A volume as a batch of upright slices, and back."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

from diffad.config.choices import AXES

Axis = str | int
NAMES: dict[str, int] = {axis: index for index, axis in enumerate(AXES)}
# Rows run along the later of the two axes that stay, so that anterior or superior can be put at the top.
PATTERNS = ("c i j k -> i c k j", "c i j k -> j c k i", "c i j k -> k c j i")


def axis_index(axis: Axis) -> int:
    """Return the voxel axis, 0, 1 or 2, that slices are counted along.

    Raises:
        ValueError: If ``axis`` is neither an index nor "sagittal", "coronal" or "axial".
    """
    index = NAMES.get(axis) if isinstance(axis, str) else axis
    if index not in (0, 1, 2):
        raise ValueError(f"expected axis 'axial', 'coronal', 'sagittal', 0, 1 or 2, got {axis!r}")
    return int(index)


def to_slices(data: Tensor, axis: Axis) -> Tensor:
    """Cut a volume in RAS into upright slices, anterior (axial) or superior (coronal, sagittal) at the top.

    Columns run from the patient's left to right, or from posterior to anterior in sagittal slices:
    an axial image is ``data[c, :, :, k].T`` with its rows flipped.

    Args:
        data: Volume, (C, I, J, K).
        axis: Axis that is cut, by name or index.

    Returns:
        Slices (N, C, H, W), where N is the length of that axis.

    Raises:
        ValueError: If ``data`` has not four axes, or the axis is unknown.
    """
    if data.ndim != 4:
        raise ValueError(f"expected data (C, I, J, K), got shape {tuple(data.shape)}")
    return rearrange(data, PATTERNS[axis_index(axis)]).flip(2)


def from_slices(slices: Tensor, axis: Axis) -> Tensor:
    """Stack slices into the volume they were cut from; the exact inverse of ``to_slices``.

    Args:
        slices: Slices, (N, C, H, W).
        axis: Axis that was cut, by name or index.

    Returns:
        Volume (C, I, J, K).

    Raises:
        ValueError: If ``slices`` has not four axes, or the axis is unknown.
    """
    if slices.ndim != 4:
        raise ValueError(f"expected slices (N, C, H, W), got shape {tuple(slices.shape)}")
    volume, cut = PATTERNS[axis_index(axis)].split(" -> ")
    return rearrange(slices.flip(2), f"{cut} -> {volume}").contiguous()


def slice_spacing(spacing: Sequence[float], axis: Axis) -> tuple[float, float]:
    """Return (row, column) spacing of the slices, in mm, from the (I, J, K) spacing of the volume."""
    column, row = (float(spacing[i]) for i in range(3) if i != axis_index(axis))
    return row, column
