"""Finished maps of a scan made its result: cut, pooled, compared with healthy scans, with warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffad.config import SpaceConfig
from diffad.data.intensity import IntensityWindow
from diffad.inference.domain import DomainCheck, list_offset_warnings, list_window_warnings
from diffad.inference.orientations import Slicing, axis_warnings
from diffad.inference.output import AnomalyOutput
from diffad.inference.placing import describe_template_map
from diffad.inference.scan import ScanSource
from diffad.inference.scan_maps import ScanMaps
from diffad.inference.thresholding import binarise_maps, compare_scan, compute_p_values, resolve_thresholds
from diffad.threshold import pool_maps


def cut_maps(
    source: ScanSource,
    maps: ScanMaps,
    threshold: float | str | None,
    calibration: Mapping[str, Any] | None,
    post: Mapping[str, Any],
    keep_small: bool = False,
) -> AnomalyOutput:
    """Cut and pool finished maps.

    Args:
        source: The scan.
        maps: What it became.
        threshold: A number, "otsu", or none for the calibrated one, or Otsu's where there is none.
        calibration: Thresholds from healthy scans; none where they do not hold.
        post: Options of a ``PostprocessConfig``.
        keep_small: Keep detections that are no larger than what healthy heads have.
    """
    anomaly, analysed = maps.anomaly, maps.analysed
    clusters = "none" if keep_small else post["clusters"]
    thresholds = resolve_thresholds(threshold, calibration, post["fpr"], anomaly, analysed, clusters)
    size = (source.spacing, thresholds.least_mm3)
    return AnomalyOutput(
        anomaly_map=anomaly,
        reconstruction=maps.reconstruction,
        mask=binarise_maps(anomaly, thresholds.values, source.brain, post, *size),
        score=pool_maps(anomaly, analysed, post["pool"], post["share"]),
        info=thresholds.to_info() | describe_template_map(source.brain, source.volume),
        image=source.image,
        brain=source.brain,
        volume=source.volume,
        std=maps.std,
        p_value=compute_p_values(calibration, anomaly, analysed),
        analysed=analysed,
    )


def compare_output(
    output: AnomalyOutput, calibration: Mapping[str, Any] | None, post: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how surprising a whole volume is by healthy scans, see ``compare_scan``; nothing of a tensor."""
    if output.volume is None:
        return {}
    return compare_scan(calibration, output.anomaly_map, output.analysed, post)


def list_scan_warnings(
    source: ScanSource,
    windows: Sequence[IntensityWindow],
    cuts: Slicing,
    domain: DomainCheck,
    space: SpaceConfig,
) -> list[str]:
    """List what a reader should know of a scan and its result."""
    settings = vars(space)
    return [
        *source.warnings,
        *domain.list_warnings(),
        *list_window_warnings(windows, settings),
        *axis_warnings(cuts.axes, space.axes),
        *domain.doubts,
        *list_offset_warnings(source, windows[0], settings),
    ]
