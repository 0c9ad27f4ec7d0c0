"""What whole healthy scans say of whole scans, measured on their maps, and one scan compared with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.detections import label_detections
from diffad.inference.healthy_scans import HealthyScan, normalise_left_out
from diffad.threshold import Calibration, pool_maps, select_values
from diffad.threshold.clusters import ClusterSizes
from diffad.threshold.rules import healthy_threshold
from diffad.threshold.whole_scans import SiteRates, WholeScans


def measure_whole_scans(
    scans: Sequence[HealthyScan],
    maps: Sequence[Tensor],
    calibration: Calibration,
    post: Mapping[str, Any],
    whole: bool = True,
) -> WholeScans:
    """Measure sizes of detections, scores and rates by site.

    Args:
        scans: Healthy scans.
        maps: Their maps as they are cut, each (I, J, K).
        calibration: Thresholds of these.
        post: Options of a ``PostprocessConfig``.
        whole: Whether all slices of the scans were looked at.
    """
    volumes = {
        rate: [list_volumes(z > cut, s.voxel_mm3) for z, s in zip(maps, scans, strict=True)]
        for rate, cut in calibration.thresholds.items()
    }
    cut = calibration.threshold(post["fpr"])
    pairs = zip(maps, scans, strict=True)
    rows = [measure_scores(z[None, None], s.analysed[None, None], cut, post)[0] for z, s in pairs]
    scores = {name: tuple(sorted(row[name] for row in rows)) for name in rows[0]}
    sites = measure_sites(scans, maps, calibration, post["normalise"] == "place")
    return WholeScans(ClusterSizes.of(volumes), scores if whole else None, sites, post["fpr"])


def raise_to_sites(
    calibration: Calibration, pairs: Sequence[tuple[Tensor, Tensor]], sites: Sequence[str]
) -> Calibration:
    """Raise thresholds to those of the site that needs the highest; they stay where there is one site.

    Args:
        calibration: Thresholds of all scans together.
        pairs: Map and mask of each scan.
        sites: Where each was made.
    """
    if len(set(sites)) < 2:
        return calibration
    groups = [[p for p, s in zip(pairs, sites, strict=True) if s == site] for site in sorted(set(sites))]
    values = [torch.cat([z[mask] for z, mask in group]) for group in groups]
    rates = calibration.thresholds
    thresholds = {rate: max(healthy_threshold(v, rate) for v in values) for rate in rates}
    return replace(calibration, thresholds=thresholds)


def list_volumes(binary: Tensor, voxel_mm3: float) -> list[float]:
    """Return the volumes in mm3 of the connected components of detections (I, J, K), 26 neighbours."""
    counts = np.bincount(label_detections(binary.numpy()).ravel())[1:]
    return [float(count) * voxel_mm3 for count in counts]


def measure_scores(
    anomaly: Tensor, analysed: Tensor, threshold: float | None, post: Mapping[str, Any]
) -> list[dict[str, float]]:
    """Return the numbers that scans are compared by, see ``threshold.whole_scans.STATISTICS``.

    Args:
        anomaly: Maps, (B, 1, *S).
        analysed: Voxels that were looked at, (B, 1, *S).
        threshold: What "flagged" lies above; none leaves that out.
        post: Options of a ``PostprocessConfig``.
    """
    highest = pool_maps(anomaly, analysed, "topk", post["share"])
    largest = pool_maps(anomaly, analysed, "max")
    pairs = zip(highest.tolist(), largest.tolist(), strict=True)
    scores = [{"topk": topk, "max": peak} for topk, peak in pairs]
    if threshold is None:
        return scores
    shares = [_share_above(select_values(z, m), threshold) for z, m in zip(anomaly, analysed, strict=True)]
    return [row | {"flagged": share} for row, share in zip(scores, shares, strict=True)]


def measure_sites(
    scans: Sequence[HealthyScan], maps: Sequence[Tensor], calibration: Calibration, by_place: bool
) -> dict[str, SiteRates]:
    """Measure what thresholds of the other sites do at each, and those of all sites.

    Args:
        scans: Healthy scans, each with its site.
        maps: Their maps as they are cut.
        calibration: Thresholds of all.
        by_place: Whether maps are in units of healthy scans, which then leave the site out, too.
    """
    names = [scan.site for scan in scans]
    if not any(names):
        return {}
    foreign = normalise_left_out(scans, names) if by_place else maps
    sites = {}
    for name in sorted(set(names)):
        indices = [i for i, site in enumerate(names) if site == name]
        rest = [maps[i][scans[i].analysed] for i in range(len(scans)) if i not in indices]
        values = torch.cat([foreign[i][scans[i].analysed] for i in indices])
        native = torch.cat([maps[i][scans[i].analysed] for i in indices])
        others = torch.cat(rest) if rest else None
        rates = calibration.thresholds
        foreign_rates = (
            {} if others is None else {r: _share_above(values, healthy_threshold(others, r)) for r in rates}
        )
        shares = {rate: _share_above(native, cut) for rate, cut in rates.items()}
        sites[name or "none"] = SiteRates(len(indices), foreign_rates, shares)
    return sites


def _share_above(values: Tensor, threshold: float) -> float:
    return float((values > threshold).double().mean())


def count_least_voxels(limit_mm3: float, spacing: Sequence[float] | None) -> int:
    """Return the fewest voxels that exceed a volume; 0 for no limit, or where nobody says how large they are.

    Args:
        limit_mm3: Volume in mm3 that detections must exceed.
        spacing: Edges of a voxel, in mm.
    """
    if limit_mm3 <= 0 or spacing is None:
        return 0
    return math.floor(limit_mm3 / math.prod(spacing) + 1e-6) + 1
