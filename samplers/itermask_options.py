"""Options of iterative masking that make no sense, refused."""

from __future__ import annotations

import math

RULES, LOSSES = ("healthy", "curve"), ("image", "hidden")


def check_choices(rule: str, loss: str) -> None:
    """Refuse a rule or a loss that there is not.

    Raises:
        ValueError: With those there are.
    """
    for name, value, choices in (("rule", rule, RULES), ("loss", loss, LOSSES)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def check_numbers(
    share: float | None,
    threshold: float | None,
    fpr: float,
    slope: float,
    stop: float,
    sigma: float,
    whole: float,
) -> None:
    """Refuse shares, rates and thresholds out of range, those that are no numbers among them.

    Raises:
        ValueError: With the range.
    """
    if threshold is not None and not 0 <= threshold < math.inf:
        raise ValueError(f"threshold must be finite and at least 0, got {threshold}")
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    if not 0 < fpr < 1:
        raise ValueError(f"fpr must be in (0, 1), got {fpr}")
    if not 0 <= stop < 1:
        raise ValueError(f"stop must be in [0, 1), got {stop}")
    if not 0 <= whole <= 1:
        raise ValueError(f"whole must be in [0, 1], got {whole}")
    for name, value in (("slope", slope), ("sigma", sigma)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
