"""What detection is given and what it answers, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.scan_slices import ScanSlices
from diffad.data.space import to_public
from diffad.data.window import Corner, paste_windows
from diffad.types import Reconstruction


@dataclass(frozen=True)
class Stack(ScanSlices):
    """The slices of one scan, or one whole volume, and how they are to be looked at.

    Args:
        window: Intensity window of the whole scan; none finds it in these slices.
        name: What errors call the scan.
        region: Where the reconstruction may differ from the scan, (N, 1, *S), in [0, 1]; none leaves it to
            the sampler.
        noise_keys: What the noise of each of the N follows from, next to the seed; none takes the positions.
    """

    window: IntensityWindow | None = None
    name: str = "the scan"
    region: Tensor | None = None
    noise_keys: Sequence[int] | None = None


@dataclass(frozen=True)
class StackResult:
    """What came out for one stack, on its own grid.

    Args:
        anomaly: Anomaly map, (N, 1, *S), 0 outside the brain.
        reconstruction: In the scan's intensities, (N, C, *S); the scan itself outside the brain.
        nfe: Network evaluations per slice.
        std: Standard deviation of several reconstructions in the scan's intensities, (N, C, *S); none of a
            single one.
    """

    anomaly: Tensor
    reconstruction: Tensor
    nfe: int
    std: Tensor | None = None


@dataclass
class BatchResult:
    """What came out for images that are in the network's space.

    Args:
        anomaly: Anomaly maps, (N, 1, *S).
        reconstruction: In [0, 1], (N, C, *S).
        nfe: Network evaluations per image.
        std: Standard deviation of several reconstructions, (N, C, *S); none where one was made.
    """

    anomaly: Tensor
    reconstruction: Tensor
    nfe: int = 0
    std: Tensor | None = None

    def put(self, items: Sequence[int], part: BatchResult) -> None:
        """Take in the result for some of the images."""
        self.anomaly[items], self.reconstruction[items] = part.anomaly, part.reconstruction
        self.nfe = max(self.nfe, part.nfe)
        if part.std is not None:
            self.std = torch.zeros_like(self.reconstruction) if self.std is None else self.std
            self.std[items] = part.std

    def paste(self, shape: Sequence[int], corners: Sequence[Corner]) -> BatchResult:
        """Lay the maps of windows on empty grids."""
        maps = (self.anomaly, self.reconstruction)
        anomaly, reconstruction = (paste_windows(values, shape, corners) for values in maps)
        std = None if self.std is None else paste_windows(self.std, shape, corners)
        return BatchResult(anomaly, reconstruction, self.nfe, std)

    def split(self, x: Tensor, counts: list[int]) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Part map, change of the image and standard deviation by scan."""
        changes = torch.split(self.reconstruction - x, counts)
        stds = [None] * len(counts) if self.std is None else list(torch.split(self.std, counts))
        return list(zip(torch.split(self.anomaly, counts), changes, stds, strict=True))


def to_public_range(output: Reconstruction, brain: Tensor) -> Reconstruction:
    """Bring what a sampler made from [-1, 1] to [0, 1], and to nothing outside the brain (B, 1, *S)."""
    image = to_public(output.image.float()) * brain
    std = None if output.std is None else output.std.float() / 2 * brain  # in units of [0, 1]
    reference = None if output.reference is None else to_public(output.reference.float()) * brain
    return replace(output, image=image, std=std, reference=reference)
