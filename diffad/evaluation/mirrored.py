"""Slices against their own mirror image, and a map that knows nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.brain_box import find_brain_box
from diffad.types import generator_for


def map_slice_asymmetry(image: Tensor, brain: Tensor) -> Tensor:
    r"""Compare each place of a slice with its mirror image across the middle of the brain's box.

    .. math:: a(p) = \lvert G * (x(p) - x(\bar p)) \rvert

    with :math:`\bar p` the place mirrored along the second axis, left to right as slices are shown, and
    :math:`G` a mean over 3 pixels. Both sides of a lesion are marked alike.

    Args:
        image: Slice, (H, W).
        brain: Its brain mask, (H, W).
    """
    _, *sides = find_brain_box(brain[None])
    box = tuple(sides)
    x = (image * brain)[box].float()
    difference = (x - x.flip(1))[None, None]
    smooth = F.avg_pool2d(difference, 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    result = torch.zeros(image.shape)
    result[box] = smooth.abs()
    return result * brain


def draw_random_map(image: Tensor, brain: Tensor) -> Tensor:
    """Draw a map (*S) of uniform numbers in a brain (*S): its average precision is the prevalence."""
    return torch.rand(image.shape, generator=generator_for(0, image.numel())) * brain
