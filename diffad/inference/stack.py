"""What detection is given and what it answers, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.space import to_public
from diffad.data.window import Corner, paste_windows
from diffad.types import Reconstruction


@dataclass(frozen=True)
class Stack:
    """The slices of one scan, or one whole volume, as it came.

    Args:
        image: Raw intensities, (N, C, *S).
        brain: Brain mask, (N, 1, *S), bool.
        keys: Position of each of the N in its volume.
        spacing: Pixel size (row, column) in mm, where known.
        centre: Position (row, column) that goes to the grid's centre.
        window: Intensity window of the whole scan; none finds it in these slices.
        name: What errors call the scan.
        region: Where the twin may differ from the scan, (N, 1, *S), in [0, 1]; none leaves it to the sampler.
        noise_keys: What the noise of each of the N follows from, next to the seed; none takes the positions.
    """

    image: Tensor
    brain: Tensor
    keys: Sequence[int]
    spacing: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    window: IntensityWindow | None = None
    name: str = "the scan"
    region: Tensor | None = None
    noise_keys: Sequence[int] | None = None


@dataclass(frozen=True)
class StackResult:
    """What was found in one stack, on its own grid.

    Args:
        anomaly: Anomaly map, (N, 1, *S), 0 outside the brain.
        twin: Pseudo-healthy twin in the scan's intensities, (N, C, *S); the scan itself outside the brain.
        nfe: Network evaluations per slice.
        std: Standard deviation of several twins in the scan's intensities, (N, C, *S); none of a single one.
    """

    anomaly: Tensor
    twin: Tensor
    nfe: int
    std: Tensor | None = None


@dataclass
class BatchResult:
    """What was found in images that are in the network's space.

    Args:
        anomaly: Anomaly maps, (N, 1, *S).
        twin: Twins in [0, 1], (N, C, *S).
        nfe: Network evaluations per image.
        std: Standard deviation of several twins, (N, C, *S); none where one was made.
    """

    anomaly: Tensor
    twin: Tensor
    nfe: int = 0
    std: Tensor | None = None

    def put(self, items: Sequence[int], part: BatchResult) -> None:
        """Take in what was found in some of the images."""
        self.anomaly[items], self.twin[items] = part.anomaly, part.twin
        self.nfe = max(self.nfe, part.nfe)
        if part.std is not None:
            self.std = torch.zeros_like(self.twin) if self.std is None else self.std
            self.std[items] = part.std

    def pasted(self, shape: Sequence[int], corners: Sequence[Corner]) -> BatchResult:
        """Lay the maps of windows on empty grids."""
        anomaly, twin = (paste_windows(v, shape, corners) for v in (self.anomaly, self.twin))
        std = None if self.std is None else paste_windows(self.std, shape, corners)
        return BatchResult(anomaly, twin, self.nfe, std)

    def split(self, x: Tensor, counts: list[int]) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Part map, change of the image and standard deviation by scan."""
        rest = zip(torch.split(self.anomaly, counts), torch.split(self.twin - x, counts), strict=True)
        stds = [None] * len(counts) if self.std is None else list(torch.split(self.std, counts))
        return [(a, d, std) for (a, d), std in zip(rest, stds, strict=True)]


def to_public_range(found: Reconstruction, brain: Tensor) -> Reconstruction:
    """Bring what a sampler made from [-1, 1] to [0, 1], and to nothing outside the brain (B, 1, *S)."""
    image = to_public(found.image.float()) * brain
    std = None if found.std is None else found.std.float() / 2 * brain  # in units of [0, 1]
    reference = None if found.reference is None else to_public(found.reference.float()) * brain
    return replace(found, image=image, std=std, reference=reference)
