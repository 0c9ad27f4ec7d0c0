"""From scanner units to [0, 1]: percentiles inside the brain for MRI, a Hounsfield window for CT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from diffad.data.volume import Array, VolumeError
from diffad.data.zero import find_zero

ArrayOrTensor = TypeVar("ArrayOrTensor", Array, Tensor)


@dataclass(frozen=True)
class IntensityWindow:
    r"""Maps the intensities between two bounds, one pair for each channel, to [0, 1].

    .. math:: y = \mathrm{clip}((x - l) / (u - l), 0, 1)

    Args:
        lower: Intensities :math:`l` that become 0, (C,), in units of the scan.
        upper: Intensities :math:`u` that become 1, (C,), in units of the scan.

    Raises:
        ValueError: If the bounds are not finite, differ in number, or do not ascend.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        lower, upper = (tuple(float(v) for v in limits) for limits in (self.lower, self.upper))
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        in_order = len(lower) == len(upper) > 0 and all(a < b for a, b in zip(lower, upper, strict=True))
        if not (in_order and np.isfinite(lower + upper).all()):
            raise ValueError(
                f"expected finite bounds, lower < upper for each channel, got {lower} and {upper}"
            )

    def apply(self, x: ArrayOrTensor, channel_axis: int | None = None) -> ArrayOrTensor:
        """Map intensities to [0, 1], clipping what lies outside.

        Args:
            x: Intensities, by default one scan (C, *S) if an array, a batch (B, C, *S) if a tensor.
            channel_axis: Position of C, where it is another.

        Raises:
            ValueError: If ``x`` has another number of channels.
        """
        lower, upper = self._shape_bounds(x, channel_axis)
        return cast(ArrayOrTensor, ((x - lower) / (upper - lower)).clip(0, 1))

    def invert(self, y: ArrayOrTensor, channel_axis: int | None = None) -> ArrayOrTensor:
        """Map [0, 1] back to intensities; shapes as in ``apply``."""
        lower, upper = self._shape_bounds(y, channel_axis)
        return cast(ArrayOrTensor, y * (upper - lower) + lower)

    def _shape_bounds(
        self, x: Array | Tensor, axis: int | None
    ) -> tuple[Array, Array] | tuple[Tensor, Tensor]:
        channel_axis = int(isinstance(x, Tensor)) if axis is None else axis
        if x.shape[channel_axis] != len(self.lower):
            raise ValueError(
                f"expected {len(self.lower)} channels on axis {channel_axis}, got shape {tuple(x.shape)}"
            )
        shape = [1] * x.ndim
        shape[channel_axis] = -1
        if isinstance(x, Tensor):
            dtype = x.dtype if x.is_floating_point() else torch.float32
            lower, upper = torch.tensor([self.lower, self.upper], dtype=dtype, device=x.device)
            return lower.reshape(shape), upper.reshape(shape)
        bounds = np.asarray([self.lower, self.upper], dtype=np.result_type(x.dtype, np.float32))
        return bounds[0].reshape(shape), bounds[1].reshape(shape)


def make_percentile_window(
    x: Array | Tensor,
    mask: Array | Tensor,
    low: float | None = 1.0,
    high: float = 99.0,
    headroom: float = 0.15,
) -> IntensityWindow:
    r"""Window a scan by percentiles inside the brain, with room for lesions brighter than healthy tissue.

    .. math:: l = P_{low}, \quad u = P_{low} + (P_{high} - P_{low}) / (1 - h)

    Args:
        x: One scan, (C, *S).
        mask: Voxels of the brain, (*S) or (1, *S).
        low: Percentile that becomes 0, in percent; none keeps the zero of the scan, see ``find_zero``.
        high: Percentile that becomes 1 - ``headroom``, in percent.
        headroom: Fraction :math:`h` of [0, 1] above the high percentile, in [0, 1).

    Raises:
        ValueError: If an option is out of range.
        VolumeError: If the mask is empty or of another shape, a channel is constant inside it, or its zero is
            to be kept and unknown.
    """
    if not (0 <= (low or 0) < high <= 100 and 0 <= headroom < 1):
        raise ValueError(
            f"expected 0 <= low < high <= 100 and 0 <= headroom < 1, got {low=}, {high=}, {headroom=}"
        )
    bounds = [
        _measure_bounds(c, channel, brain, low, high)
        for c, (channel, brain) in enumerate(_pair_channels(x, mask))
    ]
    return IntensityWindow(
        tuple(a for a, _ in bounds), tuple(a + (b - a) / (1 - headroom) for a, b in bounds)
    )


def make_percentile_windows(
    x: Tensor,
    mask: Tensor,
    low: float | None = 1.0,
    high: float = 99.0,
    headroom: float = 0.15,
) -> list[IntensityWindow]:
    """Window each item of a batch by itself; ``x`` is (B, C, *S), ``mask`` (B, 1, *S)."""
    if len(x) != len(mask):
        raise ValueError(f"expected one mask for each of {len(x)} items, got {len(mask)}")
    return [
        make_percentile_window(item, item_mask, low, high, headroom)
        for item, item_mask in zip(x, mask, strict=True)
    ]


def make_ct_window(centre: float = 40.0, width: float = 80.0, channels: int = 1) -> IntensityWindow:
    """Window a CT around ``centre`` over ``width``, in Hounsfield units; the default shows the brain."""
    return IntensityWindow((centre - width / 2,) * channels, (centre + width / 2,) * channels)


def normalise(
    x: ArrayOrTensor, mask: ArrayOrTensor, window: IntensityWindow, channel_axis: int | None = None
) -> ArrayOrTensor:
    """Map intensities to [0, 1] inside the mask and to 0 outside.

    Args:
        x: Intensities, by default one scan (C, *S) if an array, a batch (B, C, *S) if a tensor.
        mask: Voxels of the brain, 1 in the place of C.
        window: Bounds of each channel.
        channel_axis: Position of C, where it is another.
    """
    return window.apply(x, channel_axis) * (mask > 0)


def normalise_batch(x: Tensor, mask: Tensor, windows: list[IntensityWindow]) -> Tensor:
    """Normalise each item of ``x`` (B, C, *S) in its ``mask`` (B, 1, *S) by its own window."""
    items = zip(x, mask, windows, strict=True)
    return torch.stack(
        [normalise(item, item_mask, window, channel_axis=0) for item, item_mask, window in items]
    )


def _pair_channels(x: Array | Tensor, mask: Array | Tensor) -> list[tuple[Array, Array]]:
    values, brain = (v.detach().cpu().numpy() if isinstance(v, Tensor) else v for v in (x, mask))
    brain = (brain[0] if brain.ndim == values.ndim else brain) > 0
    if brain.shape != values.shape[1:]:
        raise VolumeError(f"expected a brain mask {values.shape[1:]}, got shape {tuple(mask.shape)}")
    if not brain.any():
        raise VolumeError("expected a brain mask with voxels above zero, got an empty one")
    return [(channel, brain) for channel in values]


def _measure_bounds(
    index: int, channel: Array, brain: Array, low: float | None, high: float
) -> tuple[float, float]:
    values = channel[brain]
    a, b = (float(p) for p in np.percentile(values, (low or 0, high)))
    if low is None:
        a = find_zero(values, channel[~brain])
    if not a < b:
        raise VolumeError(
            f"expected contrast inside the brain mask of channel {index}, "
            f"got {a:g} at percentile {low or 0:g} and {b:g} at percentile {high:g}"
        )
    return a, b
