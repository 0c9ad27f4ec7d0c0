"""Naive anomaly maps of whole volumes; brains are compared in the box of the brain, without registration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffad.data.brain_box import find_brain_box
from diffad.data.intensity import make_percentile_window
from diffad.evaluation.matched import MatchedIntensity
from diffad.evaluation.mirrored import draw_random_map

SHAPE = (72, 88, 72)
"""Voxels of the box that brains are compared in, left to right, back to front, bottom to top: about 2 mm."""

Box = tuple[slice, ...]
VolumeMap = Callable[[Tensor, Tensor], Tensor]
"""Maps a scan (I, J, K) in RAS and its brain mask (I, J, K) to an anomaly map (I, J, K)."""


def scale_intensity(image: Tensor, brain: Tensor) -> Tensor:
    """Bring a scan (I, J, K) to [0, 1] by percentiles inside its brain (I, J, K), as pipelines do."""
    return make_percentile_window(image[None], brain[None]).apply(image[None], channel_axis=0)[0] * brain


def map_brightness(image: Tensor, brain: Tensor) -> Tensor:
    """Call bright what is anomalous: how far a threshold of the scan gets, as for lesions in FLAIR."""
    return image * brain


def map_darkness(image: Tensor, brain: Tensor) -> Tensor:
    """Call dark what is anomalous, as for lesions in T1."""
    return (image.max() - image) * brain


def map_asymmetry(image: Tensor, brain: Tensor) -> Tensor:
    r"""Compare each place with its mirror image across the middle of the brain's box.

    .. math:: a(p) = \lvert G * (x(p) - x(\bar p)) \rvert

    with :math:`\bar p` the mirrored place and :math:`G` a mean over 3 voxels of the box.
    """
    x, box = _to_box(scale_intensity(image, brain), brain)
    difference = x - x.flip(0)
    smooth = F.avg_pool3d(difference[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    return _from_box(smooth.abs(), box, brain)


class AtlasZScore:
    r"""Scores each voxel by its distance from the mean of healthy brains at its place in the brain's box.

    .. math:: a = \frac{\lvert x - \mu \rvert}{\sigma + \epsilon}

    Args:
        eps: Added to the SD, in units of the intensity range.
    """

    def __init__(self, eps: float = 0.05) -> None:
        self.eps = eps

    def fit(self, scans: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Learn mean and SD of healthy scans with their brain masks, (I, J, K) each, one after the other.

        Raises:
            ValueError: If there are fewer than two.
        """
        count, total, squares = 0, torch.zeros(SHAPE), torch.zeros(SHAPE)
        for image, brain in scans:
            x, _ = _to_box(scale_intensity(image, brain), brain)
            count, total, squares = count + 1, total + x, squares + x.square()
        _require_scans(count, 2)
        self.mean = total / count
        self.sd = (squares / count - self.mean.square()).clamp(min=0).sqrt()
        return self

    def score(self, image: Tensor, brain: Tensor) -> Tensor:
        """Map a scan (I, J, K)."""
        x, box = _to_box(scale_intensity(image, brain), brain)
        return _from_box((x - self.mean).abs() / (self.sd + self.eps), box, brain)


class RobustAtlasZScore:
    r"""Scores each voxel by its distance from the healthy median in the brain's box, in robust deviations.

    .. math::
        a = \frac{\lvert x - m \rvert}{\sigma + \epsilon}, \quad
        \sigma = 1.4826 \, \operatorname{median}_i \lvert x_i - m \rvert

    Args:
        eps: Added to the deviation, in units of the intensity range.
    """

    def __init__(self, eps: float = 0.05) -> None:
        self.eps = eps

    def fit(self, scans: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Learn median and deviation of healthy scans with their brain masks, (I, J, K) each.

        Raises:
            ValueError: If there are fewer than two.
        """
        boxes = [_to_box(scale_intensity(image, brain), brain)[0] for image, brain in scans]
        _require_scans(len(boxes), 2)
        x = torch.stack(boxes)
        self.centre = x.median(0).values
        self.sd = 1.4826 * (x - self.centre).abs().median(0).values
        return self

    def score(self, image: Tensor, brain: Tensor) -> Tensor:
        """Map a scan (I, J, K)."""
        x, box = _to_box(scale_intensity(image, brain), brain)
        return _from_box((x - self.centre).abs() / (self.sd + self.eps), box, brain)


class AtlasPCA:
    r"""Scores each voxel by what a linear model of healthy brains in the brain's box leaves over.

    .. math:: a = \lvert (x - \mu) - V V^\top (x - \mu) \rvert

    Args:
        components: Largest number of components; one less than the scans where there are few.
    """

    def __init__(self, components: int = 16) -> None:
        self.components = components

    def fit(self, scans: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Learn mean and components of healthy scans with their brain masks, (I, J, K) each.

        Raises:
            ValueError: If there are fewer than two.
        """
        pairs = [_to_box(scale_intensity(image, brain), brain)[0] for image, brain in scans]
        _require_scans(len(pairs), 2)
        x = rearrange(torch.stack(pairs), "n i j k -> n (i j k)")
        self.mean = x.mean(0)
        count = min(self.components, len(x) - 1)
        self.basis = torch.linalg.svd(x - self.mean, full_matrices=False).Vh[:count]
        return self

    def score(self, image: Tensor, brain: Tensor) -> Tensor:
        """Map a scan (I, J, K)."""
        x, box = _to_box(scale_intensity(image, brain), brain)
        deviation = x.flatten() - self.mean
        residual = deviation - self.basis.T @ (self.basis @ deviation)
        return _from_box(residual.reshape(SHAPE).abs(), box, brain)


MAPS: dict[str, VolumeMap] = {
    "bright intensity": map_brightness,
    "dark intensity": map_darkness,
    "mirror asymmetry": map_asymmetry,
    "random": draw_random_map,
}
"""Maps that learn nothing, by label."""

ATLASES: dict[str, type[AtlasZScore | RobustAtlasZScore | AtlasPCA | MatchedIntensity]] = {
    "matched intensity": MatchedIntensity,
    "atlas z-score": AtlasZScore,
    "robust atlas z-score": RobustAtlasZScore,
    "atlas PCA 16": AtlasPCA,
}
"""Maps that learn from healthy scans, by label."""


def _require_scans(count: int, least: int) -> None:
    if count < least:
        raise ValueError(f"expected at least {least} healthy scans to learn from, got {count}")


def _to_box(image: Tensor, brain: Tensor) -> tuple[Tensor, Box]:
    """Bring the box of a brain to ``SHAPE``; return it with the box."""
    box = find_brain_box(brain)
    x = F.interpolate(image[box][None, None].float(), SHAPE, mode="trilinear", align_corners=False)
    return x[0, 0], box


def _from_box(values: Tensor, box: Box, brain: Tensor) -> Tensor:
    """Bring a map in the box back to the grid of the scan, 0 outside the brain."""
    result = torch.zeros(brain.shape)
    size = tuple(cut.stop - cut.start for cut in box)
    result[box] = F.interpolate(values[None, None], size, mode="trilinear", align_corners=False)[0, 0]
    return result * brain
