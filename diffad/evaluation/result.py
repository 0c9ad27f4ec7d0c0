"""What an evaluation says: metrics with intervals, a row for each sample, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Curve = tuple[NDArray[Any], NDArray[Any]]
"""Points (x, y) of a curve, each (K,)."""


@dataclass(frozen=True)
class Metric:
    """A number and its confidence interval.

    Args:
        value: The number; NaN where it is not defined.
        low: Lower end of the interval; NaN where there is none.
        high: Upper end, alike.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        interval = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


Metrics = dict[str, Metric]
"""Metrics by name, such as "pixel_ap"."""


@dataclass(frozen=True)
class Result:
    """What one protocol says of one method on one set of samples.

    Args:
        protocol: Name of the protocol.
        figures: Metrics of the whole set by name.
        rows: One for each sample: name, subject, group, and its own metrics.
        curves: Curves by name: "roc", "pr", "dice".
        warnings: What a reader should know.
        settings: Every choice of the protocol, in plain values.
    """

    protocol: str
    figures: Mapping[str, Metric]
    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)
