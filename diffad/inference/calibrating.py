"""Thresholds of samplers that cut a map of their own, measured before the maps of a pipeline are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from diffad.capabilities import Place, list_parts
from diffad.config import PartSpec
from diffad.inference.detector import Detector
from diffad.inference.postprocess import Postprocess
from diffad.protocols import CalibratesThreshold


def calibrate_samplers(
    sampler: PartSpec, build: Callable[[PartSpec], Detector], measure: Callable[[Detector, float], float]
) -> PartSpec:
    """Give every sampler that cuts a map of its own the threshold of that map, the innermost first.

    Args:
        sampler: A sampler by name, with options.
        build: Puts a detector together with such a sampler.
        measure: Returns the threshold of a detector's maps of healthy scans at a false-positive rate.

    Returns:
        The sampler, with thresholds; one that was given stays.
    """
    while (match := _find_uncalibrated(detector := build(sampler))) is not None:
        place, part = match
        first_sampler, likelihood = part.calibrating()
        maps = replace(detector, sampler=first_sampler, score=likelihood, post=Postprocess(median=1))
        sampler = _set_threshold(sampler, place, measure(maps, part.fpr))
    return sampler


def _find_uncalibrated(detector: Detector) -> tuple[Place, CalibratesThreshold] | None:
    for place, part in list_parts(detector.sampler):
        if isinstance(part, CalibratesThreshold) and not part.calibrated():
            return place, part
    return None


def _set_threshold(spec: Any, place: Place, threshold: float) -> Any:
    """Return the mapping of a sampler in which the one at a place has a threshold."""
    if not place:
        return {**spec, "threshold": threshold}
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        return [_set_threshold(s, rest, threshold) if i == key else s for i, s in enumerate(spec)]
    return {**spec, key: _set_threshold(spec[key], rest, threshold)}
