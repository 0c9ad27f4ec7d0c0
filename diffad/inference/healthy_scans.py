"""Healthy scans that a model has looked at, and what it is to know of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from diffad.data.brain_box import find_brain_box
from diffad.inference.healthy import HealthyMaps
from diffad.inference.output import AnomalyOutput
from diffad.inference.place_sums import PlaceSums


@dataclass(frozen=True)
class HealthyScan:
    """What is kept of a healthy scan, in the box around its brain.

    Args:
        anomaly: Map as score and smoothing left it, (I, J, K), in RAS.
        analysed: Voxels that were looked at, (I, J, K), bool.
        brain: Brain mask, (I, J, K), bool.
        voxel_mm3: Volume of a voxel.
        site: Where it was made; empty where nobody says.
        contrast: Of which of the model's contrasts it is; empty for none of them.
    """

    anomaly: Tensor
    analysed: Tensor
    brain: Tensor
    voxel_mm3: float
    site: str = ""
    contrast: str = ""

    @classmethod
    def of(cls, output: AnomalyOutput, site: str = "") -> HealthyScan:
        """Take what a pipeline made of a volume.

        Raises:
            ValueError: If it is of a tensor.
        """
        if output.volume is None:
            raise ValueError("expected the result of a volume, got that of a tensor")
        box = find_brain_box(output.brain[0, 0])
        maps = (output.anomaly_map, output.analysed.bool(), output.brain.bool())
        anomaly, analysed, brain = (values[0, 0][box].clone() for values in maps)
        voxel_mm3 = math.prod(output.volume.spacing.tolist())
        return cls(anomaly, analysed, brain, voxel_mm3, site, output.info.get("contrast", ""))

    def normalise(self, healthy: HealthyMaps) -> Tensor:
        """Return its map in units of healthy scans at the same place, (I, J, K)."""
        values = (self.anomaly, self.analysed, self.brain)
        return healthy.normalise(*(v[None, None] for v in values))[0, 0]


def measure_places(scans: Sequence[HealthyScan]) -> HealthyMaps:
    """Find mean and spread of the maps of healthy scans by place.

    Raises:
        ValueError: If there is no scan.
    """
    return HealthyMaps.of(PlaceSums.total(PlaceSums.of(s.anomaly, s.analysed, s.brain) for s in scans))


def normalise_left_out(scans: Sequence[HealthyScan], groups: Sequence[Hashable]) -> list[Tensor]:
    """Put each map in units of the healthy scans of the other groups, so that none is measured by itself.

    Args:
        scans: Healthy scans.
        groups: What is left out together, for each: its number, its site. A single group is not left out.
    """
    sums = [PlaceSums.of(scan.anomaly, scan.analysed, scan.brain) for scan in scans]
    total = PlaceSums.total(sums)
    healthy: dict[Hashable, HealthyMaps] = {}
    for group in dict.fromkeys(groups):
        part = PlaceSums.total(s for s, g in zip(sums, groups, strict=True) if g == group)
        rest = total - part
        healthy[group] = HealthyMaps.of(rest if rest.scans else total)
    return [scan.normalise(healthy[group]) for scan, group in zip(scans, groups, strict=True)]
