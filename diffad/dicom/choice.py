"""Which series of a visit are looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from diffad.data.volume_error import VolumeError
from diffad.dicom.contrast import T1_AGENT, UNKNOWN
from diffad.dicom.series import Series
from diffad.dicom.visits import Visit

ALL = "all"
"""Word that asks for every usable series."""
MAX_REASONS = 8
"""Most series that a refusal speaks of."""


def check_series_option(text: str) -> None:
    """Refuse what is no number, no UID and not "all".

    Raises:
        ValueError: If it is none of these.
    """
    if text and text != ALL and not re.fullmatch(r"\d+(\.\d+)*", text):
        raise ValueError(f"series: expected a SeriesNumber, a SeriesInstanceUID or all, got {text!r}")


def choose_series(visit: Visit, contrasts: Sequence[str], option: str = "") -> list[Series]:
    """Choose among the series of a visit.

    By default the one that suits best: of the first contrast in ``contrasts`` that is there, the smallest
    voxels, of equal ones the largest extent, of equal ones the later. A series whose contrast is unknown is
    taken where there is no other.

    Args:
        visit: The visit.
        contrasts: Contrasts, the best first.
        option: SeriesNumber, SeriesInstanceUID, "all" for every usable series, or empty for the default.

    Returns:
        One series, or with "all" at least one.

    Raises:
        VolumeError: If there is none; what is there is named.
    """
    if visit.problem:
        raise VolumeError(f"{visit.label}: {visit.problem}")
    if option == ALL:
        choice = [series for series in visit.series if series.verdict.is_usable]
        if choice:
            return choice
    elif option:
        return [_find_named(visit, contrasts, option)]
    order = [*contrasts, UNKNOWN]
    usable = [s for s in visit.series if s.verdict.is_usable and s.contrast in order]
    if not usable:
        finding = describe_unusable(visit)
        raise VolumeError(f"{visit.label}: expected a whole head in {_join(contrasts)}, found {finding}")
    return [min(usable, key=lambda series: _rank(series, order))]


def _find_named(visit: Visit, contrasts: Sequence[str], option: str) -> Series:
    matches = [s for s in visit.series if option in (str(s.number), s.first.series_uid)]
    if not matches:
        numbers = ", ".join(str(s.number) for s in visit.series[:MAX_REASONS])
        raise VolumeError(f"{visit.label}: expected a series {option}, found the numbers {numbers}")
    candidates = [series for series in matches if not series.verdict.is_final]
    if not candidates:
        raise VolumeError(f"{visit.label}: series {option} cannot be used: {matches[0].verdict.reason}")
    if len({series.first.series_uid for series in candidates}) > 1:
        finding = f"{len(candidates)} of that number; give a SeriesInstanceUID, see diffad info --json"
        raise VolumeError(f"{visit.label}: expected one series {option}, found {finding}")
    order = [*contrasts, UNKNOWN]
    return min(candidates, key=lambda series: _rank(series, order))


def _rank(series: Series, order: Sequence[str]) -> tuple[float, ...]:
    """Return a key by which the best series comes first."""
    place = order.index(series.contrast) if series.contrast in order else len(order)
    spacing = series.spacing or (np.inf, np.inf, np.inf)
    extent = spacing[2] * series.matrix[2]
    return (place, round(float(np.prod(spacing)), 2), -round(float(extent)), -series.number)


def describe_unusable(visit: Visit) -> str:
    """Say in a few words why none of the series of a visit is looked at."""
    if not visit.series:
        return "no image"
    words = [f"series {s.number}: {s.verdict.reason or s.contrast}" for s in visit.series[:MAX_REASONS]]
    rest = len(visit.series) - MAX_REASONS
    return "; ".join(words) + (f" and {rest} more" if rest > 0 else "")


def list_choice_warnings(series: Series, contrasts: Sequence[str]) -> list[str]:
    """Say what should be known of a series that was chosen."""
    name, notes = f"series {series.number}", []
    if series.verdict.reason:
        notes.append(
            f"{name} is looked at as it was asked for, although it is passed over: {series.verdict.reason}"
        )
    if any(header.get_text("LossyImageCompression") == "01" for header in series.headers):
        notes.append(f"{name} was compressed with loss, which may look like an anomaly or hide one")
    if series.contrast == UNKNOWN:
        notes.append(f"nothing in {name} says which contrast it has")
    elif series.contrast == T1_AGENT:
        notes.append(f"{name} is a T1 after a contrast agent, which no shipped model was trained on")
    elif series.contrast not in contrasts:
        notes.append(f"{name} is {series.contrast}, which the model does not know")
    return notes


def _join(words: Sequence[str]) -> str:
    return " or ".join(words)
