"""Pyramid noise: Gaussian fields of several resolutions in one sum."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.noise.base import check_number, per_item
from diffad.registry import NOISES
from diffad.types import Generators, generators_for

LEVELS = 10
"""Most levels that are ever drawn; the nodes run out long before."""

MODES = {2: "bilinear", 3: "trilinear"}


@NOISES.register("pyramid")
class PyramidNoise:
    r"""Adds ever coarser Gaussian lattices, enlarged linearly, to white noise; the last is a constant.

    .. math:: z = \sum_k \sqrt{\frac{v_k}{\sum_j v_j}} \, \frac{L_k}{(2/3)^{n/2}}, \quad v_0 = 2, \quad
        v_k = d^{2k} \left(\frac23 + \frac{1}{3 w_k}\right)^2, \quad w_k = \frac{w_{k-1}}{r_k^k}, \quad
        r_k \sim \mathcal{U}(2, 4)

    :math:`L_0` is white, :math:`L_k` a lattice with :math:`w_k` nodes along the longest of :math:`n` axes and
    one distance between nodes along all, and the first level of fewer than two nodes is a constant, the last.
    Every level has unit variance before it is weighed. The weights are the variances that the published
    levels have in slices, white noise counting twice as it does there: at 128 voxels .73 white, .10 middle,
    .08 coarse and .09 constant. Each item has ratios :math:`r_k` of its own, and each level an offset uniform
    over the distance of its nodes, which makes the noise stationary. An axis of one voxel plays no part.

    Args:
        discount: Amplitude ratio :math:`d` between levels, in (0, 1].
        reference: Reproduce the published noise: a second white field instead of the weight 2, the ratios of
            the first item for the whole batch, nodes fixed to the image (so the variance is not the same
            everywhere), and a division by the standard deviation of the whole batch.

    Raises:
        ValueError: If the discount is out of range.

    Reference:
        Unsupervised Anomaly Detection using Aggregated Normative Diffusion (Frotscher et al., 2023,
        arXiv 2312.01904).
    """

    def __init__(self, discount: float = 0.8, reference: bool = False) -> None:
        self.discount = check_number("discount", discount, "in (0, 1]", lambda d: 0 < d <= 1)
        self.reference = reference

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""
        if self.reference:
            return self._draw_reference(like, generator).to(like)
        return torch.stack(per_item(like, generator, lambda g: self._draw_field(like.shape[1:], g))).to(like)

    def _draw_field(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Draw one item (C, *S)."""
        uniforms = _draw_uniforms((len(shape), LEVELS), generator).tolist()
        nodes = count_nodes(max(shape[1:]), uniforms[0])
        weights = [math.sqrt(fraction) for fraction in split_variance(nodes, self.discount)]
        z = torch.randn(shape, generator=generator, device=generator.device) * weights[0]
        for w, weight, *offset in zip(nodes, weights[1:], *uniforms[1:], strict=False):
            z += draw_lattice(shape, max(shape[1:]) / w if w > 1 else math.inf, offset, generator) * weight
        return z

    def _draw_reference(self, like: Tensor, generator: Generators) -> Tensor:
        uniforms = per_item(like, generator, lambda g: _draw_uniforms((LEVELS,), g))[0]
        sizes = count_reference_nodes(like.shape[2:], uniforms.tolist())
        generators = generators_for(generator, len(like))
        z = torch.stack([self._sum_levels(like.shape[1:], sizes, g) for g in generators])
        return z / z.std()

    def _sum_levels(
        self, shape: torch.Size, sizes: Sequence[Sequence[int]], generator: torch.Generator
    ) -> Tensor:
        """Add all levels of one item (C, *S) as published, not scaled."""
        channels, *size = shape
        z = torch.randn(shape, generator=generator, device=generator.device)
        for k, nodes in enumerate(sizes):
            grid = torch.randn((1, channels, *nodes), generator=generator, device=generator.device)
            large = torch.nn.functional.interpolate(grid, size, mode=MODES[len(size)], align_corners=False)
            z += self.discount**k * large[0]
        return z


def _draw_uniforms(size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(size, generator=generator, device=generator.device, dtype=torch.float64)


def count_nodes(longest: int, uniforms: Sequence[float]) -> list[float]:
    r"""Divide the longest axis, in voxels, by :math:`r_k^k`, :math:`r_k = 2 + 2 u_k`, until one node is left.

    Args:
        longest: Voxels along the longest axis.
        uniforms: Numbers :math:`u_k`, uniform in [0, 1).
    """
    nodes, w = [], float(longest)
    for k, u in enumerate(uniforms, 1):
        w /= (2 + 2 * u) ** k
        nodes.append(w if w >= 2 else 1.0)
        if w < 2:
            break
    return nodes


def split_variance(nodes: Sequence[float], discount: float) -> list[float]:
    r"""Split the variance 1 among white noise and the levels, :math:`v_k / \sum_j v_j`.

    Args:
        nodes: Nodes :math:`w_k` along the longest axis, from level 1 on.
        discount: Amplitude ratio :math:`d` between levels.
    """
    variances = [discount ** (2 * k) * (2 / 3 + 1 / (3 * w)) ** 2 for k, w in enumerate(nodes, 1)]
    return [v / (2 + sum(variances)) for v in [2.0, *variances]]


def count_reference_nodes(shape: Sequence[int], uniforms: Sequence[float]) -> list[list[int]]:
    """Count the nodes along each axis of each published level: first the whole grid, last a single node.

    Args:
        shape: Spatial shape in voxels; all axes share the ratios.
        uniforms: Uniform numbers in [0, 1), one for each level.
    """
    sizes, nodes = [], list(shape)
    for k, u in enumerate(uniforms):
        nodes = [max(1, int(w / (2 + 2 * u) ** k)) for w in nodes]
        sizes.append(nodes)
        if max(nodes) == 1:
            break
    return sizes


def draw_lattice(
    shape: torch.Size, pitch: float, offset: Sequence[float], generator: torch.Generator
) -> Tensor:
    r"""Draw a Gaussian lattice and interpolate it linearly, (C, *S), or (C, 1, ...) where it is constant.

    .. math:: L(u) = (2/3)^{-n/2} \sum_i g_i \prod_a \max(0, 1 - |u_a / p + o_a - i_a|)

    Over uniform offsets each of the :math:`n` axes leaves 2/3 of the variance, at every voxel.

    Args:
        shape: Shape (C, *S) of the field.
        pitch: Distance :math:`p` between nodes in voxels; infinite for a constant.
        offset: Place :math:`o` of the first voxel between two nodes, in [0, 1) for each axis.
        generator: Where the nodes :math:`g` come from.
    """
    weights = [
        _weigh_nodes(n, pitch, o) if n > 1 and pitch < math.inf else torch.ones(1, 1)
        for n, o in zip(shape[1:], offset, strict=True)
    ]
    device = generator.device
    grid = torch.randn((shape[0], *(w.shape[1] for w in weights)), generator=generator, device=device)
    for weight in weights:
        grid = torch.tensordot(grid, weight.to(grid), dims=([1], [1]))
    return grid


def _weigh_nodes(size: int, pitch: float, offset: float) -> Tensor:
    """Weigh the nodes for each voxel of an axis, (size, nodes), for unit variance."""
    places = torch.arange(size, dtype=torch.float64) / pitch + offset
    nodes = torch.arange(int(places[-1]) + 2)
    return (1 - (places[:, None] - nodes).abs()).clamp(min=0) / math.sqrt(2 / 3)
