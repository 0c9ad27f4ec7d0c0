"""In how many scans of a group a region of the atlas has a detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from diffad.data.atlas.place_atlas import ZONES, Region, load_place_atlas
from diffad.data.volume import Array
from diffad.prepare.template import load_mni152

LEAST_COVERAGE = 0.5
"""Share of a region that must have been analysed for a scan to count there."""
COLUMNS = (
    "group",
    "index",
    "side",
    "structure",
    "tissue",
    *ZONES,
    "region_ml",
    "analysed",
    "detected",
    "share",
)
"""Columns of the table; ``share`` is detected / analysed."""


@dataclass(eq=False)
class RegionCounts:
    """Counts by region of the atlas, by label; the first, of what is no region, means nothing.

    Args:
        analysed_scans: Scans of which at least half of the region was analysed, (R,), int.
        detected_scans: Those of them with a detection in it, (R,), int.
    """

    analysed_scans: Array
    detected_scans: Array

    @classmethod
    def begin(cls) -> RegionCounts:
        """Begin with no scan."""
        count = len(load_place_atlas().regions)
        return cls(np.zeros(count, np.int64), np.zeros(count, np.int64))

    def add(self, mask: Array, seen_mask: Array) -> None:
        """Add a scan: its detections and what was analysed, (I, J, K), bool, on the grid of the template."""
        labels, count = draw_labels(), len(self.analysed_scans)
        sizes = np.maximum(measure_regions(), 1)
        covers = np.bincount(labels[seen_mask], minlength=count) / sizes >= LEAST_COVERAGE
        self.analysed_scans += covers
        self.detected_scans += covers & (np.bincount(labels[mask & seen_mask], minlength=count) > 0)

    def merge(self, other: RegionCounts) -> None:
        """Add the scans of another group."""
        self.analysed_scans = self.analysed_scans + other.analysed_scans
        self.detected_scans = self.detected_scans + other.detected_scans

    def list_rows(self, group: str, least: int = 1) -> list[dict[str, Any]]:
        """List the rows of the table, the regions with the largest shares first.

        Args:
            group: What the group is called.
            least: Scans below which a share is of too few, and comes after all others.
        """
        regions = load_place_atlas().regions
        rows = [self._make_row(group, region) for region in regions if region.index]
        return sorted(rows, key=lambda row: (row["analysed"] < least, -(row["share"] or 0), row["index"]))

    def _make_row(self, group: str, region: Region) -> dict[str, Any]:
        counts = int(self.analysed_scans[region.index]), int(self.detected_scans[region.index])
        row: dict[str, Any] = {"group": group, "index": region.index, "side": region.side}
        row |= {"structure": region.structure, "tissue": region.tissue}
        row |= {zone: int(zone in region.zones) for zone in ZONES}
        size = float(measure_regions()[region.index]) * load_mni152().grid.voxel_ml
        row |= {"region_ml": round(size, 3), "analysed": counts[0], "detected": counts[1]}
        return row | {"share": round(counts[1] / counts[0], 6) if counts[0] else None}


def describe_region(row: dict[str, Any]) -> str:
    """Return the name of the region of a row in words."""
    zones = [zone for zone in ZONES if row[zone]]
    return ", ".join([" ".join(filter(None, (row["side"], row["structure"]))), row["tissue"], *zones])


@cache
def draw_labels() -> Array:
    """Return the labels of the atlas on the grid of the template, (I, J, K), uint8."""
    atlas, grid = load_place_atlas(), load_mni152().grid
    planes: Sequence[Array] = [
        atlas.look_up(_list_points(grid.affine, grid.shape, k)) for k in range(grid.shape[2])
    ]
    return np.stack([plane.reshape(grid.shape[:2]) for plane in planes], axis=2)


@cache
def measure_regions() -> Array:
    """Return how many voxels of the template have each label, (R,)."""
    return np.bincount(draw_labels().ravel(), minlength=len(load_place_atlas().regions))


def _list_points(affine: Array, shape: tuple[int, ...], plane: int) -> Array:
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    voxels = np.stack([i.ravel(), j.ravel(), np.full(i.size, plane)], axis=1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]
