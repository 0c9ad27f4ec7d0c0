"""The normative metrics of a cohort: RQI, AHI and CACI with their components, and hits against boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics.thresholds import GRID, search_healthy_grid
from diffad.evaluation.normative.combined import ahi_proposed, caci_proposed, combine_scores, rqi_proposed
from diffad.evaluation.normative.components import (
    Conservation,
    Healthiness,
    RestorationQuality,
    measure_healthiness,
)
from diffad.evaluation.normative.measure import (
    Perception,
    Row,
    average_rows,
    extract_features,
    measure_detection,
    measure_healthy,
    measure_lesioned,
)
from diffad.evaluation.normative.planes import split_planes, spread_slices
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.scored_image import ImageGrids, ScoredImage
from diffad.evaluation.result import Metric, Metrics, Result
from diffad.evaluation.samples import Sample

NAME = "normative"
FPR = 0.05
"""Rate of flagged pixels in healthy scans that the threshold of hits allows."""
SETS = ("normals", "unseen", "pathological", "restored")
QUALITY, CONSERVATION, HEALTHINESS = (
    [f.name for f in fields(kind)] for kind in (RestorationQuality, Conservation, Healthiness)
)
LOCALISATION = ("tp", "fp", "f1")


@dataclass
class NormativeSet:
    """Scans and their reconstructions, measured one after the other; only numbers are kept.

    Args:
        perception: The perceptual networks.
        rows: Metrics of each scan.
        features: Features of slices by set, each (256,).
    """

    perception: Perception = field(default_factory=Perception.find)
    rows: list[dict[str, Any]] = field(default_factory=list)
    features: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {k: [] for k in SETS})

    @classmethod
    def of(cls, normals: Iterable[Sample]) -> NormativeSet:
        """Start with the healthy scans that a model was trained on."""
        normative_set = cls()
        for sample in normals:
            normative_set.add_normal(sample)
        return normative_set

    def add(self, sample: Sample) -> None:
        """Measure a scan that a model was not trained on.

        Raises:
            ValueError: If the scan or its reconstruction is not there.
        """
        planes = list(split_planes(sample))
        measure = measure_lesioned if sample.anomalous else measure_healthy
        head = {"name": sample.name, "subject": sample.subject, "anomalous": sample.anomalous}
        self.rows.append(head | measure(planes, self.perception))
        self._add_features("pathological" if sample.anomalous else "unseen", [p.image for p in planes])
        if sample.anomalous:
            self._add_features("restored", [p.reconstruction for p in planes])

    def add_normal(self, sample: Sample) -> None:
        """Take in a healthy scan that the model was trained on.

        Raises:
            ValueError: If the scan or its reconstruction is not there.
        """
        self._add_features("normals", [plane.image for plane in split_planes(sample)])

    def _add_features(self, name: str, images: Sequence[NDArray[Any]]) -> None:
        if self.perception.has_features:
            self.features[name] += list(extract_features(images))

    def evaluate(self, images: Sequence[ScoredImage], resamples: int = 1000, seed: int = 0) -> Result:
        """Return the metrics of the cohort.

        Args:
            images: The same scans, scored as they are, in the same order.
            resamples: Resamples of the subjects for intervals; 0 makes none.
            seed: Seed of the resamples.
        """
        bootstrap, warnings = Bootstrap(resamples, seed), list(self.perception.warnings)
        threshold = _find_threshold(images, warnings)
        detections = [measure_detection(image, threshold) if image.anomalous else {} for image in images]
        rows = [row | hits for row, hits in zip(self.rows, detections, strict=True)]
        metrics = _quality_metrics(rows, bootstrap) | self._healthiness_metrics(warnings)
        metrics |= _conservation_metrics(rows, bootstrap)
        indices = (metrics[name].value for name in ("rqi", "ahi", "caci"))
        metrics["combined_score"] = Metric(combine_scores(*indices))
        metrics["localisation_threshold"] = Metric(threshold)
        for name in LOCALISATION:
            metrics[f"localisation_{name}"] = _mean_metric(rows, name, bootstrap)
        settings = {"name": NAME, "fpr": FPR, "resamples": resamples, "seed": seed}
        return Result(NAME, metrics, rows, warnings=_describe_gaps(rows) + warnings, settings=settings)

    def _healthiness_metrics(self, warnings: list[str]) -> Metrics:
        healthiness = Healthiness(*[math.nan] * len(HEALTHINESS))
        sizes = {name: len(vectors) for name, vectors in self.features.items()}
        if self.perception.has_features and min(sizes.values()) < 2:
            counts = ", ".join(f"{size} {name}" for name, size in sizes.items())
            warnings.append(f"AHI is not defined: it needs two slices of every set, got {counts}")
        elif self.perception.has_features:
            healthiness = measure_healthiness(*(np.stack(self.features[name]) for name in SETS))
        values = {"ahi": ahi_proposed(healthiness)} | asdict(healthiness)
        return {name: Metric(value) for name, value in values.items()}


def _quality_metrics(rows: Sequence[Row], bootstrap: Bootstrap) -> Metrics:
    return {
        "rqi": _index_metric(rows, QUALITY, lambda *v: rqi_proposed(RestorationQuality(*v)), bootstrap),
        **{name: _mean_metric(rows, name, bootstrap) for name in QUALITY},
    }


def _conservation_metrics(rows: Sequence[Row], bootstrap: Bootstrap) -> Metrics:
    def caci(by: str) -> Callable[..., float]:
        return lambda *values: caci_proposed(Conservation(*values), by)

    return {
        "caci": _index_metric(rows, CONSERVATION, caci("lpips"), bootstrap),
        "caci_ssim": _index_metric(rows, CONSERVATION, caci("ssim"), bootstrap),
        **{name: _mean_metric(rows, name, bootstrap) for name in CONSERVATION},
    }


def _mean_metric(rows: Sequence[Row], name: str, bootstrap: Bootstrap) -> Metric:
    return bootstrap.mean([str(row["subject"]) for row in rows], [row.get(name, math.nan) for row in rows])


def _index_metric(
    rows: Sequence[Row], names: Sequence[str], index: Callable[..., float], bootstrap: Bootstrap
) -> Metric:
    """An index of the mean components of the scans that have them."""
    scans = [row for row in rows if names[0] in row]
    if not scans:
        return Metric(math.nan)

    def statistic(chosen: NDArray[np.int64]) -> float:
        means = average_rows([{name: scans[i][name] for name in names} for i in chosen])
        return index(*means.values())

    return bootstrap.of([str(row["subject"]) for row in scans], statistic)


def _find_threshold(images: Sequence[ScoredImage], warnings: list[str]) -> float:
    """Give the smallest threshold of the grid at which few pixels of healthy scans are flagged."""
    healthy = [image for image in images if not image.anomalous]
    maps = ImageGrids(healthy, lambda image: spread_slices(image, image.scores))
    try:
        return search_healthy_grid(maps, FPR, GRID).threshold
    except ValueError as error:
        warnings.append(f"hits are not defined, for want of a threshold: {error}")
        return math.nan


def _describe_gaps(rows: Sequence[Row]) -> list[str]:
    classes = {bool(row["anomalous"]) for row in rows}
    needs = {False: "RQI needs healthy scans", True: "CACI needs scans with lesions"}
    return [f"{need}, and there are none" for kind, need in needs.items() if kind not in classes]
