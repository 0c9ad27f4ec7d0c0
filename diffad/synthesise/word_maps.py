"""From cross-attention to where a word is seen: sharpened over the tokens, and smoothed over the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 100.0
SIGMA = 0.5
"""Of the published kernel, whose exponent makes it .71 in the usual sense."""
EXTENTS = (10 / 256, 50 / 256)
"""Shares of the pixels between which a word counts as localised."""


def sharpen_words(maps: Tensor, tokens: Sequence[int], width: int) -> Tensor:
    r"""Return where each token of a word is seen, (B, K, side, side), in [0, 1].

    .. math:: a_j = G * \mathrm{softmax}_j(100 A_{1:1+n})

    Args:
        maps: Mean attention :math:`A`, (B, side, side, L).
        tokens: Places j of the K tokens, from 1 on.
        width: How many tokens n after the first one compete, see ``count_rivals``.

    Raises:
        ValueError: If a token is not among those that compete.
    """
    if not tokens or not 1 <= min(tokens) <= max(tokens) <= width:
        raise ValueError(f"expected tokens in 1..{width}, got {list(tokens)}")
    shares = (TEMPERATURE * maps[..., 1 : 1 + width]).softmax(-1)
    return smooth_maps(shares[..., [token - 1 for token in tokens]].movedim(-1, 1))


def smooth_maps(maps: Tensor) -> Tensor:
    """Smooth maps (B, K, H, W) by a Gaussian of 3 x 3 pixels; borders are mirrored."""
    line = make_kernel().to(maps)
    kernel = torch.outer(line, line).expand(maps.shape[1], 1, 3, 3)
    padded_maps = functional.pad(maps, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(padded_maps, kernel, groups=maps.shape[1])


def make_kernel() -> Tensor:
    r"""Return the published kernel along an axis, :math:`e^{-(d / 2 \sigma)^2}` scaled to 1, (3,)."""
    weights = torch.exp(-((torch.tensor([-1.0, 0.0, 1.0]) / (2 * SIGMA)) ** 2))
    return weights / weights.sum()


def measure_extent(maps: Tensor) -> Tensor:
    """Return the share of pixels at or above the mean of a word's map (B, K, H, W), (B,)."""
    word = maps.mean(1)
    return (word >= word.mean((1, 2), keepdim=True)).float().mean((1, 2))


class WordExtent:
    r"""Scales the updates of each image by how widely its word is still seen, and ends them once found.

    .. math:: f_i = \min(1, n_i / n_0) \sqrt{r_i}

    and 0 for good from when the word covers between 4 and 20 % of the pixels while its peak lies in the mask.
    The first step is always made.

    Args:
        mask: Where the word belongs, (B, 1, H, W) in pixels of the maps.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.first: Tensor | None = None
        self.stops = torch.zeros(len(mask), dtype=torch.bool, device=mask.device)

    def scale(self, maps: Tensor, decay: float) -> Tensor:
        """Return the factor of each image, (B,), from its maps (B, K, H, W) and the decay r of the step."""
        extent = measure_extent(maps)
        if self.first is None:
            self.first = extent.clamp(min=1e-6)
        else:
            peak = maps.mean(1).flatten(1).argmax(1)
            peaks_in_mask = self.mask.flatten(1).gather(1, peak[:, None])[:, 0] > 0
            self.stops |= (extent > EXTENTS[0]) & (extent < EXTENTS[1]) & peaks_in_mask
        factor = (extent / self.first).clamp(max=1) * decay**0.5
        return torch.where(self.stops, 0, factor)
