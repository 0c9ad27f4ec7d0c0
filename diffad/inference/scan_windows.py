"""Which intensities of a scan a network sees as 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffad.data.intensity import IntensityWindow
from diffad.data.space import Space
from diffad.data.volume import VolumeError
from diffad.inference.scan import ScanSource


def measure_windows(source: ScanSource, space: Space) -> list[IntensityWindow]:
    """Find the intensity window of each item over its whole brain, whichever slices are looked at.

    A tensor for a model of CT has the range of the model's window already.

    Raises:
        VolumeError: If the intensities of an item cannot be used; it is named.
    """
    if source.volume is None and space.config.intensity == "ct":
        channels = source.image.shape[1]
        return [IntensityWindow((0.0,) * channels, (1.0,) * channels)] * len(source.image)
    try:
        pairs = zip(source.image, source.brain, strict=True)
        return [space.window(image, brain) for image, brain in pairs]
    except VolumeError as error:  # parts below know no names
        raise VolumeError(f"{source.name}: {error}") from error


def describe_windows(windows: Sequence[IntensityWindow]) -> dict[str, Any]:
    """Say which intensities became 0 and 1, by channel: "window" of one item, else "windows" of each."""
    values = [{"lower": list(window.lower), "upper": list(window.upper)} for window in windows]
    return {"window": values[0]} if len(values) == 1 else {"windows": values}
