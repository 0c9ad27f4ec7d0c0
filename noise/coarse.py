"""Coarse noise: a small Gaussian grid, smoothly enlarged and rolled."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from diffad.noise.base import check_like, per_item
from diffad.registry import NOISES
from diffad.types import Generators, generators_for


@NOISES.register("coarse")
class CoarseNoise:
    r"""Enlarges a grid of Gaussian numbers linearly on a torus and rolls it by a random whole number of voxels.

    .. math:: z(u) = \frac{\sigma}{s} \sum_i w_i(u - o) \, g_i, \quad g_i \sim \mathcal{N}(0, 1), \quad
        s^2 = \mathrm{mean}_u \sum_i w_i(u)^2

    The torus leaves no seam, and the roll :math:`o`, uniform over the image, makes the noise stationary.

    Args:
        resolution: Nodes :math:`R` of the grid along each axis, at least 1 (2 in reference mode).
        sigma: Standard deviation; 1 by default, in reference mode that of the nodes and .2 by default.
        reference: Reproduce the published noise: corners aligned, not periodic (so the roll shows a seam), about
            .67 sigma after enlarging, and one roll, drawn from the generator of the first item, for the whole batch.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI (Kascenas et al., 2022), section 3.1.
    """

    def __init__(self, resolution: int = 16, sigma: float | None = None, reference: bool = False) -> None:
        least = 2 if reference else 1
        if not isinstance(resolution, int) or resolution < least:
            raise ValueError(f"expected resolution to be a whole number of at least {least}, got {resolution}")
        self.resolution = resolution
        self.sigma = (0.2 if reference else 1.0) if sigma is None else sigma
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"expected a positive sigma, got {sigma}")
        self.reference = reference

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""
        channels, shape = like.shape[1], tuple(like.shape[2:])
        check_like(like)
        generators = generators_for(generator, like.shape[0])
        items = []
        roll: list[int] = []
        for g in generators:
            grid = torch.randn((channels, *[self.resolution] * len(shape)), generator=g, device=g.device)
            if not roll or not self.reference:
                roll = [int(torch.randint(n, (), generator=g, device=g.device)) for n in shape]
            items.append(torch.roll(self._enlarge(grid, shape), roll, list(range(1, len(shape) + 1))))
        return torch.stack(items).to(like)

    def _enlarge(self, grid: Tensor, shape: tuple[int, ...]) -> Tensor:
        for axis, size in enumerate(shape, start=1):
            grid = torch.movedim(torch.movedim(grid, axis, -1) @ self._weights(size).T.to(grid), -1, axis)
        return grid * self.sigma

    def _weights(self, size: int) -> Tensor:
        """Linear weights of the nodes at each voxel of an axis, (size, R)."""
        r = self.resolution
        at = torch.arange(size, dtype=torch.float64) * ((r - 1) / max(size - 1, 1) if self.reference else r / size)
        low = at.floor()
        nodes = torch.arange(r)
        upper = (at - low)[:, None]
        first, second = low.long() % r, (low.long() + 1) % r
        weights = (1 - upper) * (nodes == first[:, None]) + upper * (nodes == second[:, None])
        return weights if self.reference else weights / weights.square().sum(1).mean().sqrt()
