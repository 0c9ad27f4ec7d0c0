"""What a benchmark found, as values: everything that tables and pictures are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.evaluation.result import Curve


@dataclass(frozen=True)
class Line:
    """One row of results.csv.

    Args:
        method: Label of the method.
        protocol: Name of the protocol.
        data: What it was tested on: a kind of lesion, or a data set; "mean" for their mean.
        seed: Seed of lesions and noise.
        figure: Name of the figure.
        value: The figure.
        low: Lower end of its confidence interval over subjects.
        high: Upper end, alike.
    """

    method: str
    protocol: str
    data: str
    seed: int
    figure: str
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
    """

    method: str
    nfe: int
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Outcome:
    """Everything one benchmark found.

    Args:
        name: Name of the benchmark.
        methods: Labels in the order of the file, naive baselines last.
        lines: All figures.
        costs: One for each method.
        subjects: By protocol, method and subject, the figure methods are ranked by, averaged over seeds
            and kinds; only subjects that all methods have.
        ranked_by: Name of that figure.
        curves: By method, the curves of the first protocol and seed ("roc", "pr", "dice"), kinds pooled.
        thumbnails: By method, pictures (scan, twin, map with the lesion outlined) as PNG files.
        settings: The benchmark file, in plain values.
        warnings: What should be known.
        failed: By method, why it has no figures.
    """

    name: str
    methods: list[str]
    lines: list[Line]
    costs: list[Cost]
    subjects: Mapping[str, Mapping[str, Mapping[str, float]]]
    ranked_by: str = "pixel_ap"
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    thumbnails: Mapping[str, list[Path]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failed: Mapping[str, str] = field(default_factory=dict)
