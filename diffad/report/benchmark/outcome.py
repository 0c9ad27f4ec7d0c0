"""The outcome of a benchmark as values: everything that tables and pictures are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.evaluation.result import Curve


@dataclass(frozen=True)
class MetricRow:
    """One row of results.csv.

    Args:
        method: Label of the method.
        protocol: Name of the protocol.
        data: What it was tested on: a kind of lesion, or a data set; "mean" for their mean.
        seed: Seed of lesions and noise.
        metric: Name of the metric.
        value: Its value.
        low: Lower end of its confidence interval over subjects.
        high: Upper end, alike.
    """

    method: str
    protocol: str
    data: str
    seed: int
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Cost:
    """What a method costs.

    Args:
        method: Label of the method.
        nfe: Network evaluations per slice; 0 for none.
        seconds: Seconds per slice, the pipeline's work around the network included.
        parameters: Weights of the network.
        supervision: What it was given in training, see ``SUPERVISIONS``; empty where nobody said.
        backbone: Name of the network of features that was trained elsewhere; empty where there is none.
    """

    method: str
    nfe: int
    seconds: float
    parameters: int
    supervision: str = ""
    backbone: str = ""


@dataclass(frozen=True)
class Outcome:
    """Everything one benchmark measured.

    Args:
        name: Name of the benchmark.
        methods: Labels in the order of the file, naive baselines last.
        rows: All metrics.
        costs: One for each method.
        subjects: By protocol, method and subject, the metric that methods are ranked by, averaged over seeds
            and kinds; only subjects that all methods have.
        ranking_metric: Name of that metric.
        curves: By method, the curves of the first protocol and seed ("roc", "pr", "dice"), kinds pooled.
        thumbnails: By method, pictures (scan, reconstruction, map with the lesion outlined) as PNG files.
        settings: The benchmark file, in plain values.
        warnings: What a reader should know.
        failures: By method, why it has no results.
    """

    name: str
    methods: list[str]
    rows: list[MetricRow]
    costs: list[Cost]
    subjects: Mapping[str, Mapping[str, Mapping[str, float]]]
    ranking_metric: str = "pixel_ap"
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    thumbnails: Mapping[str, list[Path]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failures: Mapping[str, str] = field(default_factory=dict)
