"""The student of reverse distillation: a narrow code of a teacher's features, and the way back to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions beside a shortcut, each with normalisation.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        change: "down" halves the grid, "up" doubles it, "" leaves it.
    """

    def __init__(self, inputs: int, outputs: int, change: str = "") -> None:
        super().__init__()
        first: nn.Module = nn.Conv2d(inputs, outputs, 3, 2 if change == "down" else 1, 1, bias=False)
        if change == "up":
            first = nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
        self.body = nn.Sequential(
            first,
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = make_shortcut(inputs, outputs, change)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W), on a grid half or twice as large where it changes."""
        return F.relu(self.body(x) + self.shortcut(x))


def make_shortcut(inputs: int, outputs: int, change: str) -> nn.Module:
    """Build the way past a block: nothing where its shapes agree."""
    if not change and inputs == outputs:
        return nn.Identity()
    if change == "up":
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs))
    stride = 2 if change == "down" else 1
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def make_unit(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Build a convolution of width 3 with normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Student(nn.Module):
    """Squeezes features of a few stages, each half as fine as the one before, into a code, and rebuilds them.

    Args:
        widths: Channels of the stages, finest first.
        repeats: Blocks of the code, and of each stage on the way back.
    """

    def __init__(self, widths: Sequence[int], repeats: int) -> None:
        super().__init__()
        coarsest, count = widths[-1], len(widths)
        # every stage goes down to the grid of the coarsest
        self.downs = nn.ModuleList(
            nn.Sequential(*(make_unit(w if j == 0 else coarsest, coarsest, 2) for j in range(count - 1 - k)))
            for k, w in enumerate(widths)
        )
        code = 2 * coarsest
        blocks = [
            Residual(count * coarsest, code, "down"),
            *(Residual(code, code) for _ in range(repeats - 1)),
        ]
        self.squeeze = nn.Sequential(*blocks)
        ups, inputs = [], code
        for width in reversed(widths):
            ups.append(
                nn.Sequential(
                    Residual(inputs, width, "up"), *(Residual(width, width) for _ in range(repeats - 1))
                )
            )
            inputs = width
        self.ups = nn.ModuleList(ups)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Rebuild ``features``, finest first."""
        parts = [down(f) for down, f in zip(self.downs, features, strict=True)]
        x, answers = self.squeeze(torch.cat(parts, 1)), []
        for up in self.ups:
            x = up(x)
            answers.append(x)
        return answers[::-1]


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
