"""From a sample to what a protocol scores: resolution, slices, mask and smoothing."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from diffad.evaluation.metrics.pooling import pool
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.smoothing import postprocess_sample
from diffad.evaluation.protocols.stacks import as_stack, axis_of, plane_axes, plane_shape, unstack_slices
from diffad.evaluation.protocols.unit import ScoredImage
from diffad.evaluation.samples import Bools, Sample

MASKS = ("truth", "brain", "ignored", "detected")


def prepare_images(sample: Sample, protocol: Protocol) -> list[ScoredImage]:
    """Give the images or the one volume that ``protocol`` scores, less those without a pixel to score.

    Raises:
        ValueError: If slices are needed and nobody says which axis they lie along.
    """
    if sample.scores.ndim == 3 and sample.axis is None and protocol.shaped:
        raise ValueError(f"{sample.name}: expected the axis slices lie along, as {protocol.name!r} needs it")
    quiet = np.where(np.isfinite(sample.scores), sample.scores, 0).astype(np.float32)
    axis = sample.axis if quiet.ndim == 3 else None
    resized = _resized(replace(sample, scores=quiet, axis=axis), protocol.size)
    if resized is None:
        small = f"{sample.name}: left out, as nothing of its mask is left at {protocol.size}"
        warnings.warn(small, RuntimeWarning, stacklevel=2)
        return []
    parts = _slices(resized) if protocol.slices and quiet.ndim == 3 else [resized]
    return [_unit(part, sample, protocol) for part in parts if part is not None]


def _unit(part: Sample, whole: Sample, protocol: Protocol) -> ScoredImage:
    scores = postprocess_sample(part, protocol)
    inside = part.brain if protocol.where == "brain" else np.ones_like(part.brain)
    if part.ignored is not None:
        inside = inside & ~part.ignored
    found = None if part.detected is None else part.detected[inside]
    truth = part.truth[inside]
    anomalous = bool(truth.any()) if part.label is None else part.label == 1
    return ScoredImage(
        name=part.name,
        volume=whole.name,
        subject=part.subject,
        group=part.group,
        anomalous=anomalous,
        image_score=_image_score(part, protocol),
        scores=scores[inside],
        truth=truth,
        shape=scores.shape,
        packed=np.packbits(inside),
        found=found,
        edges=part.edges,
        axis=part.axis,
    )


def _image_score(part: Sample, protocol: Protocol) -> float:
    if protocol.pool == "model":
        return float("nan") if part.image_score is None else part.image_score
    values = part.scores[part.counted] if protocol.pool_where == "brain" else part.scores.ravel()
    return float(pool(values, protocol.pool, protocol.share, protocol.percentile))


def _resized(sample: Sample, size: tuple[int, int] | None) -> Sample | None:
    """Bring map and masks to ``size``, slice by slice; none where nothing is left to count."""
    before = plane_shape(sample)
    if size is None or size == before:
        return sample
    names = [name for name in MASKS if getattr(sample, name) is not None]
    masks: dict[str, Any] = {name: _scaled(getattr(sample, name), sample, size) for name in names}
    if not (masks["brain"] & ~masks.get("ignored", np.zeros_like(masks["brain"]))).any():
        return None
    edges = list(sample.edges)
    for axis, old, new in zip(plane_axes(sample), before, size, strict=True):
        edges[axis] *= old / new
    scores = _scaled(sample.scores, sample, size)
    return replace(sample, scores=scores, spacing=tuple(edges), image=None, twin=None, **masks)


def _scaled(values: NDArray[Any], sample: Sample, size: tuple[int, int]) -> NDArray[Any]:
    stack = as_stack(values, sample.axis).float()
    if values.dtype == bool:
        return unstack_slices(interpolate(stack, size, mode="nearest-exact") > 0, sample.axis)
    return unstack_slices(interpolate(stack, size, mode="bilinear", align_corners=False), sample.axis)


def _slices(sample: Sample) -> list[Sample | None]:
    assert sample.axis is not None
    return [_slice(sample, index) for index in range(sample.scores.shape[sample.axis])]


def _slice(sample: Sample, index: int) -> Sample | None:
    """One slice of a volume as an image; none where nothing counts."""
    axis = axis_of(sample)
    arrays = {name: getattr(sample, name) for name in (*MASKS, "scores")}
    cut: dict[str, Any] = {n: a if a is None else a.take(index, axis) for n, a in arrays.items()}
    brain: Bools = cut["brain"] if cut["ignored"] is None else cut["brain"] & ~cut["ignored"]
    if not brain.any():
        return None
    edges = tuple(edge for i, edge in enumerate(sample.edges) if i != axis)
    label = None if sample.truth.any() else sample.label
    flat: dict[str, Any] = {
        "spacing": edges,
        "axis": None,
        "image": None,
        "twin": None,
        "image_score": None,
        "label": label,
    }
    return replace(sample, name=f"{sample.name}#{index}", **(cut | flat))
