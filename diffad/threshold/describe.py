"""Calibration in words and numbers, for the console and for a model card."""

from __future__ import annotations

from diffad.threshold.clusters import DETECTIONS, SHARE, ClusterSizes
from diffad.threshold.whole_scans import SiteRates, WholeScans


def describe_whole_scans(whole: WholeScans) -> list[str]:
    """Say what whole healthy scans say: sizes of detections, the least p-value, rates by site."""
    lines = _describe_clusters(whole.clusters)
    if whole.scores:
        count = len(next(iter(whole.scores.values())))
        lines.append(f"  p-values of scans come from {count} scans, and none is below {1 / (count + 1):.3f}")
    return lines + [_describe_site(name, site) for name, site in whole.sites.items()]


def _describe_clusters(clusters: ClusterSizes) -> list[str]:
    head = (
        f"  {1 - SHARE:.0%} of healthy heads have at most {DETECTIONS} (or no) detections above these volumes"
    )
    rows = [
        f"    FPR {rate:g}: {clusters.few[rate] / 1000:.3g} ml ({clusters.clean[rate] / 1000:.3g} ml), "
        f"more in {clusters.left_out_few[rate]:.0%} ({clusters.left_out_clean[rate]:.0%}) of left-out heads"
        for rate in sorted(clusters.few)
    ]
    return [head, *rows]


def _describe_site(name: str, site: SiteRates) -> str:
    rates = [
        f"FPR {rate:g} is {site.own[rate]:.4f}"
        + (f" (with thresholds of the other sites {site.foreign[rate]:.4f})" if site.foreign else "")
        for rate in sorted(site.own)
    ]
    return f"  site {name}, {site.scans} scans: " + ", ".join(rates)
