"""A scan into which something was painted, where that may be, and where it became visible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.fill.lesion import FillRegion

ATTENTION_FLOOR = 0.3
"""Least attention, as a share of its peak in the slice, at which a change counts as the word's."""


@dataclass(frozen=True, eq=False)
class SynthesisedScan:
    """A scan with something in it that it did not have; outside the region it is the scan itself.

    Args:
        scan: The scan as it came, (1, I, J, K) in RAS.
        image: The scan with what was painted, (I, J, K), in the intensities of the scan.
        region: Where it was allowed to change.
        label: Where it did, (I, J, K), bool; it may be empty.
        info: How it was painted: "model", "strength", "scale", "seed", "nfe", "label_ml", "region_ml",
            "change" and "warnings", beside the label of the class, or prompt and word.
    """

    scan: Volume
    image: Array
    region: FillRegion
    label: Array
    info: dict[str, Any] = field(default_factory=dict)


def mark_change(change: Array, region: Array, threshold: float, attention: Array | None = None) -> Array:
    """Mark where something became visible, (I, J, K), bool; nothing where nothing did.

    Args:
        change: Change of intensity as a share of the window, (I, J, K).
        region: Where it may have changed, (I, J, K), bool.
        threshold: Least change that counts.
        attention: Where the word was seen, (I, J, K), at least 0; none leaves it to the change.
    """
    marks = region & (np.abs(change) >= threshold)
    if attention is None:
        return marks
    peak = np.where(region, attention, 0).max((0, 1), keepdims=True)
    return np.asarray(marks & (attention >= ATTENTION_FLOOR * peak))
