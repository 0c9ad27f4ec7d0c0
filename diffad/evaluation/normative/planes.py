"""Slices of a scan, its reconstruction and its masks: the images that normative metrics are made for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.samples import Bools, Sample


class Plane(NamedTuple):
    """One slice; a volume without a known axis is one image as a whole.

    Args:
        image: Scan, (*S), in [0, 1]; 0 where it was not analysed.
        reconstruction: Its reconstruction, alike.
        healthy: Healthy tissue, (*S).
        anomaly: Lesion, (*S).
    """

    image: NDArray[Any]
    reconstruction: NDArray[Any]
    healthy: Bools
    anomaly: Bools


def split_planes(sample: Sample) -> Iterator[Plane]:
    """Give the slices of a sample that were analysed.

    Raises:
        ValueError: If the scan or its reconstruction is not there.
    """
    if sample.image is None or sample.twin is None:
        raise ValueError(f"{sample.name}: expected the scan and its reconstruction, got none")
    counted, truth = sample.counted, sample.truth
    stacks = (sample.image, sample.twin, counted & ~truth, counted & truth)
    for images in zip(*(select_slices(stack, counted, sample.axis) for stack in stacks), strict=True):
        yield Plane(*images)


def select_slices(values: NDArray[Any], mask: Bools, axis: int | None) -> NDArray[Any]:
    """Give the slices (N, H, W) of a volume in which a mask holds anything; (1, *S) without an axis.

    Args:
        values: Volume or image, (*S).
        mask: Mask, (*S).
        axis: Axis the slices lie along, or none.
    """
    if axis is None or values.ndim == 2:
        return values[None]
    slices = np.asarray(np.moveaxis(mask, axis, 0).any(axis=(1, 2)))
    return np.moveaxis(values, axis, 0)[slices]


def spread_slices(image: ScoredImage, values: NDArray[Any]) -> NDArray[Any]:
    """Give values (N,) of the pixels that count on the slices of an image, zero elsewhere."""
    return select_slices(image.spread(values), image.mask, image.axis)
