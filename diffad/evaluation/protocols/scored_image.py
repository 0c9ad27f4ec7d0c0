"""What is kept of a sample while a set is scored: the pixels that count, and where they were."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.samples import Bools

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ScoredImage:
    """One volume or image as a protocol sees it.

    Args:
        name: Name of the row.
        volume: Name of the scan it comes from.
        subject: Who was scanned.
        group: Group of the sample.
        anomalous: Whether it counts as anomalous.
        image_score: Score of the whole image.
        scores: Processed scores of the pixels that count, (N,).
        truth: True lesions among them, (N,).
        shape: Grid *S.
        mask_bits: Which pixels of the grid count, eight to a byte.
        detections: Stored detections among the pixels that count, (N,), or none.
        edges: Edges of a voxel, in mm.
        axis: Axis the slices lie along, or none.
    """

    name: str
    volume: str
    subject: str
    group: str
    anomalous: bool
    image_score: float
    scores: NDArray[Any]
    truth: Bools
    shape: Shape
    mask_bits: NDArray[np.uint8] = field(repr=False)
    detections: Bools | None = None
    edges: tuple[float, ...] = ()
    axis: int | None = None

    @property
    def mask(self) -> Bools:
        """Pixels that count, (*S)."""
        return np.unpackbits(self.mask_bits, count=math.prod(self.shape)).astype(bool).reshape(self.shape)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Put values (N,) back on the grid (*S), zero elsewhere."""
        grid = np.zeros(self.shape, values.dtype)
        grid[self.mask] = values
        return grid

    def slice_index(self) -> NDArray[np.int64]:
        """Give the slice that each pixel that counts lies in, (N,); zeros without slices."""
        if self.axis is None:
            return np.zeros(len(self.scores), np.int64)
        return np.asarray(np.nonzero(self.mask)[self.axis], np.int64)


class ImageGrids(Sequence[NDArray[np.generic]]):
    """Grids of images, each filled when it is asked for.

    Args:
        images: The images.
        fill: Returns the grid of one.
    """

    def __init__(
        self, images: Sequence[ScoredImage], fill: Callable[[ScoredImage], NDArray[np.generic]]
    ) -> None:
        self.images, self.fill = images, fill

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.fill(self.images[index])
