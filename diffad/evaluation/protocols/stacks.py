"""Slices of a volume as a batch of images, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from diffad.evaluation.samples import Sample


def slice_axis(sample: Sample) -> int:
    """Give the axis the slices of a volume lie along."""
    assert sample.axis is not None
    return sample.axis % sample.scores.ndim


def plane_axes(sample: Sample) -> list[int]:
    """Give the two axes of a slice."""
    axes = list(range(sample.scores.ndim))
    return axes if len(axes) == 2 else [axis for axis in axes if axis != slice_axis(sample)]


def plane_shape(sample: Sample) -> tuple[int, ...]:
    """Give the size of a slice; of the whole volume, if the axis of its slices is unknown."""
    if sample.scores.ndim == 3 and sample.axis is None:
        return sample.scores.shape
    return tuple(sample.scores.shape[axis] for axis in plane_axes(sample))


def stack_slices(values: NDArray[Any], axis: int | None) -> Tensor:
    """Give the slices of a volume, or the one image, as a batch (B, 1, H, W)."""
    if values.ndim == 2:
        stack = values[None]
    else:
        assert axis is not None
        stack = np.moveaxis(values, axis, 0)
    return torch.from_numpy(rearrange(np.ascontiguousarray(stack), "b h w -> b 1 h w"))


def unstack_slices(stack: Tensor, axis: int | None) -> NDArray[Any]:
    """Give the volume or image (*S) of a batch (B, 1, H, W)."""
    images = rearrange(stack, "b 1 h w -> b h w").numpy()
    return images[0] if axis is None else np.moveaxis(images, 0, axis)
