"""What every corruption asks of its arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.types import Generators, generators_for


def check_images(image: Tensor, brain: Tensor, lead: tuple[str, ...], single: tuple[str, ...]) -> None:
    """Check image (C, *S) and brain (1, *S), or batches of them; messages name the leading axes."""
    k = len(lead)
    fits = image.ndim - k in (2, 3) and brain.shape == (*image.shape[: k - 1], 1, *image.shape[k:])
    if not fits:
        names = f"image ({', '.join(lead)}, *S) and brain ({', '.join(single)}, *S)"
        raise ValueError(f"expected {names}, got {tuple(image.shape)} and {tuple(brain.shape)}")
    if not image.is_floating_point() or brain.dtype != torch.bool:
        raise TypeError(f"expected a float image and a boolean brain, got {image.dtype} and {brain.dtype}")
    check_unit_range(image)


def check_unit_range(image: Tensor) -> None:
    """Refuse an image with values outside [0, 1]; NaN is."""
    if image.numel() and not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"expected intensities in [0, 1], got {image.min():.3g} to {image.max():.3g}")


def check_damage_call(
    x: Tensor, mask: Tensor, level: Tensor | float | None, generators: Generators
) -> tuple[list[float | None], list[torch.Generator]]:
    """Check what a corruption is called with, and return level and generator of each item.

    Args:
        x: Images or codes, (B, C, *S), floating point and finite.
        mask: Brain, (B, 1, *S), boolean, or its share of each pixel, in [0, 1].
        level: Strength, () or (B,), in [0, 1]; none for each item is handed on.
        generators: One for each item, or one that serves them in order.

    Raises:
        ValueError: If a shape or a number does not fit, or a mask is empty.
        TypeError: If the images are not floating point.
    """
    if x.ndim not in (4, 5) or mask.shape != (len(x), 1, *x.shape[2:]):
        shapes = f"{tuple(x.shape)} and {tuple(mask.shape)}"
        raise ValueError(f"expected images (B, C, *S) and masks (B, 1, *S) of one size, got {shapes}")
    if not x.is_floating_point():
        raise TypeError(f"expected floating point images, got {x.dtype}")
    if not x.isfinite().all():
        raise ValueError(f"expected finite images, found {int((~x.isfinite()).sum())} values that are not")
    empty = [i for i, item in enumerate(mask) if not (item > 0).any()]
    if empty:
        raise ValueError(f"expected a brain mask with voxels in it, got an empty one for item {empty[0]}")
    items = generators_for(generators, len(x))
    return ([None] * len(x) if level is None else _spread_levels(level, len(x))), items


def _spread_levels(level: Tensor | float, count: int) -> list[float | None]:
    levels = torch.as_tensor(level, dtype=torch.float64)
    if levels.shape not in {torch.Size([]), torch.Size([count])}:
        raise ValueError(f"expected levels of shape () or ({count},), got {tuple(levels.shape)}")
    if not bool(((levels >= 0) & (levels <= 1)).all()):
        raise ValueError(f"expected levels in [0, 1], got {levels.tolist()}")
    return [float(each) for each in levels.expand(count)]
