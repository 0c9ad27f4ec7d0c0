"""Which slices of a scan are looked at: by numbers, by millimetres of MNI152, or as the model knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffad.config.choices import SLICE_RANGE
from diffad.data.slices import axis_index, to_slices
from diffad.data.volume import VolumeError
from diffad.inference.scan import ScanSource
from diffad.inference.template_box import (
    format_range,
    is_in_template_space,
    is_whole_brain,
    locate_slices,
)
from diffad.io.wording import shorten

SliceChoice = tuple[int, int] | str | None
"""First and last (exclusive) slice, "LOW:HIGHmm", "auto", "all", or none for "auto"."""
AUTO, ALL = "auto", "all"
TOLERANCE_MM = 2.0
"""How far beyond the part that a model knows a slice still counts as known."""
EXPECTATION = 'LOW:HIGHmm in millimetres of MNI152, FIRST:LAST in slices, "auto" or "all"'
PLACED_BY_BOX = (
    "its slices were placed in MNI152 by the box around the brain, as the scan is not registered, and may be "
    "some millimetres off; --prepare registers it"
)
NO_PLACE = (
    "the model knows a part of the brain only, and this scan is too short to tell which part of the brain it "
    "shows, so all of its slices were looked at"
)


@dataclass(frozen=True)
class SliceSelection:
    """Which slices are looked at, and what should be known of that.

    Args:
        slices: First and last (exclusive) slice; none for all.
        reasons: What of them lies outside what the model knows, as the ends of a sentence.
        warnings: What else a reader should know.
    """

    slices: tuple[int, int] | None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def parse_range(text: str) -> tuple[float, float] | None:
    """Read ``LOW:HIGHmm``; none of "auto" and "all".

    Raises:
        ValueError: If it is another text, or the range is empty.
    """
    if text in (AUTO, ALL):
        return None
    match = re.fullmatch(SLICE_RANGE, text)
    low, high = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if low > high:
        raise ValueError(f"slices: expected {EXPECTATION}, got {shorten(text)}")
    return low, high


def explain_numbers(slices: tuple[int, int], is_prepared: bool) -> str:
    """Say which grid a range of slice numbers counts, as the same numbers mean other slices of another.

    Args:
        slices: First and last (exclusive) slice.
        is_prepared: Whether scans are brought to the grid of the template first.
    """
    grid = "the grid of the template, as scans are prepared" if is_prepared else "each scan's own grid"
    return (
        f"slices {slices[0]}:{slices[1]} are counted on {grid}; LOW:HIGHmm means the same part of the brain "
        "for every scan, in mm of MNI152, and auto is the part that the model knows"
    )


def check_slices(slices: object) -> None:
    """Refuse what names no slices.

    Raises:
        ValueError: With what was asked for.
    """
    if isinstance(slices, str):
        parse_range(slices)
    elif slices is not None:
        whole = isinstance(slices, Sequence) and len(slices) == 2 and all(isinstance(n, int) for n in slices)
        if not whole or not 0 <= slices[0] < slices[1]:  # type: ignore[index]
            text = ":".join(map(str, slices)) if whole else shorten(slices)  # type: ignore[call-overload]
            raise ValueError(f"slices: expected FIRST:LAST with 0 <= FIRST < LAST, got {text!r}")


def choose_slices(
    source: ScanSource, axis: str, slices: SliceChoice, known_mm: Sequence[float] | None
) -> SliceSelection:
    """Find the slices of a scan that are looked at.

    Args:
        source: The scan.
        axis: Plane of the slices, or "volume".
        slices: Which are asked for.
        known_mm: The part that the model knows along that axis, in mm of MNI152; none where it does not say.

    Raises:
        ValueError: If no slice of the scan lies there.
    """
    range_mm = parse_range(slices) if isinstance(slices, str) else None
    if source.volume is None or axis == "volume":
        if range_mm is not None:
            raise ValueError(f"slices: expected no millimetres for images and whole volumes, got {slices}")
        return SliceSelection(None if isinstance(slices, str) else slices)
    brain, is_automatic = source.brain[0], slices is None or slices == AUTO
    is_placed = is_in_template_space(source.volume) or is_whole_brain(source.volume, brain, axis)
    if is_automatic and known_mm is not None and not is_placed:
        is_single = brain.shape[1 + axis_index(axis)] == 1  # whoever gives one slice has chosen it
        return SliceSelection(None, warnings=() if is_single else (NO_PLACE,))
    if is_automatic and known_mm is not None:
        range_mm = (known_mm[0], known_mm[1])
    if range_mm is not None:
        chosen_numbers = _find_numbers(source, brain, axis, range_mm)
        is_rough = not is_in_template_space(source.volume)
        return SliceSelection(chosen_numbers, warnings=(PLACED_BY_BOX,) if is_rough else ())
    numbers = None if isinstance(slices, str) else slices
    is_comparable = known_mm is not None and is_placed
    return SliceSelection(
        numbers, _list_outside(source, brain, axis, numbers, known_mm) if is_comparable else ()
    )


def _find_numbers(
    source: ScanSource, brain: Tensor, axis: str, range_mm: tuple[float, float]
) -> tuple[int, int]:
    assert source.volume is not None
    heights = locate_slices(source.volume, brain, axis)
    slack = max(1e-3, float(source.volume.spacing[axis_index(axis)]) / 2)
    keys = [k for k, z in enumerate(heights) if range_mm[0] - 1e-3 <= z <= range_mm[1] + 1e-3]
    middle = sum(range_mm) / 2
    nearest = min(range(len(heights)), key=lambda k: abs(heights[k] - middle))
    if not keys and abs(heights[nearest] - middle) <= slack + (range_mm[1] - range_mm[0]) / 2:
        keys = [nearest]
    if not keys:
        own = format_range((round(heights[0]), round(heights[-1])), axis)
        raise VolumeError(f"{source.name}: expected slices at {format_range(range_mm, axis)}, found {own}")
    return keys[0], keys[-1] + 1


def _list_outside(
    source: ScanSource,
    brain: Tensor,
    axis: str,
    slices: tuple[int, int] | None,
    known_mm: Any,
) -> tuple[str, ...]:
    """Say how many of the slices with brain lie outside the part that the model knows."""
    assert source.volume is not None
    heights = locate_slices(source.volume, brain, axis)
    flags = to_slices(brain, axis).flatten(1).any(1).tolist()
    first, last = slices or (0, len(heights))
    places = [z for k, z in enumerate(heights) if first <= k < last and flags[k]]
    low, high = known_mm[0] - TOLERANCE_MM, known_mm[1] + TOLERANCE_MM
    count = sum(not low <= z <= high for z in places)
    part = f"{format_range(known_mm, axis)}, the part of the brain that the model knows"
    return (f"{count} of {len(places)} slices lie outside {part}",) if count else ()
