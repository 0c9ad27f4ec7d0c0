"""What re-scanning alone does to detections: how much their volumes vary, and how often they come or go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from diffad.io.shapes import is_number, is_text, list_of, mapping_of, optional, record_of
from diffad.io.text import read_json

EDGES_ML = (0.0, 0.3, 1.0, 3.0, 5.0, 10.0, 20.0, math.inf)
"""Edges of the sizes that are told apart, in ml."""
QUANTILE, LEAST_PAIRS = 0.95, 20
"""Share of re-scans within the limit, and pairs without which the sizes are taken together."""
SHIPPED = Path(__file__).with_name("rescan_noise.json")
"""Figures of shipped models, which ``tests/timings/rescan.py`` measured."""
Pair = tuple[float, float]
"""Volumes of one finding in two scans, in ml; 0 where it was not detected."""


@dataclass(frozen=True)
class Finding:
    """One finding in two scans of one person on one day.

    Args:
        pair: Its volumes.
        map_change: Mean of the second map in it, less that of the first.
    """

    pair: Pair
    map_change: float

    @property
    def is_lone(self) -> bool:
        """Whether one of the scans has no detection there."""
        return min(self.pair) == 0


@dataclass(frozen=True)
class NoiseBin:
    """What re-scanning does to detections of one size.

    Args:
        low_ml: Smallest volume, by the geometric mean of both scans, or of the one.
        high_ml: Largest volume; infinite for the last.
        pairs: Number of findings that both scans had.
        log_limit: Largest absolute logarithm of the ratio of both volumes of 95 % of them.
        findings: Number of findings that any of two scans had.
        lost_count: Number of those that the other had not.
    """

    low_ml: float
    high_ml: float
    pairs: int
    log_limit: float
    findings: int
    lost_count: int

    @property
    def lost_share(self) -> float:
        """Share of the findings that one of two scans had not."""
        return self.lost_count / self.findings if self.findings else math.nan


@dataclass(frozen=True)
class RescanNoise:
    """What re-scanning does to detections, by their size.

    Args:
        bins: By size, ascending.
        lone_limit: Change of the map that 95 % of the findings stay below which one scan has and the other
            has not; none where there were none.
        lone_count: Number of those findings.
        source: What it was measured on, in words.
    """

    bins: tuple[NoiseBin, ...]
    lone_limit: float | None
    lone_count: int
    source: str

    @classmethod
    def of(cls, findings: Sequence[Finding], source: str) -> RescanNoise | None:
        """Measure findings in two scans each; none if no finding was in both scans.

        Neighbouring sizes are taken together until there are twenty pairs, or one size is left.
        """
        pairs = [finding.pair for finding in findings]
        changes = [abs(finding.map_change) for finding in findings if finding.is_lone]
        if len(changes) == len(pairs):
            return None
        limit = round(_find_limit(changes), 4) if changes else None
        bins = tuple(_make_bin(*group) for group in _group_sizes(pairs))
        return cls(bins, limit, len(changes), source)

    @classmethod
    def shipped(cls, request: dict[str, Any], contrast: str) -> RescanNoise | None:
        """Return what was measured of a shipped model; none of other models, settings or contrasts.

        Args:
            request: What a visit was looked at with, see ``strip_request``.
            contrast: Contrast of the scans.
        """
        record = read_json(SHIPPED)
        if not _SHAPE(record) or record["request"] != request or contrast not in record["contrasts"]:
            return None
        return cls.from_dict(record["contrasts"][contrast])

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RescanNoise:
        """Read what ``to_dict`` returned."""
        rows = [row | {"high_ml": row.get("high_ml") or math.inf} for row in values["bins"]]
        bins = tuple(NoiseBin(**row) for row in rows)
        return cls(bins, values["lone_limit"], values["lone_count"], values["source"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the last size has no end."""
        rows = [asdict(b) | {"high_ml": None if math.isinf(b.high_ml) else b.high_ml} for b in self.bins]
        lone = {"lone_limit": self.lone_limit, "lone_count": self.lone_count}
        return {"source": self.source, **lone, "bins": rows}

    def find_bin(self, volume_ml: float) -> NoiseBin:
        """Return what is known of detections of a size."""
        return next(b for b in self.bins if volume_ml < b.high_ml)


_SHAPE = record_of(
    request=mapping_of(lambda _: True),
    contrasts=mapping_of(
        record_of(
            source=is_text,
            lone_limit=optional(is_number),
            lone_count=is_number,
            bins=list_of(record_of(low_ml=is_number)),
        )
    ),
)


def strip_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return model and settings of a stored request, without the scan, how it was prepared, and the seed."""
    scan_keys = ("scan", "mask", "region", "seed", "prepare", "trust", "mask_threshold")
    return {key: value for key, value in request.items() if key not in scan_keys}


def size_pair(pair: Pair) -> float:
    """Return the size of a finding: the geometric mean of both volumes, or the one there is."""
    return math.sqrt(pair[0] * pair[1]) if min(pair) > 0 else max(pair)


def _group_sizes(pairs: Sequence[Pair]) -> list[tuple[float, float, list[Pair]]]:
    """Cut pairs by size, and join neighbours from the smallest on until each has enough in both scans."""
    groups: list[tuple[float, float, list[Pair]]] = []
    start, group = 0.0, list[Pair]()
    for low, high in pairwise(EDGES_ML):
        group += [pair for pair in pairs if low <= size_pair(pair) < high]
        if sum(min(pair) > 0 for pair in group) >= LEAST_PAIRS:
            groups.append((start, high, group))
            start, group = high, []
    if not groups:
        return [(0.0, math.inf, group)]
    low, _, last = groups.pop()
    return [*groups, (low, math.inf, last + group)]


def _make_bin(low_ml: float, high_ml: float, pairs: Sequence[Pair]) -> NoiseBin:
    logs = [abs(math.log(b / a)) for a, b in pairs if min(a, b) > 0]
    lost_count = sum(min(pair) == 0 for pair in pairs)
    return NoiseBin(low_ml, high_ml, len(logs), round(_find_limit(logs), 4), len(pairs), lost_count)


def _find_limit(values: Sequence[float]) -> float:
    """Return what 95 % of some values stay below; it is one of them, the largest of fewer than twenty."""
    return float(np.quantile(values, QUANTILE, method="higher"))
