"""Which cells of an image are noised, in masked diffusion and as a corruption: the rest is clean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.types import Generators, generators_for


@dataclass(frozen=True)
class CellMask:
    """Draws which cells of an image are noised.

    Args:
        sides: Sides that a cell may have along an axis, in pixels of what the network sees.
        chances: Probability of each side, along each axis on its own.
        ratio: Largest share of cells that are noised; the share is uniform up to it.
        cover: Least share of brain in a block of a cell that is noised.
        block: Side of these blocks, in pixels of what the network sees.

    Raises:
        ValueError: If a number is out of range.

    Reference:
        MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (Beizaee et al., IPMI 2025), which
        draws one shape for a batch.
    """

    sides: Sequence[int] = (1, 2, 4, 8)
    chances: Sequence[float] = (0.2, 0.3, 0.3, 0.2)
    ratio: float = 0.4
    cover: float = 0.9
    block: int = 2

    def __post_init__(self) -> None:
        if not self.sides or min(self.sides) < 1 or self.block < 1:
            raise ValueError(
                f"expected sides and a block of at least 1, got {list(self.sides)}, {self.block}"
            )
        if len(self.chances) != len(self.sides) or not math.isclose(sum(self.chances), 1, abs_tol=1e-6):
            values = list(self.chances)
            raise ValueError(f"expected a chance for each of {len(self.sides)} sides, 1 in sum, got {values}")
        if not (min(self.chances) >= 0 and 0 <= self.ratio <= 1 and 0 <= self.cover <= 1):
            raise ValueError(f"expected ratio and cover in [0, 1], got {self.ratio} and {self.cover}")

    def draw(self, brain: Tensor, generator: Generators) -> Tensor:
        """Return 1 where an image is noised, else 0, (B, 1, *S), float.

        Args:
            brain: Share of brain in each pixel, (B, 1, *S), in [0, 1].
            generator: One, or one for each item.
        """
        generators = generators_for(generator, len(brain))
        cells = torch.stack([self.draw_cells(tuple(brain.shape[2:]), g) for g in generators])
        return cells.to(brain) * self.find_brain(brain)

    def draw_cells(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return the noised cells of one image of a shape, anywhere, (1, *S)."""
        device, weights = generator.device, torch.tensor(self.chances)
        draws = torch.multinomial(weights.to(device), len(shape), replacement=True, generator=generator)
        sides = [self.sides[int(k)] for k in draws]
        grid = [math.ceil(n / side) for n, side in zip(shape, sides, strict=True)]
        count, share = math.prod(grid), self.ratio * float(torch.rand((), generator=generator, device=device))
        order = torch.randperm(count, generator=generator, device=device)
        noise_mask = (order >= math.floor(count * (1 - share))).float().reshape(grid)
        for axis, side in enumerate(sides):
            noise_mask = noise_mask.repeat_interleave(side, axis)
        return noise_mask[tuple(slice(n) for n in shape)][None]

    def find_brain(self, brain: Tensor) -> Tensor:
        """Return 1 where a block holds enough brain to be noised, else 0, (B, 1, *S)."""
        pool = F.avg_pool2d if brain.ndim == 4 else F.avg_pool3d
        sides = [-n % self.block for n in brain.shape[2:]]
        padded_share = F.pad(brain.float(), [p for n in sides[::-1] for p in (0, n)])
        # a share of brain is a mean of many numbers, whose rounding must not decide
        blocks = (pool(padded_share, self.block) >= self.cover - 1e-6).float()
        fields = F.interpolate(blocks, scale_factor=float(self.block), mode="nearest")
        return fields[(slice(None), slice(None), *(slice(n) for n in brain.shape[2:]))].to(brain)
