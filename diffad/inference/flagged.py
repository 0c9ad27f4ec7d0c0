"""How much of a scan is flagged, and whether that is credible beside what healthy scans have flagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.inference.lumps import measure_lump
from diffad.inference.output import AnomalyOutput
from diffad.threshold import Calibration

USUAL_SHARE, OTSU_SHARE, LEAST_LIMIT, TIMES = 0.2, 0.5, 0.1, 5.0
"""Share of the brain that lesions hardly exceed, and that hardly lies above Otsu's threshold in any scan;
smallest limit beside a calibrated rate, and its multiple."""
LUMP, MOST_LUMP = 0.4, 0.5
"""Share of what is flagged in its largest lump from which on a large lesion may explain it, and share of the
brain that no lesion takes. With maps of brain-any of one T1 scan, implanted lesions of 180 ml (dark)
and 290 ml (bright) gave .47 and .60, and texture all over the brain .32; maps of that scan with noise or
inverted, and of a glioma on FLAIR, cut so that 15 to 35 % is flagged, gave .01 to .31. They are few."""


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
        lump: How much of what is flagged is in one lump, of the item with the largest share; none where that
            share is below the limit, which makes it no matter.
    """

    share: float
    limit: float
    usual_share: float | None
    above_limit: int
    items: int
    lump: float | None = None

    @property
    def is_credible(self) -> bool:
        """Whether lesions could explain the share."""
        return self.share <= self.limit or self.is_lump

    @property
    def is_lump(self) -> bool:
        """Whether it is far more than healthy scans have, and in one piece, as a large lesion is."""
        return self.lump is not None and self.lump >= LUMP and self.share <= MOST_LUMP

    @property
    def is_usual(self) -> bool:
        """Whether a healthy scan is expected to have as much; never of a model that is not calibrated."""
        return self.usual_share is not None and self.share <= self.usual_share

    def __str__(self) -> str:
        share = f"{format_share(self.share)} of what was analysed"
        if self.is_lump:
            return f"{share}, {self.lump:.0%} of it in one dense piece, which a large lesion could explain"
        if self.usual_share is None:
            return f"{share} ({_explain_limit()}), which is {'' if self.is_credible else 'not '}credible"
        healthy = f"about {format_share(self.usual_share)} of healthy scans is"
        if not self.is_credible:
            return f"{share} ({healthy}), all over the brain, which is not credible"
        return f"{share} ({healthy}), which is {'no more than these have' if self.is_usual else 'credible'}"

    def list_warnings(self) -> list[str]:
        """Say so if far more is flagged than a model flags in scans that it knows, in one piece or not."""
        if self.share <= self.limit:
            return []
        is_one = self.items == 1
        count = "" if is_one else f" in {self.above_limit} of {self.items} items"
        usual = (
            _explain_limit()
            if self.usual_share is None
            else f"about {100 * self.usual_share:.3g}% of a healthy scan is expected to be"
        )
        head = f"{self.share:.0%} of what was looked at is flagged{count}, and {usual}"
        if self.is_lump:
            piece = f"{self.lump:.0%} of it lies in one dense piece: a large lesion is possible, so look"
            return [f"{head}; {piece} at the scan; a wrong brain mask or an artefact may look alike"]
        return [
            f"{head}, and it lies all over the brain: this scan is probably "
            "unlike those the model was trained on (another sequence, scanner, preparation or brain mask), "
            "so do not take its map for lesions"
        ]

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the result."""
        facts = {k: v for k, v in asdict(self).items() if v is not None or k != "lump"}
        return {"flagged": {**facts, "credible": self.is_credible}}


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
    analysed = output.analysed.bool()
    shares = [_measure_share(*item) for item in zip(marks, analysed, strict=True)]
    share, usual_share = max(shares), None if threshold is None else fpr
    i = shares.index(share)
    spacing = output.volume.spacing.tolist() if output.volume else [1.0] * (marks.ndim - 2)
    lump = measure_lump(marks[i, 0], analysed[i, 0], spacing) if share > limit else None
    return FlaggedShare(share, limit, usual_share, sum(s > limit for s in shares), len(shares), lump)


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
