"""What must be done to a scan before the network sees it, as JSON that other programs can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffad.config import SpaceConfig, from_dict

FILE = "preprocessing.json"
NOTE = "For readers and other programs. diffad itself reads model_index.json."


def describe_preprocessing(config: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """Return how scans are brought to the network, in plain words and numbers.

    Args:
        config: Settings of the pipeline.
        channels: Sequences that the network takes.
    """
    space = from_dict(SpaceConfig, dict(config["space"]), "space.")
    return {
        "note": NOTE,
        "scan": {
            "orientation": "RAS",
            "sequences": list(config.get("sequences") or []) or None,
            "channels": channels,
            "brain": "skull-stripped with a background of 0, or with a brain mask",
        },
        "grid": _describe_grid(space),
        "intensity": _describe_intensity(space),
        "network": {"range": [-1.0, 1.0], "from": "2 * intensity - 1, and -1 outside the brain"},
    }


def _describe_grid(space: SpaceConfig) -> dict[str, Any]:
    if space.axis == "volume":
        return {"planes": ["volume"], "layout": "whole volumes in RAS, on their own grid"}
    rows = "slices are upright: anterior (axial) or superior (coronal, sagittal) at the top"
    columns = "columns run from the patient's left to right, of sagittal slices from posterior to anterior"
    return {
        "planes": list(space.axes),
        "size": [space.size, space.size],
        "field_of_view_mm": space.fov,
        "window_around_brain": None if space.window is None else list(space.window),
        "layout": f"{rows}; {columns}",
        "centre": "the middle of the box around the brain of the whole scan",
    }


def _describe_intensity(space: SpaceConfig) -> dict[str, Any]:
    if space.intensity == "ct":
        ends: Sequence[float] = (space.centre - space.width / 2, space.centre + space.width / 2)
        return {"kind": "ct", "window_hu": list(ends), "becomes": [0.0, 1.0], "clipped": True}
    return {
        "kind": "percentile",
        "measured_in": "the brain of the whole scan, each sequence apart",
        "low_percentile": space.low,
        "zero": "the zero of the scan" if space.low is None else "the low percentile",
        "high_percentile": space.high,
        "high_becomes": 1 - space.headroom,
        "clipped": True,
    }
