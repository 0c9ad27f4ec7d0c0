"""Octaves of OpenSimplex noise: corruption with structure from lesion scale down to the voxel."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffad.noise.base import levels_of, per_item
from diffad.registry import NOISES
from diffad.types import Generators

SEED_LIMIT = 10**10
"""Seeds are uniform integers in -SEED_LIMIT..SEED_LIMIT-1."""

PERIOD = 1536
"""Feature sizes after which OpenSimplex noise repeats along each axis (256 cells of a skewed lattice, times 6)."""

VARIANCE = 51 / 103**2 / 2 * 4 * math.pi * 256 * 2**2.5 * math.gamma(2.5) * math.gamma(9) / math.gamma(11.5) / 2
r"""Ensemble variance of one octave of noise3, .0985.

The sum over lattice points (density 1/2) of :math:`(2-r^2)^4\, g \cdot d / 103` with :math:`E(g \cdot d)^2 = 51 r^2`
has variance :math:`\frac{51}{103^2} \frac12 \int_0^{\sqrt 2} (2-r^2)^8 r^2 \, 4 \pi r^2 dr`.
"""


def simplex_field(
    seed: int,
    shape: tuple[int, ...],
    depth: float = 0.0,
    octaves: int = 6,
    persistence: float = 0.8,
    feature_size: float = 64,
) -> NDArray[np.float64]:
    r"""Sum octaves of OpenSimplex noise at whole voxels, from the origin of the lattice.

    .. math:: n(y, x) = \sum_{k=0}^{K-1} p^k \, S(x / f_k, y / f_k, d / f_k), \quad f_k = f_0 / 2^k

    Args:
        seed: Seed of the permutation table.
        shape: Spatial shape, (H, W) or (D, H, W); of three axes the first replaces the depth.
        depth: Third coordinate :math:`d` of a 2-D field, in voxels.
        octaves: Number of octaves :math:`K`.
        persistence: Amplitude ratio :math:`p` between octaves.
        feature_size: Feature size :math:`f_0` of the first octave, in voxels.

    Returns:
        The field in double precision, of shape ``shape``; its standard deviation is about .50 by default.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """
    from diffad.noise import _kernel

    planes = _depths(shape, depth)
    perms = _kernel.tables([seed])
    offsets = np.zeros((1, 3))
    field = _kernel.exact_planes(perms, offsets, planes[None], shape[-2:], octaves, persistence, feature_size)
    return field.reshape(shape)


def _depths(shape: tuple[int, ...], depth: float) -> NDArray[np.float64]:
    return np.array([depth]) if len(shape) == 2 else np.arange(shape[0], dtype=np.float64)


@NOISES.register("simplex")
class SimplexNoise:
    r"""Sums octaves of OpenSimplex noise, each item and channel at its own place of its own lattice.

    .. math:: z(u) = \frac{1}{\sigma} \sum_{k=0}^{K-1} p^k \, S\!\left(\frac{u + o}{f_k}\right), \quad
        f_k = \frac{f_0}{2^k}, \quad \sigma^2 = \mathrm{Var}(S) \sum_k p^{2k}

    The offset :math:`o` is uniform over the period of the lattice, which makes the noise stationary.
    A 2-D field is a plane of the 3-D noise at a random depth.

    Args:
        octaves: Number of octaves :math:`K`, at least 1.
        persistence: Amplitude ratio :math:`p` between octaves, in (0, 1].
        feature_size: Feature size :math:`f_0` of the first octave, in voxels (not mm); it halves with every octave.
        reference: Reproduce the published field: no offset, no scaling (standard deviation about .50 by default) and
            the level as the depth of a 2-D field, so that the lattice origin shows in the corner of the image.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """

    def __init__(
        self,
        octaves: int = 6,
        persistence: float = 0.8,
        feature_size: float = 64,
        reference: bool = False,
    ) -> None:
        if not isinstance(octaves, int) or octaves < 1:
            raise ValueError(f"expected octaves to be a whole number of at least 1, got {octaves}")
        if not 0 < persistence <= 1:
            raise ValueError(f"expected persistence in (0, 1], got {persistence}")
        if not 0 < feature_size < math.inf:
            raise ValueError(f"expected a positive feature_size in voxels, got {feature_size}")
        self.octaves = octaves
        self.persistence = persistence
        self.feature_size = feature_size
        self.reference = reference

    @property
    def std(self) -> float:
        r"""Ensemble standard deviation :math:`\sigma` of the sum of octaves before scaling."""
        return math.sqrt(VARIANCE * sum(self.persistence ** (2 * k) for k in range(self.octaves)))

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); levels ``t`` () or (B,) matter in reference mode only."""
        from diffad.noise import _kernel

        channels, shape = like.shape[1], tuple(like.shape[2:])
        draws = per_item(like, generator, lambda g: self._draw(g, channels))
        levels = levels_of(t if self.reference else None, like.shape[0])
        lots = torch.stack(draws).flatten(0, 1).numpy()
        depths = np.stack([_depths(shape, level) for level in levels for _ in range(channels)])
        perms = _kernel.tables([int(seed) for seed in lots[:, 0]])
        options = self.octaves, self.persistence, float(self.feature_size)
        field = _kernel.exact_planes(perms, lots[:, 1:], depths, shape[-2:], *options)
        scale = 1.0 if self.reference else 1 / self.std
        return torch.from_numpy((field * scale).astype(np.float32)).reshape(like.shape).to(like)

    def _draw(self, generator: torch.Generator, channels: int) -> Tensor:
        """Draw seed and offset (x, y, z in voxels) of each channel, (C, 4); float64 holds both exactly."""
        device = generator.device
        seeds = torch.randint(-SEED_LIMIT, SEED_LIMIT, (channels, 1), generator=generator, device=device)
        if self.reference:
            return torch.cat([seeds.double(), seeds.new_zeros((channels, 3)).double()], dim=1).cpu()
        lots = torch.rand((channels, 3), generator=generator, device=device, dtype=torch.float64)
        return torch.cat([seeds.double(), lots * (PERIOD * self.feature_size)], dim=1).cpu()
