"""Coarse noise: a small Gaussian grid, smoothly enlarged and rolled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.noise.base import check_number, per_item
from diffad.registry import NOISES
from diffad.types import Generators


@NOISES.register("coarse")
class CoarseNoise:
    r"""Enlarges a grid of Gaussian numbers linearly on a torus and rolls it by a random number of voxels.

    .. math:: z(u) = \frac{\sigma}{s} \sum_i w_i(u - o) \, g_i, \quad g_i \sim \mathcal{N}(0, 1), \quad
        s^2 = \mathrm{mean}_u \sum_i w_i(u)^2

    The torus leaves no seam, and the roll :math:`o`, uniform over the image, makes the noise stationary.
    Nodes are equally far apart along all axes: a thin volume is as smooth across its slices as within them.

    Args:
        resolution: Nodes :math:`R` of the grid along the longest axis, at least 1 (2 in reference mode, where
            every axis has as many).
        sigma: Standard deviation; 1 by default, in reference mode that of the nodes and .2 by default.
        reference: Reproduce the published noise: corners aligned, not periodic (so the roll shows a seam),
            about .67 sigma after enlarging in 2-D, and one roll for the whole batch, that of the first item.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI (Kascenas et al., MIDL 2022).
    """

    def __init__(self, resolution: int = 16, sigma: float | None = None, reference: bool = False) -> None:
        minimum = 2 if reference else 1
        if not isinstance(resolution, int) or isinstance(resolution, bool) or resolution < minimum:
            raise ValueError(
                f"expected resolution to be a whole number of at least {minimum}, got {resolution}"
            )
        self.resolution = resolution
        sigma = (0.2 if reference else 1.0) if sigma is None else sigma
        self.sigma = check_number("sigma", sigma, "to be positive and finite", lambda s: 0 < s < math.inf)
        self.reference = reference

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""

        def draw(g: torch.Generator) -> tuple[Tensor, list[int]]:
            channels, *shape = like.shape[1:]
            grid = torch.randn((channels, *self._count_nodes(shape)), generator=g, device=g.device)
            return grid, [int(torch.randint(n, (), generator=g, device=g.device)) for n in shape]

        draws = per_item(like, generator, draw)
        rolls = [draws[0][1] if self.reference else roll for _, roll in draws]
        items = [
            torch.roll(self._enlarge(grid, like.shape[2:]), roll, list(range(1, like.ndim - 1)))
            for (grid, _), roll in zip(draws, rolls, strict=True)
        ]
        return torch.stack(items).to(like)

    def _count_nodes(self, shape: Sequence[int]) -> list[int]:
        """Count the nodes along each axis."""
        if self.reference:
            return [self.resolution] * len(shape)
        return [max(1, round(self.resolution * n / max(shape))) for n in shape]

    def _enlarge(self, grid: Tensor, shape: torch.Size) -> Tensor:
        """Interpolate a grid (C, R, ...) to (C, *shape), one axis after the other."""
        for size in shape:
            weights = self._weigh_nodes(size, grid.shape[1]).to(grid)
            grid = torch.tensordot(grid, weights, dims=([1], [1]))
        return grid * self.sigma

    def _weigh_nodes(self, size: int, r: int) -> Tensor:
        """Weigh the ``r`` nodes for each voxel of an axis, (size, r)."""
        pitch = (r - 1) / max(size - 1, 1) if self.reference else r / size
        places = torch.arange(size, dtype=torch.float64) * pitch
        floors = (places + 1e-9).floor()[:, None]
        fractions = (places[:, None] - floors).clamp(min=0)
        nodes = torch.arange(r)
        weights = (1 - fractions) * (nodes == floors % r) + fractions * (nodes == (floors + 1) % r)
        return weights if self.reference else weights / weights.square().sum(1).mean().sqrt()
