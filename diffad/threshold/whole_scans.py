"""What whole healthy scans say of a whole scan: sizes of detections, scan-level p-values, rates by site."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from diffad.io.wording import shorten
from diffad.threshold.clusters import ClusterSizes
from diffad.threshold.rates import read_rates, write_rates
from diffad.threshold.rules import check_rate

STATISTICS = ("topk", "max", "flagged")
"""Numbers a scan is compared by: the mean of the highest percent of its map, the highest value, and the share
of what was looked at that lies above the threshold of its masks."""


@dataclass(frozen=True)
class SiteRates:
    """What thresholds of the other sites do at one.

    Args:
        scans: Healthy scans of the site.
        foreign: By nominal rate, the share of the site's voxels above thresholds measured without the site;
            empty where there is one site only.
        own: By nominal rate, the share above the thresholds of all sites.
    """

    scans: int
    foreign: Mapping[float, float]
    own: Mapping[float, float]


@dataclass(frozen=True)
class WholeScans:
    r"""What whole healthy scans say, next to the thresholds of their voxels.

    Args:
        clusters: How large detections must be.
        scores: By name of ``STATISTICS``, the number of each healthy scan, ascending, each measured in units
            of the others. None where only some slices of the scans were looked at.
        sites: Rates by site; empty where nobody says where scans are from.
        fpr: Rate of the threshold that "flagged" was measured at; none in older models, where it is taken for
            that of the masks.

    Raises:
        ValueError: If scores are not finite and sorted, or the rate is not in [0, 1).
    """

    clusters: ClusterSizes
    scores: Mapping[str, tuple[float, ...]] | None = None
    sites: Mapping[str, SiteRates] = field(default_factory=dict)
    fpr: float | None = None

    def __post_init__(self) -> None:
        if self.fpr is not None:
            check_rate(self.fpr)
        for values in (self.scores or {}).values():
            if not values or not all(map(math.isfinite, values)) or list(values) != sorted(values):
                raise ValueError(f"expected finite scores in order, got {shorten(values)}")

    def compare(self, scores: Mapping[str, float]) -> dict[str, Any] | None:
        r"""Say how surprising a scan is, were it healthy; none where the healthy scans were not whole.

        .. math:: p = \frac{1 + \#\{ j : s_j \ge s \}}{n + 1}

        By each statistic alone, :math:`P(p \le \alpha) \le \alpha` for a healthy scan that is exchangeable
        with those measured. It is never below 1 / (n + 1); how far a scan lies beyond all healthy ones is in
        "times", its number over the median of theirs.

        Args:
            scores: Numbers of the scan by name of ``STATISTICS``; one that is missing is not compared.

        Reference:
            Algorithmic learning in a random world (Vovk et al., 2005).
        """
        if self.scores is None:
            return None
        rows = {
            name: _compare_number(scores[name], values)
            for name, values in self.scores.items()
            if name in scores
        }
        count = len(next(iter(self.scores.values())))
        return {"p_value": rows["topk"]["p_value"], "floor": 1 / (count + 1), "scans": count, "by": rows}

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        scores = None if self.scores is None else {k: [*v] for k, v in self.scores.items()}
        sites = {
            name: {"scans": s.scans, "foreign": write_rates(s.foreign), "own": write_rates(s.own)}
            for name, s in self.sites.items()
        }
        rate = {} if self.fpr is None else {"fpr": self.fpr}
        return {"clusters": self.clusters.to_dict(), "scores": scores, "sites": sites, **rate}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WholeScans:
        """Build it from what ``to_dict`` gave.

        Raises:
            ValueError: If a key is missing or unknown, or a value is out of range.
        """
        required_keys = {"clusters", "scores", "sites"}
        if not isinstance(values, Mapping) or set(values) - {"fpr"} != required_keys:
            raise ValueError(f"expected clusters, scores and sites of whole scans, got {shorten(values)}")
        try:
            scores = values["scores"]
            if scores is not None:
                scores = {name: tuple(float(v) for v in scores[name]) for name in STATISTICS}
            sites = {str(k): _read_site(v) for k, v in values["sites"].items()}
            fpr = None if values.get("fpr") is None else float(values["fpr"])
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"expected numbers of whole scans, got others ({shorten(error)})") from error
        return cls(ClusterSizes.from_dict(values["clusters"]), scores, sites, fpr)


def _read_site(values: Mapping[str, Any]) -> SiteRates:
    return SiteRates(int(values["scans"]), read_rates(values["foreign"]), read_rates(values["own"]))


def _compare_number(value: float, healthy: Sequence[float]) -> dict[str, float | None]:
    middle = median(healthy)
    exceedances = sum(other >= value for other in healthy)
    times = round(value / middle, 3) if middle > 0 else None
    return {"value": value, "p_value": (1 + exceedances) / (1 + len(healthy)), "times": times}
