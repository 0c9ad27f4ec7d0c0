"""How much of a scan is flagged, and whether that is credible beside what healthy scans have flagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.inference.output import AnomalyOutput
from diffad.threshold import Calibration

USUAL_SHARE, OTSU_SHARE, LEAST_LIMIT, TIMES = 0.2, 0.5, 0.1, 5.0
"""Share of the brain that lesions hardly exceed, and that hardly lies above Otsu's threshold in any scan;
smallest limit beside a calibrated rate, and its multiple."""


@dataclass(frozen=True)
class FlaggedShare:
    """The share of what was analysed that is flagged; of several items the largest.

    Args:
        share: Of a calibrated model the share above its own threshold, whatever threshold was asked for; of
            others that of the detections.
        limit: From where on it is not credible.
        usual_share: Share of a healthy scan that is expected above the threshold; none without a calibration.
        above_limit: How many items exceed the limit.
        items: How many items there are.
    """

    share: float
    limit: float
    usual_share: float | None
    above_limit: int
    items: int

    @property
    def is_credible(self) -> bool:
        """Whether lesions could explain the share."""
        return self.share <= self.limit

    @property
    def is_usual(self) -> bool:
        """Whether a healthy scan is expected to have as much; never of a model that is not calibrated."""
        return self.usual_share is not None and self.share <= self.usual_share

    def __str__(self) -> str:
        share = f"{format_share(self.share)} of what was analysed"
        if self.usual_share is None:
            return f"{share} ({_explain_limit()}), which is {'' if self.is_credible else 'not '}credible"
        healthy = f"about {format_share(self.usual_share)} of healthy scans is"
        if not self.is_credible:
            return f"{share} ({healthy}), which is not credible"
        return f"{share} ({healthy}), which is {'no more than these have' if self.is_usual else 'credible'}"

    def list_warnings(self) -> list[str]:
        """Say so if far more is flagged than a model flags in scans that it knows."""
        if self.is_credible:
            return []
        is_one = self.items == 1
        count = "" if is_one else f" in {self.above_limit} of {self.items} items"
        usual = (
            _explain_limit()
            if self.usual_share is None
            else f"about {100 * self.usual_share:.3g}% of a healthy scan is expected to be"
        )
        return [
            f"{self.share:.0%} of what was looked at is flagged{count}, and {usual}: this scan is probably "
            "unlike those the model was trained on (another sequence, scanner, preparation or brain mask), "
            "so do not take its map for lesions"
        ]

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the result."""
        return {"flagged": {**asdict(self), "credible": self.is_credible}}


def _explain_limit() -> str:
    return f"lesions hardly take more than {USUAL_SHARE:.0%}"


def format_share(share: float) -> str:
    """Write a share in percent, small ones with decimals and none as 0 % that is more."""
    percent = 100 * share
    if percent and percent < 0.1:
        return "under 0.1 %"
    text = f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"
    return f"{text.removesuffix('.0')} %"


def measure_flagged(output: AnomalyOutput, calibration: Mapping[str, Any] | None, fpr: float) -> FlaggedShare:
    """Measure how much of a result is flagged.

    Args:
        output: Maps, detections, and where the threshold of these comes from.
        calibration: Thresholds from healthy scans, see ``Calibration``, or none.
        fpr: Which of its false-positive rates.
    """
    threshold = _find_own_threshold(calibration, fpr)
    if threshold is None:
        is_otsu = output.info["threshold_rule"] == "otsu"
        marks, limit = output.mask.bool(), OTSU_SHARE if is_otsu else USUAL_SHARE
    else:
        marks, limit = output.anomaly_map > threshold, _choose_limit(fpr)
    shares = [_measure_share(*item) for item in zip(marks, output.analysed.bool(), strict=True)]
    usual_share = None if threshold is None else fpr
    return FlaggedShare(max(shares), limit, usual_share, sum(s > limit for s in shares), len(shares))


def list_share_warnings(
    output: AnomalyOutput, calibration: Mapping[str, Any] | None, fpr: float
) -> list[str]:
    """Say so if far more is flagged than a model flags in scans that it knows; see ``measure_flagged``."""
    return measure_flagged(output, calibration, fpr).list_warnings()


def _find_own_threshold(calibration: Mapping[str, Any] | None, fpr: float) -> float | None:
    """Return the calibrated threshold of a rate; none where there is no such threshold."""
    try:
        return Calibration.from_dict(calibration).threshold(fpr) if calibration else None
    except ValueError:
        return None


def _choose_limit(fpr: float) -> float:
    """Return the share that is far above a calibrated rate: five times it, from 10 % to 20 % or twice it."""
    return min(max(TIMES * fpr, LEAST_LIMIT), max(USUAL_SHARE, 2 * fpr))


def _measure_share(marks: Tensor, mask: Tensor) -> float:
    return float(torch.count_nonzero(marks & mask)) / max(1, int(mask.sum()))
