"""The student of reverse distillation: a narrow code of a teacher's features, and the way back to them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.student_blocks import BLOCKS, Residual, make_student_unit


class Student(nn.Module):
    """Squeezes features of a few stages, each half as fine as the one before, into a code, and rebuilds them.

    Args:
        widths: Channels of the stages, finest first.
        repeats: Blocks of the code, and of each stage on the way back, coarsest first; a number is for all.
        blocks: Their kind, "plain" or "narrow".

    Raises:
        ValueError: If there is no such kind, or a number of blocks is missing or below 1.
    """

    def __init__(self, widths: Sequence[int], repeats: int | Sequence[int], blocks: str = "plain") -> None:
        super().__init__()
        coarsest, count = widths[-1], len(widths)
        numbers = [repeats] * (count + 1) if isinstance(repeats, int) else list(repeats)
        if blocks not in BLOCKS:
            raise ValueError(f"expected blocks of {', '.join(BLOCKS)}, got {blocks!r}")
        if len(numbers) != count + 1 or min(numbers) < 1:
            raise ValueError(f"expected repeats of at least 1, one or {count + 1} of them, got {repeats}")
        # every stage goes down to the grid of the coarsest
        self.downs = nn.ModuleList(
            nn.Sequential(
                *(make_student_unit(*pair, 2) for pair in pairwise(_double(w, count - 1 - k, coarsest)))
            )
            for k, w in enumerate(widths)
        )
        block, code = BLOCKS[blocks], 2 * coarsest
        self.squeeze = _make_blocks(block, count * coarsest, code, "down", numbers[0])
        sizes = pairwise([code, *reversed(widths)])
        self.ups = nn.ModuleList(
            _make_blocks(block, a, b, "up", n) for (a, b), n in zip(sizes, numbers[1:], strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Rebuild ``features``, finest first."""
        parts = [down(f) for down, f in zip(self.downs, features, strict=True)]
        x, answers = self.squeeze(torch.cat(parts, 1)), []
        for k, up in enumerate(self.ups):
            answers.append(up(x))
            x = self.pass_on(answers[-1], k, features)
        return answers[::-1]

    def pass_on(self, x: Tensor, k: int, features: Sequence[Tensor]) -> Tensor:
        """Return what the next stage is given of the answer ``x`` of stage ``k`` on the way back: itself."""
        return x


def _double(width: int, times: int, limit: int) -> list[int]:
    """Return the channels on the way down: twice as many at each halving, the last as many as all have."""
    return [width, *(min(width * 2**j, limit) for j in range(1, times)), *[limit] * (times > 0)]


def _make_blocks(block: type[Residual], inputs: int, outputs: int, change: str, count: int) -> nn.Sequential:
    return nn.Sequential(block(inputs, outputs, change), *(block(outputs, outputs) for _ in range(count - 1)))


def compare_cells(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 minus the cosine between ``a`` and ``b`` (B, F, H, W) at each cell, (B, 1, H, W)."""
    return 1 - F.cosine_similarity(a, b, dim=1)[:, None]


def compare_items(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 minus the cosine between whole maps ``a`` and ``b`` (B, F, H, W), (B,)."""
    return 1 - F.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)


def blur_map(x: Tensor, sigma: float) -> Tensor:
    """Return ``x`` (B, 1, H, W) behind a Gaussian of a deviation of ``sigma`` pixels, cut at four of them."""
    if not sigma:
        return x
    reach = max(int(4 * sigma + 0.5), 1)
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=x.device).square() / (2 * sigma**2))
    kernel = (weights / weights.sum()).to(x)
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel[None, None, :, None])
    return F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel[None, None, None])
