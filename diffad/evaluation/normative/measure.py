"""Metrics of one scan, each the mean over its slices."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.normative.components import (
    Perceptual,
    measure_conservation,
    measure_restoration,
)
from diffad.evaluation.normative.features import alexnet_features
from diffad.evaluation.normative.localised import measure_localisation
from diffad.evaluation.normative.perception import lpips, lpips_map
from diffad.evaluation.normative.planes import Plane, spread_slices
from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.score.sources import locate_weights

Row = dict[str, Any]
"""Metrics by name."""
UNDEFINED = {
    "alex": "LPIPS of healthy scans, RQI and AHI are NaN",
    "squeeze": "LPIPS of lesions and CACI are NaN",
}
"""What is not defined without the weights of a network."""


@dataclass(frozen=True)
class Perception:
    """The perceptual networks whose weights are on this machine.

    Args:
        quality: Distance for healthy scans, by AlexNet on intensities as they are; or none.
        change: Distance at every pixel, by SqueezeNet; or none.
        has_features: Whether features of AlexNet can be had.
        warnings: What is missing, and what to install.
    """

    quality: Perceptual | None = None
    change: Perceptual | None = None
    has_features: bool = False
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def find(cls) -> Perception:
        """Look for the weights."""
        gaps = {trunk: _explain_gap(trunk) for trunk in UNDEFINED}
        messages = [f"{UNDEFINED[trunk]}: {gap}" for trunk, gap in gaps.items() if gap]
        quality, change = (None if gaps["alex"] else _quality), (None if gaps["squeeze"] else _change)
        return cls(quality, change, not gaps["alex"], messages)


def _explain_gap(trunk: str) -> str:
    try:
        locate_weights(trunk)
    except ValueError as error:
        return str(error)
    return ""


def _quality(image: NDArray[Any], reconstruction: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(lpips(image, reconstruction, mapped=False))


def _change(image: NDArray[Any], reconstruction: NDArray[Any]) -> NDArray[Any]:
    distance = lpips_map(image, reconstruction)
    assert distance is not None
    return distance


def measure_healthy(planes: Sequence[Plane], perception: Perception) -> Row:
    """Measure how faithfully a healthy scan is restored; see ``measure_restoration``."""
    rows = [asdict(measure_restoration(p.image, p.reconstruction, perception.quality)) for p in planes]
    return average_rows(rows)


def measure_lesioned(planes: Sequence[Plane], perception: Perception) -> Row:
    """Measure what stays and what changes in the slices with a lesion; see ``measure_conservation``."""
    lesions = [p for p in planes if p.anomaly.any() and p.healthy.any()]
    return average_rows([asdict(measure_conservation(*p, perception.change)) for p in lesions])


def measure_detection(image: ScoredImage, threshold: float) -> Row:
    """Count hits and false alarms in the slices with a lesion; see ``measure_localisation``."""
    if math.isnan(threshold):
        return {}
    stacks = [spread_slices(image, v) for v in (image.scores, image.truth, ~image.truth)]
    rows = [
        measure_localisation(scores, anomaly, healthy, threshold)._asdict()
        for scores, anomaly, healthy in zip(*stacks, strict=True)
        if anomaly.any()
    ]
    return average_rows(rows)


def extract_features(images: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the features of images (*S), which may differ in shape, (N, 256)."""
    return np.concatenate([alexnet_features(image[None]) for image in images])


def average_rows(rows: Sequence[Row]) -> Row:
    """Return the mean of every metric; no metric without rows, NaN where all are NaN."""
    names = rows[0] if rows else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        return {name: float(np.nanmean([row[name] for row in rows])) for name in names}
