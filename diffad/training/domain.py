"""What the scans that a network was trained on look like, stored with its pipeline."""

from __future__ import annotations

from typing import Any

import torch

from diffad.data.items import Dataset, HoldsScans
from diffad.inference.domain import summarise_domain
from diffad.inference.features import measure_channels
from diffad.io.terminal import say

MOST_ITEMS = 10_000
"""Items from which on only some scans are measured: ranges hardly change beyond a hundred scans."""


def measure_domain(data: Dataset) -> list[dict[str, Any]] | None:
    """Measure the scans that a data set was cut from; none of data that were cut from no scans.

    Args:
        data: Training data.
    """
    if not isinstance(data, HoldsScans):
        return None
    every = 1 + len(data) // MOST_ITEMS
    scans = (measure_channels(volume, torch.from_numpy(brain)) for _, volume, brain in data.read_scans(every))
    features = list(scans)
    say(f"measured the domain of the model on {len(features)} scans")
    return summarise_domain(features) if features else None
