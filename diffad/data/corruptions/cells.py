"""Cells of an image that are replaced by noise, as masked diffusion is trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.data.corruptions.cell_mask import CellMask
from diffad.data.corruptions.noised import NoisedCorruption
from diffad.registry import CORRUPTIONS


@CORRUPTIONS.register("cells")
class Cells(NoisedCorruption):
    r"""Noises random cells of the brain, of a shape drawn for each item (MAD-AD).

    .. math:: \mu + \sqrt{1 - l^2} (x - \mu) + l \, s \, n, \quad n \sim \mathcal{N}(0, 1)

    with the level :math:`l`, and mean :math:`\mu` and standard deviation :math:`s` of each channel in the
    brain: at level 1 nothing of the cell is left. A level that is drawn is one of a cosine schedule.

    Args:
        sides: Sides that a cell may have along an axis, in units of the longest side over ``across``.
        chances: Probability of each side, along each axis on its own.
        ratio: Largest share of cells that are noised; the share is uniform up to it.
        cover: Least share of brain in a block of a cell that is noised.
        block: Side of these blocks, in the same units.
        across: Units along the longest side; 32 are the cells of the published codes.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (Beizaee et al., IPMI 2025), where
        codes have a standard deviation of 1, and values are not kept in their range.
    """

    def __init__(
        self,
        sides: Sequence[int] = (1, 2, 4, 8),
        chances: Sequence[float] = (0.2, 0.3, 0.3, 0.2),
        ratio: float = 0.4,
        cover: float = 0.9,
        block: int = 2,
        across: int = 32,
    ) -> None:
        if across < 1:
            raise ValueError(f"expected at least 1 unit across, got {across}")
        CellMask(sides, chances, ratio, cover, block)  # refuses what does not fit
        self.sides, self.chances, self.ratio = sides, chances, ratio
        self.cover, self.block, self.across = cover, block, across

    def draw(self, x: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw white noise for an item (C, *S), and its cells, (1, *S)."""
        region = self._scale_mask(max(x.shape[1:])).draw(mask[None].to(x), generator)[0] > 0
        z = torch.randn(x.shape, generator=generator, device=generator.device)
        return z.to(x), region

    def draw_level(self, generator: torch.Generator) -> float:
        r"""Draw :math:`\sin(\pi u / 2)` with a uniform :math:`u`, the noise of a cosine schedule."""
        return math.sin(math.pi / 2 * float(torch.rand((), generator=generator, device=generator.device)))

    def lay(self, x: Tensor, brain: Tensor, z: Tensor, level: float) -> Tensor:
        """Blend an item (C, *S) with noise of the mean and the spread of its brain."""
        values = x[:, brain[0]].double()
        column = (-1,) + (1,) * (x.ndim - 1)
        mean, spread = values.mean(1).reshape(column), values.std(1, correction=0).reshape(column)
        return (mean + math.sqrt(1 - level**2) * (x - mean) + level * spread * z).to(x)

    def _scale_mask(self, longest: int) -> CellMask:
        unit = longest / self.across
        sides = [max(1, round(side * unit)) for side in self.sides]
        return CellMask(sides, self.chances, self.ratio, self.cover, max(1, round(self.block * unit)))
