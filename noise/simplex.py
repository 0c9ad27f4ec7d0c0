"""Octaves of OpenSimplex noise: corruption with structure from lesion scale down to the voxel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from numpy.typing import NDArray
from torch import Tensor

from diffad.noise._lattice import SEED_LIMIT, VARIANCE, VARIANCES, spread_places
from diffad.noise.base import levels_of, per_item
from diffad.noise.octaves import OctaveSet, Sets, read_octave_sets
from diffad.registry import NOISES
from diffad.types import Generators

__all__ = ["VARIANCE", "SimplexNoise", "simplex_field"]

AXES = ("random", "level")


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
    field = _reference.sum_reference_fields(
        [seed], origin, _to_volume(shape), octaves, persistence, float(feature_size)
    )
    return field.reshape(shape)


def _to_volume(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Read a 2-D shape as a volume of one plane."""
    depth, height, width = (1, *shape)[-3:]
    return depth, height, width


@NOISES.register("simplex")
class SimplexNoise:
    r"""Sums octaves of OpenSimplex noise, each item and channel at its own place of its own lattice.

    .. math:: z(u) = \frac{1}{\sigma} \sum_{k=0}^{K-1} p^k \, S\!\left(\frac{u + o}{f_k}\right), \quad
        f_k = \frac{f_0}{2^k}, \quad \sigma^2 = \mathrm{Var}(S) \sum_k p^{2k}

    The offset :math:`o` is uniform over the period of the lattice, which makes the noise stationary.
    Coordinates are x and y, z in volumes, the channel where channels are correlated, and what is left of
    ``dims``: a 2-D field is by default a plane of the 3-D noise at a random depth. Volumes are coherent
    across slices; the slice is no extra axis, as volumes have it in z and an image does not know its own.

    Args:
        octaves: Number of octaves :math:`K`, at least 1.
        persistence: Amplitude ratio :math:`p` between octaves, in (0, 1].
        feature_size: Feature size :math:`f_0` of the first octave, in voxels (not mm); each octave halves it.
        reference: Reproduce the published field: no offset, so that the lattice origin shows in the corner,
            no scaling (standard deviation about .50 by default, .60 with ``dims=2``), and the index of
            published code, which is the level less 1, as the depth of a 2-D field. Made on the CPU, where it
            equals opensimplex in every bit. The field of AnoDDPM has 3 ``dims``, that of pDDPM and cDDPM 2.
        dims: Coordinates of the noise: 2 (images only), 3 or 4. In four it is the sum over all vertices in
            reach, smooth where opensimplex jumps by up to 5e-4 an octave (but in reference mode).
        axis: What the last coordinate is, where one is left: "random" (the default), or "level", which adds
            :math:`t` to the offset, so that one state of a generator gives similar fields at close levels.
            In reference mode it is the level less 1, and must be.
        correlated: Take the channels of an item from neighbouring planes of one field. In reference mode with
            ``dims=4`` all images of a call are planes of one field too, that of the first item's generator.
        sets: Instead of the first three options, a list of [octaves, persistence, feature_size] from which
            each item draws one, or "published" for the 23 of AnoDDPM.

    Raises:
        ValueError: If an option is out of range; on call, if ``dims`` is too small for the coordinates.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2; correlated channels: Annotsim (Kumar et al., WACV 2025).
    """

    def __init__(
        self,
        octaves: int = 6,
        persistence: float = 0.8,
        feature_size: float = 64,
        reference: bool = False,
        *,
        dims: int = 3,
        axis: str | None = None,
        correlated: bool = False,
        sets: Sets | None = None,
    ) -> None:
        octave_set = OctaveSet(octaves, persistence, feature_size)
        self.octaves, self.persistence, self.feature_size = octaves, persistence, feature_size
        self.sets = sets
        self._sets = (octave_set,) if sets is None else read_octave_sets(sets)
        if dims not in VARIANCES:
            raise ValueError(f"expected dims to be 2, 3 or 4, got {dims}")
        self.axis = ("level" if reference else "random") if axis is None else axis
        if self.axis not in AXES:
            raise ValueError(f"expected axis to be 'random' or 'level', got {axis!r}")
        if reference and self.axis != "level":
            raise ValueError(f"expected axis 'level' with reference=True, got {axis!r}")
        self.reference, self.dims, self.correlated = reference, dims, correlated

    @property
    def std(self) -> float:
        r"""Ensemble standard deviation :math:`\sigma` before scaling; of the first of several ``sets``."""
        return self._sets[0].std(VARIANCES[self.dims])

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); levels ``t`` () or (B,) matter where they are an axis only."""
        draws = per_item(like, generator, lambda g: self.draw_starts(g, like.shape[1]))
        starts = self._shift_starts(torch.stack([starts for _, starts in draws]), like, t)
        z = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        for octave_set in dict.fromkeys(octave_set for octave_set, _ in draws):
            rows = [i for i, (other, _) in enumerate(draws) if other == octave_set]
            fields = self.sum_fields(rearrange(starts[rows], "b c n -> (b c) n"), like, octave_set)
            z[rows] = fields.reshape(len(rows), *like.shape[1:]).to(z)
        return z

    def draw_starts(self, generator: torch.Generator, channels: int) -> tuple[OctaveSet, Tensor]:
        """Draw octaves, and seed and offset (x first, in voxels) of each channel, (C, 1 + dims)."""
        device, octave_set = generator.device, self._sets[0]
        if self.sets is not None:
            index = int(torch.randint(len(self._sets), (), generator=generator, device=device))
            octave_set = self._sets[index]
        count = 1 if self.correlated else channels
        seeds = torch.randint(-SEED_LIMIT, SEED_LIMIT, (count, 1), generator=generator, device=device).cpu()
        offsets = torch.zeros((count, self.dims), dtype=torch.float64)
        if not self.reference:
            size = offsets.shape
            uniforms = torch.rand(size, generator=generator, device=device, dtype=torch.float64).cpu()
            offsets = torch.from_numpy(spread_places(uniforms.numpy(), octave_set.feature_size))
        starts = torch.cat([seeds.double(), offsets], dim=1)
        return octave_set, repeat(starts, "f n -> (f copies) n", copies=channels // count)

    def _shift_starts(self, starts: Tensor, like: Tensor, t: Tensor | None) -> Tensor:
        """Add channel and level to the offsets in ``starts`` (B, C, 1 + dims)."""
        coordinates = like.ndim - 2 + self.correlated
        if coordinates > self.dims:
            shape = tuple(like.shape)
            names = f"{like.ndim - 2} spatial axes" + " and correlated channels" * self.correlated
            raise ValueError(
                f"expected dims of at least {coordinates} for {names}, got {self.dims} with shape {shape}"
            )
        if self.correlated:
            starts[..., coordinates] += torch.arange(like.shape[1])
        if coordinates == self.dims and self.axis == "level" and not self.reference:
            raise ValueError(f"expected dims above {coordinates} with axis='level', got {self.dims}")
        if coordinates < self.dims and self.axis == "level":
            # published code counts from 0: there the first level with noise, our level 1, has index 0
            levels = levels_of(t, like.shape[0])
            starts[..., -1] += ((levels - 1).clamp(min=0) if self.reference else levels)[:, None]
            if self.reference and self.correlated and self.dims == 4:
                starts[..., 0] = starts[0, 0, 0]
        return starts

    def sum_fields(self, starts: Tensor, like: Tensor, octave_set: OctaveSet) -> Tensor:
        """Sum the octaves of one field for each of the ``starts`` (N, 1 + dims), (N, D, H, W)."""
        seeds, origins = [int(seed) for seed in starts[:, 0].tolist()], starts[:, 1:].numpy()
        shape = _to_volume(tuple(like.shape[2:]))
        options = octave_set.octaves, octave_set.persistence, float(octave_set.feature_size)
        if self.reference:
            from diffad.noise import _reference

            return torch.from_numpy(
                _reference.sum_reference_fields(seeds, origins, shape, *options).astype(np.float32)
            )
        std = octave_set.std(VARIANCES[self.dims])
        if like.device.type != "cpu":
            from diffad.noise import _device

            return _device.sum_device_fields(seeds, origins, shape, *options, like=like) / std
        return torch.from_numpy((self._kernel(seeds, origins, shape, *options) / std).astype(np.float32))

    @property
    def _kernel(self) -> Callable[..., NDArray[np.float64]]:
        """The fastest sum of octaves on a CPU."""
        from diffad.noise import _kernel2, _kernel3, _kernel4

        return {2: _kernel2.sum_fields2, 3: _kernel3.sum_fields3, 4: _kernel4.sum_fields4}[self.dims]
