"""How large detections must be for healthy heads to have few or none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from diffad.io.wording import shorten
from diffad.threshold.rates import read_rates, write_rates
from diffad.threshold.rules import check_rate

DETECTIONS = 3
"""Detections that a healthy head may have."""
SHARE = 0.05
"""Share of healthy heads that may have more."""
RULES = ("few", "clean")
TABLES = (*RULES, "left_out_few", "left_out_clean")


@dataclass(frozen=True)
class ClusterSizes:
    r"""Volumes that detections must exceed, by the rate of the threshold they are cut at.

    Of each healthy head :math:`u_j` is the volume of its largest detection ("clean"), or of the largest but
    three ("few"), 0 where there are not so many. The limit is the conformal quantile of these:

    .. math:: V = u_{(k)}, \quad k = \min(n, \lceil (n + 1) (1 - .05) \rceil)

    so that a new healthy head has at most three (or no) detections above it, but for 5 % of heads, or for
    1 / (n + 1) where there are fewer than 19.

    Args:
        few: Volume in mm3 by rate, for at most ``DETECTIONS`` above it.
        clean: The same for none.
        left_out_few: By rate, share of healthy heads with more, each against the limit of the others.
        left_out_clean: The same for any.

    Raises:
        ValueError: If rates differ, a volume is below 0 or a share is beyond [0, 1].
    """

    few: Mapping[float, float]
    clean: Mapping[float, float]
    left_out_few: Mapping[float, float]
    left_out_clean: Mapping[float, float]

    def __post_init__(self) -> None:
        for name in TABLES:
            table = getattr(self, name)
            if set(table) != set(self.few):
                raise ValueError(f"expected sizes by the same rates, got {shorten(sorted(table))}")
            limit = math.inf if name in RULES else 1.0
            if not all(0 <= value <= limit and math.isfinite(value) for value in table.values()):
                raise ValueError(f"expected volumes from 0 and shares in [0, 1], got {shorten(table)}")
        for rate in self.few:
            check_rate(rate)

    @classmethod
    def of(cls, volumes: Mapping[float, Sequence[Sequence[float]]]) -> ClusterSizes:
        """Find the limits.

        Args:
            volumes: By rate, the volumes in mm3 of all detections of each healthy head.

        Raises:
            ValueError: If there is no head.
        """
        tables: dict[str, dict[float, float]] = {name: {} for name in TABLES}
        for rate, heads in volumes.items():
            for rule, rank in zip(RULES, (DETECTIONS, 0), strict=True):
                by_rank = [_take_rank(head, rank) for head in heads]
                tables[rule][rate] = find_limit(by_rank)
                tables[f"left_out_{rule}"][rate] = _measure_left_out(by_rank)
        return cls(**tables)

    def limit(self, rule: str, fpr: float) -> float:
        """Return the volume in mm3 that detections must exceed; 0 where this rate was not measured.

        Args:
            rule: "few" or "clean"; "none" for no limit.
            fpr: Rate of the threshold.
        """
        table = getattr(self, rule) if rule in RULES else {}
        return next((v for rate, v in table.items() if math.isclose(rate, fpr, rel_tol=1e-9)), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; rates become strings."""
        return {name: write_rates(table) for name, table in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClusterSizes:
        """Build the table from what ``to_dict`` gave.

        Raises:
            ValueError: If a key is missing or unknown, or a value is out of range.
        """
        if not isinstance(values, Mapping) or set(values) != set(TABLES):
            raise ValueError(f"expected cluster sizes with {sorted(TABLES)}, got {shorten(values)}")
        return cls(**{name: read_rates(values[name]) for name in TABLES})


def find_limit(values: Sequence[float]) -> float:
    """Return the conformal quantile of values of healthy heads, see ``ClusterSizes``.

    Raises:
        ValueError: If there is none.
    """
    if not values:
        raise ValueError("expected at least one healthy head, got none")
    rank = math.ceil((len(values) + 1) * (1 - SHARE) - 1e-9)
    return float(sorted(values)[min(rank, len(values)) - 1])


def _take_rank(volumes: Sequence[float], rank: int) -> float:
    """Return the largest volume but so many."""
    return sorted(volumes, reverse=True)[rank] if len(volumes) > rank else 0.0


def _measure_left_out(by_rank: Sequence[float]) -> float:
    """Return the share of heads above the limit of the others; that of a single head is not known."""
    if len(by_rank) < 2:
        return 1.0
    rests = [[*by_rank[:i], *by_rank[i + 1 :]] for i in range(len(by_rank))]
    above = [value > find_limit(rest) for value, rest in zip(by_rank, rests, strict=True)]
    return sum(above) / len(above)
