"""From a sample to what a protocol scores: resolution, slices, mask and smoothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from diffad.evaluation.metrics.pooling import pool
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.protocols.smoothing import postprocess_sample
from diffad.evaluation.protocols.stacks import (
    plane_axes,
    plane_shape,
    slice_axis,
    stack_slices,
    unstack_slices,
)
from diffad.evaluation.samples import Bools, Sample

MASKS = ("truth", "brain", "ignored", "detected")


@dataclass
class ImageSet:
    """The images that a protocol scores, taken from one sample after the other.

    Args:
        protocol: How samples become images.
        images: Images so far.
        warnings: What a reader should know of them.
    """

    protocol: Protocol
    images: list[ScoredImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Take in a sample, of which only the pixels that count are kept.

        Raises:
            ValueError: If slices are needed and nobody says which axis they lie along.
        """
        with record_warnings(self.warnings):
            self.images += prepare_images(sample, self.protocol)


@contextmanager
def record_warnings(messages: list[str]) -> Iterator[None]:
    """Add RuntimeWarnings to a list of messages instead of showing them."""
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        yield
    messages += [str(record.message) for record in records]


def prepare_images(sample: Sample, protocol: Protocol) -> list[ScoredImage]:
    """Give the images or the one volume that ``protocol`` scores, less those without a pixel to score.

    Raises:
        ValueError: If slices are needed and nobody says which axis they lie along.
    """
    if sample.scores.ndim == 3 and sample.axis is None and protocol.needs_axis:
        raise ValueError(f"{sample.name}: expected the axis slices lie along, as {protocol.name!r} needs it")
    scores = np.where(np.isfinite(sample.scores), sample.scores, 0).astype(np.float32)
    axis = sample.axis if scores.ndim == 3 else None
    image = _resize(replace(sample, scores=scores, axis=axis), protocol.size)
    if image is None:
        message = f"{sample.name}: left out, as nothing of its mask is left at {protocol.size}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return []
    parts = _split_slices(image) if protocol.slices and scores.ndim == 3 else [image]
    return [_make_scored_image(part, sample, protocol) for part in parts if part is not None]


def _make_scored_image(part: Sample, whole: Sample, protocol: Protocol) -> ScoredImage:
    scores = postprocess_sample(part, protocol)
    mask = part.brain if protocol.where == "brain" else np.ones_like(part.brain)
    if part.ignored is not None:
        mask = mask & ~part.ignored
    truth = part.truth[mask]
    return ScoredImage(
        name=part.name,
        volume=whole.name,
        subject=part.subject,
        group=part.group,
        anomalous=bool(truth.any()) if part.label is None else part.label == 1,
        image_score=_pool_score(part, protocol, scores if protocol.pool_map == "processed" else part.scores),
        scores=scores[mask],
        truth=truth,
        shape=scores.shape,
        mask_bits=np.packbits(mask),
        detections=None if part.detected is None else part.detected[mask],
        edges=part.edges,
        axis=part.axis,
    )


def _pool_score(part: Sample, protocol: Protocol, scores: NDArray[Any]) -> float:
    if protocol.pool == "model":
        return float("nan") if part.image_score is None else float(part.image_score)
    values = scores[part.counted] if protocol.pool_where == "brain" else scores.ravel()
    return float(pool(values, protocol.pool, protocol.share, protocol.percentile))


def _resize(sample: Sample, size: tuple[int, int] | None) -> Sample | None:
    """Bring map and masks to ``size``, slice by slice; none where nothing is left to count."""
    before = plane_shape(sample)
    if size is None or size == before:
        return sample
    names = [name for name in MASKS if getattr(sample, name) is not None]
    masks: dict[str, Any] = {name: _resize_slices(getattr(sample, name), sample, size) for name in names}
    if not (masks["brain"] & ~masks.get("ignored", np.zeros_like(masks["brain"]))).any():
        return None
    edges = list(sample.edges)
    for axis, old, new in zip(plane_axes(sample), before, size, strict=True):
        edges[axis] *= old / new
    scores = _resize_slices(sample.scores, sample, size)
    return replace(sample, scores=scores, spacing=tuple(edges), image=None, twin=None, **masks)


def _resize_slices(values: NDArray[Any], sample: Sample, size: tuple[int, int]) -> NDArray[Any]:
    stack = stack_slices(values, sample.axis).float()
    if values.dtype == bool:
        return unstack_slices(interpolate(stack, size, mode="nearest-exact") > 0, sample.axis)
    return unstack_slices(interpolate(stack, size, mode="bilinear", align_corners=False), sample.axis)


def _split_slices(sample: Sample) -> list[Sample | None]:
    return [_take_slice(sample, index) for index in range(sample.scores.shape[slice_axis(sample)])]


def _take_slice(sample: Sample, index: int) -> Sample | None:
    """One slice of a volume as an image; none where nothing counts."""
    axis = slice_axis(sample)
    arrays = {name: getattr(sample, name) for name in (*MASKS, "scores")}
    planes: dict[str, Any] = {n: a if a is None else a.take(index, axis) for n, a in arrays.items()}
    brain: Bools = planes["brain"] if planes["ignored"] is None else planes["brain"] & ~planes["ignored"]
    if not brain.any():
        return None
    flat: dict[str, Any] = {
        "spacing": tuple(edge for i, edge in enumerate(sample.edges) if i != axis),
        "axis": None,
        "image": None,
        "twin": None,
        "image_score": None,
        "label": None if sample.truth.any() else sample.label,
    }
    return replace(sample, name=f"{sample.name}#{index}", **(planes | flat))
