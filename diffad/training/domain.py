"""What the scans that a network was trained on look like, stored with its pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch

from diffad.data.items import Dataset, HoldsScans
from diffad.inference.calibrating import group_by_contrast, keep_contrast
from diffad.inference.domain import summarise_domain
from diffad.inference.features import ScanFeatures, measure_channels
from diffad.inference.template_box import is_in_template_space, is_whole_brain, locate_slices
from diffad.io.terminal import say
from diffad.pipeline import AnomalyPipeline

MOST_RANGES = 8
"""Scans that say which slices a range of numbers means."""
MOST_ITEMS = 10_000
"""Items from which on only some scans are measured: ranges hardly change beyond a hundred scans."""


def measure_range(data: Dataset) -> tuple[float, float] | None:
    """Find the slices that volumes are cut into, first and last, in mm of MNI152; none where all of them are.

    Scans of one range of numbers show slightly different parts; what all of the first few show is taken.

    Args:
        data: Training data.
    """
    slices, space = getattr(data, "slices", None), getattr(data, "space", None)
    if not isinstance(data, HoldsScans) or slices is None or space is None:
        return None
    ranges = []
    for _, volume, brain in islice(data.read_scans(), MOST_RANGES):
        mask = torch.from_numpy(brain)[None]
        if not (is_in_template_space(volume) or is_whole_brain(volume, mask, space.config.axis)):
            return None
        heights = locate_slices(volume, mask, space.config.axis)[slices[0] : slices[1]]
        ranges.append((heights[0], heights[-1]))
    low, high = (pick(values) for pick, values in zip((max, min), zip(*ranges, strict=True), strict=True))
    return (round(low, 1), round(high, 1)) if low < high else None


def measure_domain(pipe: AnomalyPipeline, data: Dataset | None) -> None:
    """Measure the scans that a data set was cut from, and store their ranges in a pipeline, by contrast.

    Nothing is stored of data that were cut from no scans.

    Args:
        pipe: The pipeline.
        data: Training data, or none.
    """
    if data is None or not isinstance(data, HoldsScans):
        return
    every = 1 + len(data) // MOST_ITEMS
    scans = (measure_channels(volume, torch.from_numpy(brain)) for _, volume, brain in data.read_scans(every))
    features = list(scans)
    say(f"measured the domain of the model on {len(features)} scans")
    for contrast, group in group_by_contrast(pipe, features, [_name_contrast(f) for f in features]).items():
        if group:
            keep_contrast(pipe, contrast, domain=summarise_domain(group))


def _name_contrast(features: Sequence[ScanFeatures]) -> str:
    tissues = features[0].tissues if len(features) == 1 else None
    return (tissues.sequence if tissues else None) or ""
