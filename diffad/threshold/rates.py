"""Numbers by rate, as JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def write_rates(table: Mapping[float, float]) -> dict[str, float]:
    """Make strings of rates, as keys of JSON are strings."""
    return {repr(float(rate)): float(value) for rate, value in table.items()}


def read_rates(table: Mapping[str, Any]) -> dict[float, float]:
    """Make numbers of what ``write_rates`` gave.

    Raises:
        ValueError: If a rate or value is no number.
    """
    try:
        return {float(rate): float(value) for rate, value in table.items()}
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"expected numbers by rates, got others ({error})") from error
