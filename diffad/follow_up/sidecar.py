"""When and where two visits were scanned, as far as options and the JSON beside the scans say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from diffad.io.nifti import stem
from diffad.io.text import read_json

SCANNER_KEYS = ("Manufacturer", "ManufacturersModelName", "MagneticFieldStrength")
"""What BIDS and dcm2niix store of a scanner."""
DATE_KEYS = ("AcquisitionDateTime", "AcquisitionDate", "StudyDate")
"""Where they store a date."""


def read_sidecar(scan: Path) -> dict[str, Any]:
    """Return what is stored in the JSON beside a scan, nothing where there is none."""
    path = scan.with_name(f"{stem(scan)}.json")
    if not path.is_file():
        return {}
    values = read_json(path, "the JSON beside a scan")
    return values if isinstance(values, dict) else {}


def parse_date(text: str) -> date:
    """Read a date, as 2024-03-05 or 20240305; a time after it is left out.

    Raises:
        ValueError: If it is none.
    """
    try:
        return date.fromisoformat(text.strip()[: 10 if "-" in text else 8])
    except ValueError as error:
        raise ValueError(f"dates: expected dates as 2024-03-05, got {text!r}") from error


def find_dates(sidecars: Sequence[Mapping[str, Any]], texts: Sequence[str] = ()) -> list[date | None]:
    """Return the dates of two visits: those given, else those stored beside the scans, else none.

    Raises:
        ValueError: If what is given is no two dates.
    """
    if texts:
        if len(texts) != 2:
            raise ValueError(f"dates: expected two dates, one for each visit, got {len(texts)}")
        return [parse_date(text) for text in texts]
    return [_find_date(values) for values in sidecars]


def _find_date(values: Mapping[str, Any]) -> date | None:
    for key in DATE_KEYS:
        try:
            return parse_date(str(values[key]))
        except (KeyError, ValueError):
            continue
    return None


def describe_interval(dates: Sequence[date | None]) -> tuple[int | None, list[str]]:
    """Return the days between two visits, none if unknown, and what should be known of them."""
    first, second = dates
    if first is None or second is None:
        return None, [
            "the dates of the visits are unknown, so that no rate of change is known; --dates gives them"
        ]
    days = (second - first).days
    if days < 0:
        return days, [
            f"the second visit ({second}) is before the first ({first}): new is gone, and grown is shrunk"
        ]
    return days, []


def list_scanner_warnings(sidecars: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say so if two visits were made by different scanners, as far as both say it."""
    texts = [" ".join(str(values[key]) for key in SCANNER_KEYS if key in values) for values in sidecars]
    if not all(texts) or texts[0] == texts[1]:
        return []
    return [f"the visits are of different scanners ({texts[0]}; {texts[1]}): part of a change may be theirs"]
