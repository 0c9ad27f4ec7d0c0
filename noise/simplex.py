"""Octaves of OpenSimplex noise: corruption with structure from lesion scale down to the voxel."""

from __future__ import annotations

import math

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from diffad.noise.base import levels_of, per_item
from diffad.registry import NOISES
from diffad.types import Generators

SEED_LIMIT = 10**10
"""Seeds are uniform integers in -SEED_LIMIT..SEED_LIMIT-1."""

PERIOD = 6 * 256
"""Feature sizes after which OpenSimplex noise repeats along each axis: six times its 256 skewed cells."""

_BETA = math.gamma(5 / 2) * math.gamma(9) / math.gamma(23 / 2)

VARIANCE = 51 / 103**2 / 2 * 4 * math.pi * 2 ** (8 + 5 / 2) * _BETA / 2
r"""Ensemble variance of one octave of noise3, .0985.

Sums :math:`(2 - r^2)^4 \, g \cdot d / 103` over points of density 1/2; :math:`E(g \cdot d)^2 = 51 r^2`:

.. math:: \frac{51}{103^2} \cdot \frac12 \int_0^{\sqrt 2} (2 - r^2)^8 \, r^2 \cdot 4 \pi r^2 \, dr
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
    from diffad.noise import _reference

    origin = np.array([[0.0, 0.0, depth if len(shape) == 2 else 0.0]])
    field = _reference.fields([seed], origin, _volume(shape), octaves, persistence, float(feature_size))
    return field.reshape(shape)


def _volume(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Read a 2-D shape as a volume of one plane."""
    depth, height, width = (1, *shape)[-3:]
    return depth, height, width


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
        feature_size: Feature size :math:`f_0` of the first octave, in voxels (not mm); each octave halves it.
        reference: Reproduce the published field: no offset, so that the lattice origin shows in the corner,
            no scaling (standard deviation about .50 by default), and the level as the depth of a 2-D field.

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
        lots = torch.stack(per_item(like, generator, lambda g: self._draw(g, like.shape[1])))
        if self.reference and like.ndim == 4:
            lots[..., 3] = levels_of(t, like.shape[0])[:, None]
        lots = rearrange(lots, "b c lot -> (b c) lot")
        seeds = [int(seed) for seed in lots[:, 0].tolist()]
        field = self._fields(seeds, lots[:, 1:].numpy(), _volume(tuple(like.shape[2:])))
        return torch.from_numpy(field).reshape(like.shape).to(like)

    def _fields(
        self, seeds: list[int], origins: NDArray[np.float64], shape: tuple[int, int, int]
    ) -> NDArray[np.float32]:
        """Sum the octaves of one field for each seed, (N, D, H, W)."""
        options = self.octaves, self.persistence, float(self.feature_size)
        if self.reference:
            from diffad.noise import _reference

            return _reference.fields(seeds, origins, shape, *options).astype(np.float32)
        from diffad.noise import _kernel

        return (_kernel.fields(seeds, origins, shape, *options) / self.std).astype(np.float32)

    def _draw(self, generator: torch.Generator, channels: int) -> Tensor:
        """Draw seed and offset (x, y, z in voxels) of each channel, (C, 4), exact in doubles."""
        device = generator.device
        seeds = torch.randint(-SEED_LIMIT, SEED_LIMIT, (channels, 1), generator=generator, device=device)
        if self.reference:
            return torch.cat([seeds.double(), seeds.new_zeros((channels, 3)).double()], dim=1).cpu()
        lots = torch.rand((channels, 3), generator=generator, device=device, dtype=torch.float64)
        return torch.cat([seeds.double(), lots * (PERIOD * self.feature_size)], dim=1).cpu()
