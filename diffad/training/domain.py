"""What the scans that a network was trained on look like, stored with its pipeline."""

from __future__ import annotations

from typing import Any

import torch

from diffad.config.reading import ReadOptions
from diffad.data.items import Dataset
from diffad.data.scan_slices import read_scan
from diffad.data.volume import Volume
from diffad.inference.domain import summarise_domain
from diffad.inference.features import measure_channels
from diffad.io.terminal import say

MOST_SCANS = 100
"""Scans that are measured, evenly spread over those of a data set; ranges hardly change beyond."""


def measure_domain(data: Dataset) -> list[dict[str, Any]] | None:
    """Measure scans of a data set of whole volumes; none of data that are no volumes.

    Args:
        data: Training data; ``scans`` lists the files of each scan, where it has any.
    """
    scans = getattr(data, "scans", None)
    if not scans:
        return None
    step = -(-len(scans) // MOST_SCANS)
    reading = getattr(data, "reading", ReadOptions())
    features = []
    for scan in scans[::step]:
        volume, brain = read_scan(Volume.load(scan.files, options=reading), scan.mask)
        features.append(measure_channels(volume, torch.from_numpy(brain)))
    say(f"measured the domain of the model on {len(features)} of {len(scans)} scans")
    return summarise_domain(features)
