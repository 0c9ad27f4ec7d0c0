"""How much of known lesions lies above each threshold, by their size and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from diffad.data.detections import label_detections
from diffad.io.wording import shorten

STRATA_ML = (0.0, 0.2, 1.0, 5.0, float("inf"))
"""Ends of the strata of lesion volumes, in ml."""
COVER = 0.1
"""Share of a lesion that detections must cover for it to count as detected."""


@dataclass(frozen=True)
class LesionSample:
    """The map of a scan with known lesions.

    Args:
        kind: What the lesions are.
        lesions: Mask of the lesions, (I, J, K), bool; connected parts are lesions of their own.
        anomaly: The map, (I, J, K), as it is cut.
        voxel_mm3: Volume of a voxel.
    """

    kind: str
    lesions: Tensor
    anomaly: Tensor
    voxel_mm3: float


@dataclass(frozen=True)
class Sensitivity:
    """What one threshold finds of the lesions of one kind and stratum.

    Args:
        kind: Kind of the lesions.
        low_ml: Lower end of their volumes, in ml.
        high_ml: Upper end; none for no end.
        rate: Nominal rate of the threshold.
        lesions: How many lesions.
        lesion_share: Share of the lesions a tenth of which detections cover; small detections are dropped.
        voxel_share: Share of their voxels above the threshold, whatever the size of detections.
    """

    kind: str
    low_ml: float
    high_ml: float | None
    rate: float
    lesions: int
    lesion_share: float
    voxel_share: float

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sensitivity:
        """Build a row from what ``to_dict`` gave.

        Raises:
            ValueError: If a key is missing or unknown, or a value is no number.
        """
        try:
            high = None if values["high_ml"] is None else float(values["high_ml"])
            ends, counts = (float(values["low_ml"]), high), (float(values["rate"]), int(values["lesions"]))
            shares = float(values["lesion_share"]), float(values["voxel_share"])
            row = cls(str(values["kind"]), *ends, *counts, *shares)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"expected a row of sensitivity, got {shorten(values)}") from error
        if set(values) != set(asdict(row)) or not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"expected a row of sensitivity with shares in [0, 1], got {shorten(values)}")
        return row


def measure_sensitivity(
    samples: Iterable[LesionSample], thresholds: Mapping[float, float], limits_mm3: Mapping[float, float]
) -> list[Sensitivity]:
    """Cut maps at each threshold and look at the lesions, by kind and stratum of volume.

    Args:
        samples: Maps with known lesions.
        thresholds: Threshold by nominal rate.
        limits_mm3: Volume in mm3 that detections must exceed, by the same rates.
    """
    rows: dict[tuple[str, int, float], list[tuple[int, int, bool]]] = {}
    for sample in samples:
        labels = label_detections(sample.lesions.numpy())
        sizes, count = np.bincount(labels.ravel()), int(labels.max())
        for rate, cut in thresholds.items():
            above = (sample.anomaly > cut).numpy()
            detections = _drop_small(above, limits_mm3.get(rate, 0.0) / sample.voxel_mm3)
            hits, cover = (_count_inside(labels, values, count) for values in (above, detections))
            for label in range(1, count + 1):
                key = (sample.kind, _find_stratum(sizes[label] * sample.voxel_mm3 / 1000), rate)
                lesion = (int(sizes[label]), int(hits[label]), bool(cover[label] >= COVER * sizes[label]))
                rows.setdefault(key, []).append(lesion)
    return [_summarise(*key, lesions) for key, lesions in sorted(rows.items())]


def describe_sensitivity(rows: Sequence[Sensitivity]) -> list[str]:
    """Return a Markdown table: by kind and volume, the share of lesions and of voxels at each rate."""
    rates = sorted({row.rate for row in rows})
    head = [f"FPR {rate:g}: lesions / voxels" for rate in rates]
    lines = ["| kind | ml | lesions | " + " | ".join(head) + " |", "|---" * (len(rates) + 3) + "|"]
    groups: dict[tuple[str, float], dict[float, Sensitivity]] = {}
    for row in rows:
        groups.setdefault((row.kind, row.low_ml), {})[row.rate] = row
    for (kind, low), by_rate in groups.items():
        first = next(iter(by_rate.values()))
        ends = f"above {low:g}" if first.high_ml is None else f"{low:g} to {first.high_ml:g}"
        cells = [f"{by_rate[rate].lesion_share:.2f} / {by_rate[rate].voxel_share:.2f}" for rate in rates]
        lines.append(f"| {kind} | {ends} | {first.lesions} | " + " | ".join(cells) + " |")
    return lines


def _drop_small(above: np.ndarray, limit_voxels: float) -> np.ndarray:
    labels = label_detections(above)
    large = np.bincount(labels.ravel()) > limit_voxels
    large[0] = False
    return np.asarray(large[labels])


def _count_inside(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(labels[values], minlength=count + 1)


def _find_stratum(volume_ml: float) -> int:
    return max(i for i, low in enumerate(STRATA_ML[:-1]) if volume_ml >= low)


def _summarise(kind: str, stratum: int, rate: float, lesions: Sequence[tuple[int, int, bool]]) -> Sensitivity:
    sizes, hits, flags = zip(*lesions, strict=True)
    low, high = STRATA_ML[stratum : stratum + 2]
    ends = (low, None if high == float("inf") else high)
    return Sensitivity(kind, *ends, rate, len(lesions), sum(flags) / len(flags), sum(hits) / sum(sizes))
