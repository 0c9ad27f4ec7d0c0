"""What healthy scans tell a pipeline: thresholds of its samplers, its maps by place, thresholds of those."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from diffad.capabilities import Place, list_parts
from diffad.config import PartSpec
from diffad.config.choices import HoldOut
from diffad.inference.detector import DetectorRun
from diffad.inference.healthy_scans import HealthyScan, measure_places, normalise_left_out
from diffad.inference.postprocess import Postprocess
from diffad.inference.whole_scans import measure_whole_scans, raise_to_sites
from diffad.protocols import CalibratesThreshold
from diffad.threshold import Calibration, calibrate_thresholds

T = TypeVar("T")


def calibrate_samplers(
    sampler: PartSpec,
    build: Callable[[PartSpec], DetectorRun],
    measure: Callable[[DetectorRun, float], float],
) -> PartSpec:
    """Give every sampler that cuts a map of its own the threshold of that map, the innermost first.

    Args:
        sampler: A sampler by name, with options.
        build: Puts a detector together with such a sampler.
        measure: Returns the threshold of a detector's maps of healthy scans at a false-positive rate.

    Returns:
        The sampler, with thresholds; one that was given stays. In codes the map is one of cells, which
        count by the voxels of the brain in each.
    """
    while (match := _find_uncalibrated(detector := build(sampler))) is not None:
        place, part = match
        first_sampler, likelihood = part.calibrating()
        maps = replace(detector, sampler=first_sampler, score=likelihood, post=Postprocess(median=1))
        sampler = _set_threshold(sampler, place, measure(maps, part.fpr))
    return sampler


@contextmanager
def keep_raw_maps(pipe: Any) -> Iterator[None]:
    """Let a pipeline return maps as score and smoothing leave them, without units of healthy scans.

    Args:
        pipe: An ``AnomalyPipeline``.
    """
    post = dict(pipe.config.postprocess)
    pipe.register_to_config(postprocess={**post, "normalise": "none"})
    try:
        yield
    finally:
        pipe.register_to_config(postprocess=post)


def calibrate_contrasts(
    pipe: Any,
    scans: Sequence[HealthyScan],
    rates: Sequence[float],
    whole: bool = True,
    precision: str = "",
    held_out: HoldOut = "scan",
) -> dict[str, Calibration]:
    """Give a pipeline what healthy scans say, for each of its contrasts from the scans of that alone.

    What it knows of a contrast without scans stays as it is. See ``calibrate_model``.

    Args:
        pipe: An ``AnomalyPipeline``.
        scans: Healthy scans.
        rates: Pixel false-positive rates, in [0, 1).
        whole: Whether all slices of the scans were looked at.
        precision: Number format of the network that made the maps, which is stored; empty stores none.
        held_out: What each scan is not measured by.

    Returns:
        Thresholds by contrast; those of scans of none of the model's contrasts under "".

    Raises:
        ValueError: If there is no scan, or a rate is out of range.
    """
    calibrations = {}
    for contrast, group in group_by_contrast(pipe, scans, [scan.contrast for scan in scans]).items():
        view = pipe.adapt_to(contrast)
        calibrations[contrast] = calibrate_model(view, group, rates, whole, precision, held_out)
        keep_contrast(pipe, contrast, calibration=calibrations[contrast].to_dict())
        if contrast and view.healthy is not None:
            pipe.contrast_maps[contrast] = view.healthy
    return calibrations


def group_by_contrast(pipe: Any, values: Sequence[T], contrasts: Sequence[str]) -> dict[str, list[T]]:
    """Group what belongs to scans by those of their contrasts for which a pipeline has settings.

    Args:
        pipe: An ``AnomalyPipeline``.
        values: One for each scan.
        contrasts: Contrast of each.

    Returns:
        The groups; that of all other contrasts is named "", and the only one of no scans at all.
    """
    groups: dict[str, list[T]] = {}
    for value, contrast in zip(values, contrasts, strict=True):
        groups.setdefault(contrast if contrast in (pipe.config.contrasts or {}) else "", []).append(value)
    return groups or {"": []}


def keep_contrast(pipe: Any, contrast: str, **measures: Any) -> None:
    """Store what was measured on healthy scans of a contrast; that of none becomes the model's own.

    Args:
        pipe: An ``AnomalyPipeline``.
        contrast: One of its contrasts, or "".
        measures: Values by name, of ``diffad.inference.contrasts.MEASURES``.
    """
    contrasts = pipe.config.contrasts or {}
    values = (
        {"contrasts": {**contrasts, contrast: {**contrasts[contrast], **measures}}} if contrast else measures
    )
    pipe.register_to_config(**values)


def calibrate_model(
    pipe: Any,
    scans: Sequence[HealthyScan],
    rates: Sequence[float],
    whole: bool = True,
    precision: str = "",
    held_out: HoldOut = "scan",
) -> Calibration:
    """Give a pipeline what healthy scans say: its maps by place, where it asks for them, and thresholds.

    Thresholds are those of maps in units of the other scans, as a scan of use is in none of the sums; or of
    the scans of the other sites, as a scan of use may be of a site that is in none. With several sites, each
    is that of the site which needs the highest, so that no site exceeds its rate.

    Args:
        pipe: An ``AnomalyPipeline``, whose own parts made the maps of the scans.
        scans: Healthy scans.
        rates: Pixel false-positive rates, in [0, 1); that of its masks is added.
        whole: Whether all slices of the scans were looked at, as p-values of scans need.
        precision: Number format of the network, which is stored with its engine; empty stores neither.
        held_out: What each scan is not measured by; scans of a single site are not by themselves alone.

    Raises:
        ValueError: If there is no scan, or a rate is out of range.
    """
    post = pipe.config.postprocess
    if post["normalise"] == "place" and scans:
        maps, pipe.healthy = normalise_left_out(scans, _group_scans(scans, held_out)), measure_places(scans)
    else:
        maps, pipe.healthy = [scan.anomaly for scan in scans], None
    pairs = [(values, scan.analysed) for values, scan in zip(maps, scans, strict=True)]
    calibration = calibrate_thresholds(pairs, sorted({*rates, post["fpr"]}))
    calibration = raise_to_sites(calibration, pairs, [scan.site for scan in scans])
    origin = {"engine": pipe.engine.name, "precision": precision} if precision else {}
    if pipe.healthy is not None and _holds_sites(scans, held_out):
        origin["held_out"] = held_out
    whole_scans = measure_whole_scans(scans, maps, calibration, post, whole)
    calibration = replace(calibration, whole=whole_scans, **origin)
    pipe.register_to_config(calibration=calibration.to_dict())
    return calibration


def _holds_sites(scans: Sequence[HealthyScan], held_out: HoldOut) -> bool:
    """Say whether whole sites are left out; a single one cannot be."""
    return held_out == "site" and len({scan.site for scan in scans}) > 1


def _group_scans(scans: Sequence[HealthyScan], held_out: HoldOut) -> Sequence[Hashable]:
    """Return what is left out together with each scan."""
    return [scan.site for scan in scans] if _holds_sites(scans, held_out) else range(len(scans))


def _find_uncalibrated(detector: DetectorRun) -> tuple[Place, CalibratesThreshold] | None:
    for place, part in list_parts(detector.sampler):
        if isinstance(part, CalibratesThreshold) and not part.calibrated():
            return place, part
    return None


def _set_threshold(spec: Any, place: Place, threshold: float) -> Any:
    """Return the mapping of a sampler in which the one at a place has a threshold."""
    if not place:
        return {**spec, "threshold": threshold}
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        return [_set_threshold(s, rest, threshold) if i == key else s for i, s in enumerate(spec)]
    return {**spec, key: _set_threshold(spec[key], rest, threshold)}
