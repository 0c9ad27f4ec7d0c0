"""What re-scanning alone does to detections: how much their volumes vary, and how often they come or go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffad.follow_up.noise_bins import Finding, NoiseBin, group_sizes, make_bin, measure_limit
from diffad.io.shapes import is_number, is_text, list_of, mapping_of, optional, record_of
from diffad.io.text import read_json

SHIPPED = Path(__file__).with_name("rescan_noise.json")
"""Figures of shipped models, which ``tests/timings/rescan.py`` measured."""


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
        limit = round(measure_limit(changes), 4) if changes else None
        bins = tuple(make_bin(*group) for group in group_sizes(pairs))
        return cls(bins, limit, len(changes), source)

    @classmethod
    def load_shipped(cls, request: dict[str, Any], contrast: str) -> RescanNoise | None:
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
